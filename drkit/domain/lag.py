"""How far the mirror is behind, and what would be lost if the source vanished now.

Log ends count offsets, not records: transaction markers, aborted and compacted records inflate them. So a difference of
offsets is an upper bound, and only counting data records, or finding none, is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from drkit.domain.kafka import LogRange, TopicPartition


@dataclass(frozen=True, slots=True)
class Exactly:
    """A number of records that is known."""

    records: int


@dataclass(frozen=True, slots=True)
class AtMost:
    """An upper bound: the true number of records is between 0 and this."""

    records: int


@dataclass(frozen=True, slots=True)
class NotKnown:
    """Nothing bounds the number of records from above. ``at_least``: the part that is known."""

    reason: str
    at_least: int = 0


Amount = Exactly | AtMost | NotKnown
NO_RECORD: Final = Exactly(0)


def total(amounts: Iterable[Amount]) -> Amount:
    """The sum; as sure as its least sure part."""
    known, bounded, reasons = 0, 0, []
    for amount in amounts:
        match amount:
            case Exactly(records):
                known += records
            case AtMost(records):
                bounded += records
            case NotKnown(reason, at_least):
                known += at_least
                reasons.append(reason)
    if reasons:
        others = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        # What is only bounded from above says nothing about the least.
        return NotKnown(reasons[0] + others, known)
    return AtMost(known + bounded) if bounded else Exactly(known)


def amount_to_json(amount: Amount) -> dict[str, Any]:
    """``{records, certainty: exact|at_most|unknown}``, with ``at_least`` and ``reason`` where unknown."""
    match amount:
        case Exactly(records):
            return {"records": records, "certainty": "exact"}
        case AtMost(records):
            return {"records": records, "certainty": "at_most"}
        case NotKnown(reason, at_least):
            return {"records": None, "certainty": "unknown", "at_least": at_least, "reason": reason}


def amount_text(amount: Amount) -> str:
    """``12``, ``<= 12`` or ``unknown``."""
    match amount:
        case Exactly(records):
            return str(records)
        case AtMost(records):
            return f"<= {records}"
        case NotKnown():
            return "unknown"


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """What the mirror has not carried over of one partition.

    ``seconds``: age of the oldest record that is left; 0 if none is, None if its time is not known.
    """

    partition: TopicPartition
    records: Amount
    seconds: float | None


@dataclass(frozen=True, slots=True)
class MirrorLag:
    """The lag per partition, sorted; its total is also the loss if the source vanished now."""

    partitions: tuple[PartitionLag, ...]

    @property
    def records(self) -> Amount:
        """Summed over partitions."""
        return total(lag.records for lag in self.partitions)

    @property
    def seconds(self) -> float | None:
        """The largest over partitions; None if one is not known."""
        ages = [lag.seconds for lag in self.partitions]
        known = [age for age in ages if age is not None]
        return max(known, default=0.0) if len(known) == len(ages) else None


def unmirrored_from(log: LogRange, last_mirrored: int | None) -> int:
    """The first source offset that may hold a record which was not mirrored."""
    return max(log.start, 0 if last_mirrored is None else last_mirrored + 1)


def offsets_left(
    logs: Mapping[TopicPartition, LogRange], mirrored: Mapping[TopicPartition, int]
) -> dict[TopicPartition, tuple[int, int]]:
    """Per partition the source offsets (start, end excluded) that may hold unmirrored records; empty ones left out."""
    left = {}
    for partition, log in logs.items():
        start = unmirrored_from(log, mirrored.get(partition))
        if start < log.end:
            left[partition] = (start, log.end)
    return left


def is_renewed(log: LogRange, last_mirrored: int | None) -> bool:
    """Whether a source log ends at or below the last mirrored offset: it is not the log that was mirrored."""
    return last_mirrored is not None and last_mirrored >= log.end


def mirror_lag(
    logs: Mapping[TopicPartition, LogRange],
    mirrored: Mapping[TopicPartition, int],
    *,
    now_ms: int,
    counted: Mapping[TopicPartition, int] | None = None,
    oldest_ms: Mapping[TopicPartition, int] | None = None,
) -> MirrorLag:
    """The lag of every partition of ``logs``, which are read after ``mirrored``, or a mirror at work looks ahead.

    ``mirrored``: last replicated upstream offset, by Connect's own offsets. ``counted``: data records among the
    offsets left, for the partitions where they were counted. ``oldest_ms``: timestamp of the oldest record left.
    """
    left = offsets_left(logs, mirrored)
    counted, oldest_ms = counted or {}, oldest_ms or {}
    lags = []
    for partition, log in sorted(logs.items()):
        last = mirrored.get(partition)
        records: Amount
        if is_renewed(log, last):
            # Left alone this would read as "nothing left", while everything in the new log is unmirrored.
            records = NotKnown(f"{partition} ends at {log.end}, before the last mirrored offset {last}: recreated?")
        elif partition not in left:
            records = Exactly(0)
        elif partition in counted:
            records = Exactly(counted[partition])
        else:
            start, end = left[partition]
            records = AtMost(end - start)
        lags.append(PartitionLag(partition, records, _age(records, oldest_ms.get(partition), now_ms)))
    return MirrorLag(tuple(lags))


def _age(records: Amount, oldest_ms: int | None, now_ms: int) -> float | None:
    if records == Exactly(0):
        return 0.0
    if oldest_ms is None or oldest_ms < 0:
        return None
    # Producers' clocks may run ahead of this one.
    return max(0, now_ms - oldest_ms) / 1000


def lag_without_source(
    partitions: Iterable[TopicPartition],
    mirrored: Mapping[TopicPartition, int],
    last_seen: Mapping[TopicPartition, int] | None = None,
) -> MirrorLag:
    """The lag when the source does not answer: unknown.

    ``last_seen``: log ends of the source from a snapshot. They prove no loss (offsets above the last mirrored one may
    be markers), so they only make the reason more telling.
    """
    seen = last_seen or {}
    lags = []
    for partition in sorted(partitions):
        last = mirrored.get(partition)
        reason = f"the source does not answer; of {partition} offset {last} was mirrored last"
        if last is None:
            reason = f"the source does not answer; nothing of {partition} was mirrored"
        if seen.get(partition, 0) > (-1 if last is None else last) + 1:
            reason += f", and its log had reached {seen[partition]}"
        lags.append(PartitionLag(partition, NotKnown(reason), None))
    return MirrorLag(tuple(lags))
