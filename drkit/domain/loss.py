"""What is lost with a source that does not answer, by what was last seen of its logs.

=============  =========================================================================================================
figure         what it says
=============  =========================================================================================================
at least       Data records that somebody counted above what is mirrored now. Proved.
when seen      Offsets above what is mirrored now, up to the log's end as it was seen last: no more was lost by then.
estimate       The same up to where the end would have come by the time of the source's death at the last known rate.
highest        The same at the highest rate that was seen, up to the latest time at which the source can have died.
=============  =========================================================================================================

Neither of the last two is a bound: nobody saw what a source took after it was last looked at. ``highest`` holds if it
took no more per second than it was ever seen to, and nothing once it did not answer any more. Both count offsets, of
which a few may be markers of transactions, and both grow with the time that nobody looked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import (
    Amount,
    Estimated,
    MirrorLag,
    NotKnown,
    PartitionLag,
    amount_from_json,
    amount_to_json,
    unmirrored_from,
)
from drkit.domain.log_samples import Horizon, Pace, Sighting, Sightings
from drkit.domain.partition_tree import to_tree

LONGEST_SECONDS: Final = 900.0
"""Over a longer time than this nothing is estimated: what a log did a while ago says little about it."""
_CLOCKS_DIFFER_SECONDS: Final = 5.0
"""A look that is further in the future than this was dated by another clock: the time since is not known."""
_SHOWN: Final = 100
"""Partitions of a document: those with the highest loss."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is known to be lost of one partition, and from which offset on. ``when_seen``: see above."""

    from_offset: int
    at_least: int
    when_seen: int


def left_when_seen(sighting: Sighting, last_mirrored: int | None, *, is_settled: bool) -> Left:
    """What of the log as it was seen is not mirrored now."""
    log = sighting.log
    start = unmirrored_from(LogRange(log.start, log.end, log.stable_end), last_mirrored)
    # Of an account that lags behind the mirror nobody knows whether those records have not arrived.
    proved = sighting.counted.at_least(start) if sighting.counted is not None and is_settled else 0
    return Left(start, proved, max(0, log.end - start))


def loss_without_source(
    partitions: Collection[TopicPartition],
    mirrored: Mapping[TopicPartition, int],
    sightings: Sightings,
    until: Horizon | None = None,
    *,
    is_settled: bool = True,
    renewed: Collection[str] = (),
) -> MirrorLag:
    """The loss of every partition, estimated where its log was seen, and unknown where it was not.

    ``mirrored``: last replicated upstream offset, by Connect's own offsets. ``is_settled``: these are all that is
    mirrored: the mirror has stopped, or accounts for each record as it copies it (exactly-once). ``renewed``: topics
    that were made anew, of which Connect's offsets may be of the log before.
    """
    lags = [
        _lost(p, mirrored.get(p), sightings.get(p), until, is_settled=is_settled, is_renewed=p.topic in renewed)
        for p in sorted(partitions)
    ]
    return MirrorLag(tuple(lags), until)


def _lost(
    partition: TopicPartition,
    last: int | None,
    sighting: Sighting | None,
    until: Horizon | None,
    *,
    is_settled: bool,
    is_renewed: bool,
) -> PartitionLag:
    mirrored = "nothing of it was mirrored" if last is None else f"offset {last} was mirrored last"
    if sighting is None or until is None:
        reason = f"the source does not answer, and nobody saw how far {partition} went; {mirrored}"
        return PartitionLag(partition, NotKnown(reason), None)
    if is_renewed and last is not None and last >= sighting.log.end:
        reason = f"{partition} was made anew; {mirrored}, and the log before it may be meant"
        return PartitionLag(partition, NotKnown(reason), None, sighting)
    left = left_when_seen(sighting, last, is_settled=is_settled)
    records, seconds = _estimated(partition, left, sighting, until)
    return PartitionLag(partition, records, seconds, sighting, left.when_seen)


