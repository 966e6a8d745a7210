"""When jobs are due: what is asked for, and the moments that it makes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.inventory import Part
from drkit.domain.schedules import (
    MOST_JITTER_SECONDS,
    Grid,
    JobSpec,
    duration_text,
    first_due,
    parse_duration,
    parse_jitter,
    parse_jobs,
)
from drkit.errors import UsageError

periods = st.integers(1, 100_000)
jitters = st.floats(0, 0.5)
seeds = st.text(max_size=5)
grids = st.builds(Grid, periods, seeds, jitters, st.floats(0, 10_000))


def test_what_is_asked_for() -> None:
    looks, topics, everything = parse_jobs("10s:groups, 5m:topics+acls,1h:all")
    assert looks == JobSpec(10, (Part.GROUPS,))
    assert topics == JobSpec(300, (Part.TOPICS, Part.ACLS))
    assert everything == JobSpec(3600, None)
    assert [job.is_look for job in (looks, topics, everything)] == [True, False, False]
    assert [job.name for job in (looks, topics, everything)] == ["groups", "topics+acls", "all"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a job is empty"),
        ("1h:all,", "a job is empty"),
        ("1h", "'1h' has no colon"),
        ("1h:", "'' is nothing that can be backed up"),
        ("1w:all", "'1w' is no duration"),
        ("0s:all", "'0s' is no duration"),
        ("-1s:all", "'-1s' is no duration"),
        ("1.5h:all", "'1.5h' is no duration"),
        ("١h:all", "is no duration"),
        ("367d:all", "'367d' is longer than a year"),
        ("1h:topcis", "'topcis' is nothing that can be backed up"),
        ("1h:topics+topics", "topics is there twice"),
        ("1h:all+topics", "all holds the rest"),
        ("1h:topics+acls,2h:acls+topics", "topics+acls is asked for twice"),
    ],
)
def test_what_cannot_be_asked_for(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_jobs(text)
    assert said in caught.value.message
    assert "10s:groups,1h:all" in caught.value.hint


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_jobs("1x:toipcs,1h:all,2h:all,5m")
    for said in ("'1x' is no", "'toipcs' is nothing", "all is asked for twice", "'5m' has no colon"):
        assert said in caught.value.message


@given(periods, st.sets(st.sampled_from(Part), min_size=1) | st.none())
def test_a_job_reads_as_it_is_written(period: int, parts: set[Part] | None) -> None:
    job = JobSpec(period, None if parts is None else tuple(part for part in Part if part in parts))
    assert parse_jobs(job.text) == (job,)


@given(st.integers(1, 366 * 86_400))
def test_a_duration_reads_as_it_is_written(seconds: int) -> None:
    assert parse_duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize(("text", "share"), [("0%", 0.0), ("10%", 0.1), ("12.5%", 0.125), ("50%", 0.5)])
def test_a_jitter(text: str, share: float) -> None:
    assert parse_jitter(text) == share


@pytest.mark.parametrize("text", ["", "10", "51%", "-1%", "ten%", "0x1%"])
def test_no_jitter(text: str) -> None:
    with pytest.raises(UsageError):
        parse_jitter(text)


def test_a_duration_alone_that_is_none() -> None:
    with pytest.raises(UsageError, match="'60' is no duration"):
        parse_duration("60")


@given(grids, st.integers(0, 10_000))
def test_a_moment_is_on_its_grid(grid: Grid, number: int) -> None:
    """Nothing drifts: the n-th is n periods from the start, and its own jitter later, whatever came before."""
    late = grid.due(number) - grid.first_seconds - grid.period_seconds * number
    assert -1e-3 <= late <= min(grid.period_seconds * grid.jitter, MOST_JITTER_SECONDS) + 1e-3


@given(grids, st.integers(0, 10_000))
def test_moments_are_in_order_and_never_closer_than_half_a_period(grid: Grid, number: int) -> None:
    assert grid.due(number + 1) - grid.due(number) >= grid.period_seconds / 2 - 1e-3


@given(grids, st.integers(0, 1000), st.floats(0, 1e8))
def test_the_next_moment_is_the_first_that_is_still_to_come(grid: Grid, number: int, now: float) -> None:
    found = grid.next_after(number, now)
    assert found > number
    assert grid.due(found) > now
    assert found == number + 1 or grid.due(found - 1) <= now


@given(grids, st.lists(st.floats(0, 50_000), max_size=30))
def test_a_simulated_service_runs_each_moment_at_most_once_and_counts_the_rest(grid: Grid, lasts: list[float]) -> None:
    """The model is a list of all moments: run or missed, each exactly once, none before it is due."""
    now, number, run, missed = 0.0, 0, [], 0
    for seconds in lasts:
        now = max(now, grid.due(number))
        run.append((number, now))
        now += seconds
        following = grid.next_after(number, now)
        missed += following - number - 1
        number = following
    assert all(at >= grid.due(one) for one, at in run)
    assert len(run) + missed == number
    assert max(Counter(one for one, _ in run).values(), default=1) == 1


def test_two_machines_do_not_come_at_the_same_moment() -> None:
    moments = {Grid(3600, f"host-{host} all", 0.1).due(0) for host in range(50)}
    assert len(moments) == 50
    assert max(moments) - min(moments) > 200


def test_the_jitter_of_a_long_period_is_bounded() -> None:
    assert Grid(86_400, "x", 0.5).due(0) < MOST_JITTER_SECONDS


@pytest.mark.parametrize(
    ("age", "waits"), [(None, 0.0), (0.0, 60.0), (20.0, 40.0), (60.0, 0.0), (600.0, 0.0), (-5.0, 60.0)]
)
def test_a_young_backup_is_not_repeated_at_the_start(age: float | None, waits: float) -> None:
    assert first_due(age, 60) == waits
