"""What was seen of the source's log ends, look by look, kept for the time when the source is gone.

An end that was read proves that so many offsets existed, and how two of them differ says how fast the log grew. Offsets
are not records: markers of transactions and aborted records take some. So data records above what was mirrored are
counted, too, as far as that is cheap: only they prove a loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import exp
from typing import Final, NamedTuple

from drkit.domain.kafka import LogRange, TopicPartition

SMOOTHED_OVER_SECONDS: Final = 15.0
"""What was seen so long ago weighs 1/e in a pace, as in the load averages of Unix."""
HIGHEST_FOR_SECONDS: Final = 900.0
"""So long the highest pace is remembered."""
_STANDS_STILL_SECONDS: Final = 1.0
"""An end that was seen once and did not move for so long does not move."""
_LEAST_SECONDS: Final = 0.1
"""Two looks that are closer together than this measure their own delays."""


class Pace(NamedTuple):
    """Offsets per second by which a log grows: smoothed, and the highest between two looks, with the time of it."""

    per_second: float
    highest_per_second: float
    highest_at_ms: int

    def after(self, still_seconds: float, now_ms: int) -> Pace:
        """The same, after nothing was written for so long."""
        calmed = self.per_second * exp(-still_seconds / SMOOTHED_OVER_SECONDS)
        if now_ms - self.highest_at_ms > HIGHEST_FOR_SECONDS * 1000:
            return Pace(calmed, calmed, now_ms)
        return Pace(calmed, self.highest_per_second, self.highest_at_ms)

    def with_growth(self, offsets: int, seconds: float, now_ms: int) -> Pace:
        """The same, after so many offsets came in the last seconds."""
        grew = offsets / seconds
        weight = exp(-seconds / SMOOTHED_OVER_SECONDS)
        calmed = self.after(0.0, now_ms)
        smoothed = calmed.per_second * weight + grew * (1 - weight)
        if grew >= calmed.highest_per_second:
            return Pace(smoothed, grew, now_ms)
        return Pace(smoothed, calmed.highest_per_second, calmed.highest_at_ms)


class Counted(NamedTuple):
    """Committed data records from an offset up to the log's last stable offset.

    ``oldest_ms``: the timestamp of the first of them; None where there is none.
    """

    from_offset: int
    records: int
    oldest_ms: int | None = None

    def at_least(self, from_offset: int) -> int:
        """How many of them are certainly at or above an offset: those below it are no more than there is room for."""
        return max(0, self.records - max(0, from_offset - self.from_offset))


@dataclass(frozen=True, slots=True)
class LogSample:
    """A log of the source as one look found it.

    ``at_ms``: right before its end was first read to be this one, ms since the epoch. ``pace``: as of then; None if the
    log was never seen to move. ``counted``: records that were not mirrored, where they were counted. ``seen_ms``: when
    it was last seen so, where that was not in the newest look.
    """

    partition: TopicPartition
    log: LogRange
    at_ms: int
    pace: Pace | None = None
    counted: Counted | None = None
    seen_ms: int | None = None

    def known_ms(self, as_of_ms: int) -> int:
        """When it was last known to be so. ``as_of_ms``: the time of the newest look."""
        return max(self.at_ms, as_of_ms if self.seen_ms is None else self.seen_ms)

    def pace_at(self, as_of_ms: int) -> Pace | None:
        """The pace as of the newest look; None if nothing says how fast the log grew."""
        known_ms = self.known_ms(as_of_ms)
        still_seconds = (known_ms - self.at_ms) / 1000
        if self.pace is None:
            return Pace(0.0, 0.0, known_ms) if still_seconds >= _STANDS_STILL_SECONDS else None
        return self.pace.after(still_seconds, known_ms)


LogSamples = Mapping[TopicPartition, LogSample]


def sampled(
    before: LogSample | None, before_ms: int, partition: TopicPartition, log: LogRange, at_ms: int
) -> LogSample:
    """The sample of a log that was read from ``at_ms`` on, given the one before, as of ``before_ms``.

    Where nothing has changed it is the same as before. One that ends earlier than before is another log.
    """
    if before is None or log.end < before.log.end:
        return LogSample(partition, log, at_ms)
    if log.end == before.log.end:
        if (log, None) == (before.log, before.seen_ms):
            return before
        counted = before.counted if log.stable_end == before.log.stable_end else None
        return replace(before, log=log, counted=counted, seen_ms=None)
    known_ms = before.known_ms(before_ms)
    seconds = (at_ms - known_ms) / 1000
    pace = before.pace_at(before_ms)
    if seconds < _LEAST_SECONDS:
        # Clocks go back, too.
        return LogSample(partition, log, at_ms, pace)
    grew = log.end - before.log.end
    first = Pace(grew / seconds, grew / seconds, at_ms)
    return LogSample(partition, log, at_ms, first if pace is None else pace.with_growth(grew, seconds, at_ms))


@dataclass(frozen=True, slots=True)
class Sighting:
    """A log as somebody saw it last, and when that was known, ms since the epoch.

    ``origin``: who saw it. ``pace``: None where nothing says how fast it grew.
    """

    log: LogRange
    at_ms: int
    origin: str
    pace: Pace | None = None
    counted: Counted | None = None


Sightings = Mapping[TopicPartition, Sighting]


def sightings_of(samples: LogSamples, as_of_ms: int, origin: str) -> dict[TopicPartition, Sighting]:
    """What a watch knew at its newest look."""
    return {
        p: Sighting(one.log, one.known_ms(as_of_ms), origin, one.pace_at(as_of_ms), one.counted)
        for p, one in samples.items()
    }


def newest_sightings(*sources: Sightings) -> dict[TopicPartition, Sighting]:
    """Per partition the newest of all; one without a pace gets it from the newest that is older."""
    found: dict[TopicPartition, Sighting] = {}
    for p in {p for source in sources for p in source}:
        newest, *older = sorted((source[p] for source in sources if p in source), key=lambda one: -one.at_ms)
        found[p] = newest if newest.pace is not None else _paced(newest, older)
    return found


def _paced(newest: Sighting, older: Iterable[Sighting]) -> Sighting:
    for one in older:
        seconds = (newest.at_ms - one.at_ms) / 1000
        if seconds >= _STANDS_STILL_SECONDS and newest.log.end >= one.log.end:
            per_second = (newest.log.end - one.log.end) / seconds
            return replace(newest, pace=Pace(per_second, per_second, newest.at_ms))
    return newest


class Silence(NamedTuple):
    """A look that the source did not answer, the first one after those that it did: when it began and ended, in ms."""

    began_ms: int
    ended_ms: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """Until when a source that does not answer took records, ms since the epoch.

    ``likely_ms``: since then it did not answer. ``latest_ms``: then it was known not to. ``is_seen``: by a watch; else
    it is only known that it does not answer now, and the figures grow with time.
    """

    likely_ms: int
    latest_ms: int
    is_seen: bool


def horizon(as_of_ms: int | None, silences: Iterable[Silence], silent_ms: int) -> Horizon:
    """When the source died.

    ``as_of_ms``: the newest look that it answered. ``silent_ms``: when it was found not to answer by whoever asks.
    """
    after = [one for one in silences if as_of_ms is not None and one.began_ms > as_of_ms]
    if not after:
        return Horizon(silent_ms, silent_ms, is_seen=False)
    return Horizon(min(one.began_ms for one in after), min(one.ended_ms for one in after), is_seen=True)
