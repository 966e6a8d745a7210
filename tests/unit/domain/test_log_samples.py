"""Log ends as they are seen: how fast logs grow, which sighting counts, and when the source died."""

from __future__ import annotations

from math import exp

import pytest

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.log_samples import (
    HIGHEST_FOR_SECONDS,
    SMOOTHED_OVER_SECONDS,
    Counted,
    Horizon,
    LogSample,
    Pace,
    Sighting,
    Silence,
    horizon,
    newest_sightings,
    sampled,
    sightings_of,
)

P = TopicPartition("t", 0)


def log(end: int) -> LogRange:
    return LogRange(0, end, end)


def looks(*seen: tuple[int, int]) -> tuple[LogSample, int]:
    """The sample after looks at these times that saw these ends, and the time of the last."""
    sample, before_ms = None, 0
    for at_ms, end in seen:
        sample = sampled(sample, before_ms, P, log(end), at_ms)
        before_ms = at_ms
    assert sample is not None
    return sample, before_ms


def test_a_log_that_was_seen_once_has_no_pace() -> None:
    sample, as_of = looks((1000, 10))
    assert (sample.at_ms, sample.pace_at(as_of)) == (1000, None)


def test_a_log_that_stood_still_has_a_pace_of_none() -> None:
    sample, as_of = looks((1000, 10), (2500, 10))
    assert (sample.at_ms, sample.pace, sample.pace_at(as_of)) == (1000, None, Pace(0.0, 0.0, 2500))


def test_the_first_growth_is_the_pace() -> None:
    sample, as_of = looks((1000, 10), (3000, 30))
    assert sample.pace_at(as_of) == Pace(10.0, 10.0, 3000)


def test_growth_after_a_rest_is_smoothed_and_the_highest_kept() -> None:
    sample, as_of = looks((0, 0), (10_000, 0), (11_000, 100), (12_000, 100))
    grew = 100.0 * (1 - exp(-1 / SMOOTHED_OVER_SECONDS))
    assert sample.pace is not None
    assert sample.pace == pytest.approx(Pace(grew, 100.0, 11_000))
    calmed = grew * exp(-1 / SMOOTHED_OVER_SECONDS)
    assert sample.pace_at(as_of) == pytest.approx(Pace(calmed, 100.0, 11_000))


def test_the_highest_pace_is_forgotten_after_a_while() -> None:
    later = 2000 + int(HIGHEST_FOR_SECONDS * 1000)
    sample, as_of = looks((0, 0), (1000, 500), (later, 500), (later + 1000, 510))
    pace = sample.pace_at(as_of)
    assert pace is not None
    assert pace.highest_per_second == 10.0


def test_unchanged_looks_change_nothing() -> None:
    sample, as_of = looks((1000, 10))
    assert sampled(sample, as_of, P, log(10), 2000) is sample


def test_what_was_counted_holds_while_the_log_does() -> None:
    sample = LogSample(P, LogRange(0, 10, 8), 1000, counted=Counted(2, 5))
    assert sampled(sample, 1000, P, LogRange(1, 10, 8), 2000).counted == Counted(2, 5)
    assert sampled(sample, 1000, P, LogRange(0, 10, 10), 2000).counted is None
    assert sampled(sample, 1000, P, LogRange(0, 11, 8), 2000).counted is None


def test_a_shorter_log_is_another_one() -> None:
    assert looks((1000, 10), (2000, 30), (3000, 5))[0] == LogSample(P, log(5), 3000)


def test_clocks_that_go_back_make_no_pace() -> None:
    assert looks((5000, 10), (4000, 30))[0].pace is None


def test_a_log_that_was_not_read_is_as_old_as_it_is() -> None:
    sample = LogSample(P, log(10), 1000, seen_ms=2000)
    assert sightings_of({P: sample}, 9000, "watch")[P].at_ms == 2000
    again = sampled(sample, 9000, P, log(110), 12_000)
    # Whatever came, came since it was last seen.
    assert again.pace is not None
    assert again.pace.highest_per_second == 10.0


def test_what_was_counted_is_at_least_there() -> None:
    counted = Counted(10, 5)
    assert [counted.at_least(offset) for offset in (0, 10, 12, 15, 99)] == [5, 5, 3, 0, 0]


def test_the_newest_sighting_counts_and_an_older_one_says_how_fast() -> None:
    watch = {P: Sighting(log(50), 9000, "watch", Pace(1.0, 2.0, 0))}
    backup = {P: Sighting(log(40), 4000, "backup")}
    snapshot = {P: Sighting(log(90), 14_000, "snapshot")}
    assert newest_sightings(watch, backup)[P] == watch[P]
    assert newest_sightings(backup)[P] == backup[P]
    assert newest_sightings(backup, snapshot)[P] == Sighting(log(90), 14_000, "snapshot", Pace(5.0, 5.0, 14_000))
    shrunk = {P: Sighting(log(3), 14_000, "snapshot")}
    assert newest_sightings(backup, shrunk)[P].pace is None


@pytest.mark.parametrize(
    ("as_of_ms", "silences", "expected"),
    [
        (1000, [], Horizon(9000, 9000, is_seen=False)),
        (None, [Silence(2000, 5000)], Horizon(9000, 9000, is_seen=False)),
        (1000, [Silence(2000, 5000), Silence(3000, 4000)], Horizon(2000, 4000, is_seen=True)),
        (2500, [Silence(2000, 5000)], Horizon(9000, 9000, is_seen=False)),
        (2500, [Silence(2000, 5000), Silence(3000, 6000)], Horizon(3000, 6000, is_seen=True)),
    ],
    ids=["nobody looked again", "never seen", "two watches", "it answered afterwards", "and then no more"],
)
def test_the_source_died_when_a_watch_had_no_answer_any_more(
    as_of_ms: int | None, silences: list[Silence], expected: Horizon
) -> None:
    assert horizon(as_of_ms, silences, 9000) == expected
