"""What a move would make of consumer groups: by MM2's own translation, and by drkit's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Any

from drkit.domain.kafka import GroupOffsets, GroupState, TopicPartition
from drkit.domain.lag import NO_RECORD, Amount, AtMost, Exactly, NotKnown, amount_to_json, total, upper_bound
from drkit.domain.offsets import Bounded, Exact, Unavailable
from drkit.domain.positions import GroupPosition, never_mirrored, replay_amount, totals

SCHEMA = "drkit.offsets-forecast/1"

Gap = tuple[TopicPartition, int, int]


class Mm2Evidence(StrEnum):
    """Where MM2's position of a group comes from."""

    CHECKPOINT = "checkpoint"
    COMMITTED = "committed on the target"
    NONE = "none"
    """The group would begin by its ``auto.offset.reset``; at the earliest record, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Mm2Position:
    """Where MM2's own translation puts a group. ``at_ms``: when it did, ms since the epoch; None if not known."""

    downstream: int
    evidence: Mm2Evidence
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PositionForecast:
    """One position, translated by both. ``between``: data records of the target from MM2's to drkit's, if counted.

    ``committed``: what the group has committed on the target already.
    """

    position: GroupPosition
    mm2: Mm2Position
    between: int | None = None
    committed: int | None = None

    @property
    def gap(self) -> Gap | None:
        """What MM2's position is behind drkit's, if it is: target partition, start, and end (excluded)."""
        place = self.position.verdict.downstream
        return (
            None
            if place is None or place <= self.mm2.downstream
            else (self.position.target, self.mm2.downstream, place)
        )

    @property
    def mm2_replay(self) -> Amount:
        """Records that the group would read again from MM2's position on."""
        verdict = self.position.verdict
        if isinstance(verdict, Unavailable):
            return NotKnown(verdict.reason)
        apart = verdict.downstream - self.mm2.downstream
        if apart <= 0:
            # Where drkit's own position is only bounded, the true one may lie above both.
            at_most = max(0, (verdict.replay_at_most or 0) + apart)
            return AtMost(at_most) if at_most else NO_RECORD
        records = apart if self.between is None else self.between
        unsure = verdict.replay_at_most
        if unsure is None:
            return NotKnown(verdict.reason, records if self.between is not None else 0)
        return Exactly(records) if self.between is not None and unsure == 0 else AtMost(records + unsure)

    @property
    def mm2_skips(self) -> Amount:
        """Records that the group would miss from MM2's position on: only said where drkit's is exact."""
        verdict = self.position.verdict
        if not isinstance(verdict, Exact) or self.mm2.downstream <= verdict.downstream:
            return NO_RECORD
        return AtMost(self.mm2.downstream - verdict.downstream)

    @property
    def is_ahead_on_target(self) -> bool:
        """Whether the group has committed on the target what it has not read on the source."""
        verdict = self.position.verdict
        return (
            self.committed is not None
            and not isinstance(verdict, Unavailable)
            and self.committed > verdict.downstream + (verdict.at_most if isinstance(verdict, Bounded) else 0)
        )


def countable(forecasts: Sequence[PositionForecast], most_offsets: int) -> list[Gap]:
    """Gaps whose records are worth counting: the shortest first, while they add up to no more offsets than this."""
    gaps = sorted({gap for one in forecasts if (gap := one.gap) is not None}, key=lambda gap: gap[2] - gap[1])
    sizes = accumulate(end - start for _, start, end in gaps)
    return [gap for gap, size in zip(gaps, sizes, strict=True) if size <= most_offsets]


