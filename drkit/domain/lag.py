"""How far the mirror is behind, and what would be lost if the source vanished now.

Log ends count offsets, not records: transaction markers, aborted and compacted records inflate them. So a difference of
offsets is an upper bound, and only counting data records, or finding none, is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.log_samples import Horizon, Sighting


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


@dataclass(frozen=True, slots=True)
class Estimated:
    """A number of records that nothing bounds from above, but that there is evidence of.

    ``at_least``: the part that is proved. ``estimate``: by the last known rate. ``highest``: by the highest rate that
    was seen, up to the latest time that it can have gone on to. ``basis``: what the estimate goes by.
    """

    at_least: int
    estimate: int
    highest: int
    basis: str


Amount = Exactly | AtMost | Estimated | NotKnown
NO_RECORD: Final = Exactly(0)


def upper_bound(amount: Amount) -> int | None:
    """How many records there are at most; None where nothing bounds them."""
    return amount.records if isinstance(amount, Exactly | AtMost) else None


def total(amounts: Iterable[Amount]) -> Amount:
    """The sum; as sure as its least sure part."""
    known, bounded, guessed, highest = 0, 0, 0, 0
    reasons, bases = [], []
    for amount in amounts:
        match amount:
            case Exactly(records):
                known += records
            case AtMost(records):
                bounded += records
            case Estimated(at_least, estimate, most, basis):
                known += at_least
                guessed += estimate - at_least
                highest += most - at_least
                bases.append(basis)
            case NotKnown(reason, at_least):
                known += at_least
                reasons.append(reason)
    # What is only bounded from above says nothing about the least.
    if reasons:
        return NotKnown(_first(reasons), known)
    if bases:
        return Estimated(known, known + guessed + bounded, known + highest + bounded, _first(bases))
    return AtMost(known + bounded) if bounded else Exactly(known)


def _first(reasons: Sequence[str]) -> str:
    others = len(set(reasons)) - 1
    return f"{reasons[0]} (and {others} more)" if others else reasons[0]


def amount_to_json(amount: Amount) -> dict[str, Any]:
    """``{records, certainty: exact|at_most|estimated|unknown}``.

    With ``at_least`` and ``reason`` where estimated or unknown, and ``estimate`` and ``highest`` where estimated.
    ``records`` is None there: no figure says how many there are.
    """
    match amount:
        case Exactly(records):
            return {"records": records, "certainty": "exact"}
        case AtMost(records):
            return {"records": records, "certainty": "at_most"}
        case Estimated(at_least, estimate, highest, basis):
            return {
                "records": None,
                "certainty": "estimated",
                "at_least": at_least,
                "estimate": estimate,
                "highest": highest,
                "reason": basis,
            }
        case NotKnown(reason, at_least):
            return {"records": None, "certainty": "unknown", "at_least": at_least, "reason": reason}


def amount_from_json(document: Mapping[str, Any]) -> Amount:
    """What ``amount_to_json`` made of an amount: from a journal."""
    match document["certainty"]:
        case "exact":
            return Exactly(document["records"])
        case "at_most":
            return AtMost(document["records"])
        case "estimated":
            return Estimated(
                document["at_least"], document["estimate"], document["highest"], document.get("reason", "")
            )
        case _:
            return NotKnown(document.get("reason", ""), document.get("at_least", 0))


def amount_text(amount: Amount) -> str:
    """``12``, ``<= 12``, ``about 12 (at least 3, 20 at the highest rate seen)``, ``unknown`` or ``unknown (>= 3)``."""
    match amount:
        case Exactly(records):
            return str(records)
        case AtMost(records):
            return f"<= {records}"
        case Estimated(at_least, estimate, highest):
            return f"about {estimate} (at least {at_least}, {highest} at the highest rate seen)"
        case NotKnown(_, at_least):
            return f"unknown (>= {at_least})" if at_least else "unknown"


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """What the mirror has not carried over of one partition.

    ``seconds``: age of the oldest record that is left; 0 if none is, None if its time is not known. ``sighting``: how
    its log was seen last, where the source does not answer; ``when_seen``: offsets that were left up to its end then.
    """

    partition: TopicPartition
    records: Amount
    seconds: float | None
    sighting: Sighting | None = None
    when_seen: int | None = None


@dataclass(frozen=True, slots=True)
class MirrorLag:
    """The lag per partition, sorted; its total is also the loss if the source vanished now.

    ``horizon``: until when a source that does not answer took records; None for one that answers.
    """

    partitions: tuple[PartitionLag, ...]
    horizon: Horizon | None = None

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