def _estimated(
    partition: TopicPartition, left: Left, sighting: Sighting, until: Horizon
) -> tuple[Amount, float | None]:
    latest_seconds = (until.latest_ms - sighting.at_ms) / 1000
    seen = f"{partition} was seen to end at {sighting.log.end}"
    if latest_seconds < -_CLOCKS_DIFFER_SECONDS:
        return NotKnown(f"{seen}, by a clock that is {-latest_seconds:.0f} s ahead", left.at_least), None
    if latest_seconds > LONGEST_SECONDS:
        return NotKnown(f"{seen} {latest_seconds:.0f} s before: too long ago for an estimate", left.at_least), None
    if sighting.pace is None:
        return NotKnown(f"{seen}, and nobody saw how fast it grew", left.at_least), None
    likely_seconds = max(0.0, min(until.likely_ms, until.latest_ms) - sighting.at_ms) / 1000
    pace = sighting.pace
    estimate = max(left.at_least, sighting.log.end + ceil(pace.per_second * likely_seconds) - left.from_offset)
    fastest = max(pace.highest_per_second, pace.per_second)
    most = sighting.log.end + ceil(fastest * max(0.0, latest_seconds)) - left.from_offset
    amount = Estimated(left.at_least, estimate, max(estimate, most), _basis(until))
    return amount, _seconds(amount, left, sighting, pace, likely_seconds)


def _basis(until: Horizon) -> str:
    if until.is_seen:
        return "at the rate seen last, up to when the watch had no answer any more"
    return "at the rate seen last, up to when the source was found not to answer: it grows with every second until then"


def _seconds(amount: Estimated, left: Left, sighting: Sighting, pace: Pace, likely_seconds: float) -> float | None:
    """The age of the oldest lost record when the source died."""
    if amount.estimate == 0:
        return 0.0
    if left.when_seen == 0:
        # Whatever is lost came after the look.
        return min(likely_seconds, amount.estimate / pace.per_second) if pace.per_second > 0 else likely_seconds
    counted = sighting.counted
    if counted is not None and counted.oldest_ms is not None and left.from_offset >= counted.from_offset:
        return max(0.0, likely_seconds + (sighting.at_ms - counted.oldest_ms) / 1000)
    return likely_seconds + left.when_seen / pace.per_second if pace.per_second > 0 else None


def loss_to_json(lag: MirrorLag, now_ms: int) -> dict[str, Any]:
    """The loss, what it goes by, and the partitions that may have lost something: the highest losses first.

    ``seen_seconds_ago``: of the partition that was not looked at for longest; None if one never was.
    ``silent_seconds_ago``: since when the source is known not to answer.
    """
    # No partition is not "no record": whatever the source had was never mirrored.
    records = lag.records if lag.partitions else NotKnown("nothing of the service was mirrored, or seen")
    ages = [None if one.sighting is None else _ago(one.sighting.at_ms, now_ms) for one in lag.partitions]
    known = [age for age in ages if age is not None]
    shown = sorted((one for one in lag.partitions if _highest(one.records) != 0), key=_order)
    return {
        "records": amount_to_json(records),
        "seconds": None if isinstance(records, NotKnown) or lag.seconds is None else round(lag.seconds, 3),
        "seen_seconds_ago": max(known) if known and len(known) == len(ages) else None,
        "seen_by": sorted({one.sighting.origin for one in lag.partitions if one.sighting is not None}),
        "silent_seconds_ago": None if lag.horizon is None else _ago(lag.horizon.latest_ms, now_ms),
        "partitions": to_tree({one.partition: _partition(one, now_ms) for one in shown[:_SHOWN]}),
        "left_out": max(0, len(shown) - _SHOWN),
    }


def loss_from_json(document: Mapping[str, Any] | None) -> tuple[Amount, float | None]:
    """The records and the age of the oldest that ``loss_to_json`` tells of; not known where there is none."""
    if document is None:
        return NotKnown("the loss was not measured"), None
    return amount_from_json(document["records"]), document["seconds"]


def _partition(lag: PartitionLag, now_ms: int) -> dict[str, Any]:
    sighting = lag.sighting
    return {
        "records": amount_to_json(lag.records),
        "seconds": None if lag.seconds is None else round(lag.seconds, 3),
        "at_most_when_seen": lag.when_seen,
        "end_seen": None if sighting is None else sighting.log.end,
        "seen_seconds_ago": None if sighting is None else _ago(sighting.at_ms, now_ms),
        "offsets_per_second": None if sighting is None or sighting.pace is None else round(sighting.pace.per_second, 1),
    }


def _ago(at_ms: int, now_ms: int) -> float:
    # Whoever saw it may have another clock.
    return max(0.0, round((now_ms - at_ms) / 1000, 3))


def _highest(amount: Amount) -> int | None:
    match amount:
        case Estimated(_, _, highest):
            return highest
        case NotKnown():
            return None
        case known:
            return known.records


def _order(lag: PartitionLag) -> tuple[int, TopicPartition]:
    highest = _highest(lag.records)
    return (-(1 << 62) if highest is None else -highest), lag.partition