@dataclass(frozen=True, slots=True)
class OffsetsForecast:
    """Every group's forecast.

    ``rates``: records per second that each group consumed while it was looked at; empty if nobody looked.
    ``states``: of the groups on the target. ``age_seconds``: how old the committed offsets are that this is about (0:
    the source was asked). ``history``: number of offset syncs, and whether none is missing.
    """

    source: str
    target: str
    taken_at: str
    positions: Sequence[PositionForecast]
    rates: Mapping[str, float]
    states: Mapping[str, GroupState]
    age_seconds: float | None
    history: tuple[int, bool]
    now_ms: int
    notes: tuple[str, ...] = ()

    @property
    def totals(self) -> dict[str, Any]:
        """``drkit.offsets-forecast/1``'s ``totals``."""
        return {
            **totals([one.position for one in self.positions]),
            **self._amounts(self.positions, sum(self.rates.values()) if self.rates else None),
            "mm2_without_position": sum(one.mm2.evidence is Mm2Evidence.NONE for one in self.positions),
            "active_on_target": sum(state is GroupState.ACTIVE for state in self.states.values()),
            "ahead_on_target": sum(one.is_ahead_on_target for one in self.positions),
        }

    def document(self) -> dict[str, Any]:
        """``drkit.offsets-forecast/1``: stable; keys are only ever added. Groups that would read most again first."""
        groups: dict[str, list[PositionForecast]] = {}
        for one in self.positions:
            groups.setdefault(one.position.group, []).append(one)
        syncs, is_whole = self.history
        rows = [self._group(name, own) for name, own in groups.items()]
        return {
            "schema": SCHEMA,
            "taken_at": self.taken_at,
            "source": self.source,
            "target": self.target,
            "source_answers": self.age_seconds == 0,
            "evidence": {"age_seconds": self.age_seconds, "offset_syncs": syncs, "no_sync_missing": is_whole},
            "totals": self.totals,
            "groups": sorted(rows, key=lambda row: (-_size(row["mm2_replay"]), row["group"])),
            "notes": list(self.notes),
        }

    def _group(self, name: str, own: Sequence[PositionForecast]) -> dict[str, Any]:
        rate = self.rates.get(name)
        ages = [one.mm2.at_ms for one in own if one.mm2.at_ms is not None]
        state = self.states.get(name, GroupState.DEAD)
        return {
            "group": name,
            **{key: value for key, value in totals([one.position for one in own]).items() if key != "groups"},
            **self._amounts(own, rate),
            "rate_records_per_second": rate,
            "mm2_evidence": sorted({one.mm2.evidence.value for one in own}),
            "mm2_evidence_age_seconds": round(max(0, self.now_ms - min(ages)) / 1000, 1) if ages else None,
            "state_on_target": state.value,
            "ahead_on_target": sum(one.is_ahead_on_target for one in own),
            "not_exact": [one.position.row for one in own if not isinstance(one.position.verdict, Exact)],
        }

    @staticmethod
    def _amounts(own: Sequence[PositionForecast], rate: float | None) -> dict[str, Any]:
        ours, mm2 = replay_amount([one.position for one in own]), total(one.mm2_replay for one in own)
        return {
            "replay": amount_to_json(ours),
            "replay_seconds": _seconds(ours, rate),
            "mm2_replay": amount_to_json(mm2),
            "mm2_replay_seconds": _seconds(mm2, rate),
            "mm2_skips": amount_to_json(total(one.mm2_skips for one in own)),
            "never_mirrored_records": amount_to_json(never_mirrored([one.position for one in own])),
        }


def rates(before: GroupOffsets, after: GroupOffsets, seconds: float) -> dict[str, float]:
    """Offsets that each group advanced by, per second; markers count too."""
    return {
        group: round(
            sum(max(0, offset - before.get(group, {}).get(p, offset)) for p, offset in offsets.items()) / seconds, 3
        )
        for group, offsets in after.items()
    }


def _seconds(amount: Amount, rate: float | None) -> float | None:
    if amount == NO_RECORD:
        return 0.0
    records = upper_bound(amount)
    return None if records is None or not rate else round(records / rate, 3)


def _size(amount: Mapping[str, Any]) -> int:
    return int(amount["records"] if amount["records"] is not None else 1 << 62)
