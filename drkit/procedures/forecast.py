"""Forecasts what a move would make of groups, before anyone moves. Reads only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from drkit.config.mirror_templates import flow_of
from drkit.domain.kafka import GroupOffsets
from drkit.domain.mode import FailoverMode
from drkit.domain.offsets_forecast import (
    Mm2Evidence,
    Mm2Position,
    OffsetsForecast,
    PositionForecast,
    countable,
    rates,
)
from drkit.domain.positions import GroupPosition
from drkit.ports import ReadRange
from drkit.procedures.readings import Readings
from drkit.steps.world import World
from drkit.verification.mirror_evidence import CheckpointPositions, DatedCheckpoint

_MOST_COUNTED = 500_000
"""Target offsets that are read to count records; what is beyond is bounded by offsets."""


@dataclass(frozen=True, slots=True)
class Forecaster:
    """Forecasts for one direction. ``mode``: planned while the source answers."""

    world: World
    readings: Readings
    source: str
    target: str
    mode: FailoverMode

    def forecast(self, groups: Sequence[str] = (), *, measure_seconds: float = 0.0) -> OffsetsForecast:
        """The forecast of these groups (none: of all). ``measure_seconds``: how long to look at their pace."""
        clock = self.world.clock
        committed, found_rates, age = self._committed(measure_seconds)
        chosen = {group: offsets for group, offsets in committed.items() if not groups or group in groups}
        rows = self.readings.placed(self.source, self.target, self.mode, chosen, as_if_drained=True)
        history = self.readings.translator(self.source, self.target, self.mode).history
        reader = self.world.regions[self.target].reader
        names = sorted(chosen)
        on_target = reader.committed_offsets(names)
        now = clock.now()
        return OffsetsForecast(
            source=self.source,
            target=self.target,
            taken_at=now.isoformat(timespec="seconds"),
            positions=self._positions(rows, on_target),
            rates={group: rate for group, rate in found_rates.items() if group in chosen},
            states={name: group.state for name, group in reader.describe_groups(names).items()},
            age_seconds=age,
            history=(history.size, history.is_whole),
            now_ms=int(now.timestamp() * 1000),
            notes=self._notes(rows, is_whole=history.is_whole),
        )

    def _committed(self, measure_seconds: float) -> tuple[GroupOffsets, Mapping[str, float], float | None]:
        """Committed offsets, the pace of groups, and how old the offsets are."""
        if self.mode is not FailoverMode.PLANNED:
            dated = self.readings.source_positions(self.source, self.target).without_source()
            return dated.committed, {}, dated.age_seconds
        clock = self.world.clock
        before, started = self.readings.committed(self.source, self.target, self.mode), clock.monotonic()
        if not measure_seconds:
            return before, {}, 0.0
        clock.sleep(measure_seconds)
        after = self.readings.committed(self.source, self.target, self.mode)
        return after, rates(before, after, clock.monotonic() - started), 0.0

    def _positions(self, rows: Sequence[GroupPosition], on_target: GroupOffsets) -> list[PositionForecast]:
        flow, names = flow_of(self.world.settings, self.source), self.readings.names(self.source)
        reader = self.world.regions[self.target].reader
        checkpoints = CheckpointPositions(reader, flow, names.on_source).newest()
        known = {row.target for row in rows if row.verdict.downstream is not None}
        starts = {p: log.start for p, log in reader.log_ranges(sorted(known)).items()}
        found = [
            PositionForecast(row, mm2, committed=committed)
            for row in rows
            for committed in [on_target.get(row.group, {}).get(row.target)]
            for mm2 in [_mm2(checkpoints.get(row.group, {}).get(row.partition), committed, starts.get(row.target, 0))]
        ]
        gaps = countable(found, _MOST_COUNTED)
        offsets = reader.data_offsets([ReadRange(*gap) for gap in gaps])
        counted = {
            (p, start, end): bisect_left(offsets.get(p, ()), end) - bisect_left(offsets.get(p, ()), start)
            for p, start, end in gaps
        }
        return [one if one.gap is None else replace(one, between=counted.get(one.gap)) for one in found]

    def _notes(self, rows: Sequence[GroupPosition], *, is_whole: bool) -> tuple[str, ...]:
        notes = []
        if not is_whole:
            notes.append("offset syncs are missing (compacted, and not archived): positions between others are wider")
        renewed = self.readings.renewed_topics(self.source) & {row.partition.topic for row in rows}
        if renewed:
            notes.append(f"made anew since they were first seen, and mapped anew: {', '.join(sorted(renewed))}")
        if self.mode is not FailoverMode.PLANNED:
            notes.append(f"{self.source} does not answer: what groups consumed since they were last seen is not known")
        return tuple(notes)


def _mm2(checkpoint: DatedCheckpoint | None, committed: int | None, log_start: int) -> Mm2Position:
    """MM2 syncs a group forwards only: what it had on the target stays, if that is further."""
    if checkpoint is None and committed is None:
        return Mm2Position(log_start, Mm2Evidence.NONE)
    if checkpoint is None or (committed is not None and committed > checkpoint.downstream):
        return Mm2Position(max(log_start, committed or 0), Mm2Evidence.COMMITTED)
    return Mm2Position(max(log_start, checkpoint.downstream), Mm2Evidence.CHECKPOINT, checkpoint.at_ms)
