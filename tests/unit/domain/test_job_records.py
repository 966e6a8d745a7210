"""How old the newest good backup is, and whether that is well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drkit.domain.inventory import Part
from drkit.domain.job_records import Covered, Good, JobRecord, health_document
from drkit.domain.schedules import JobSpec

LOOK, ALL = JobSpec(10, (Part.GROUPS,)), JobSpec(3600, None)
AT = datetime(2026, 1, 1, tzinfo=UTC)
TAIPEI, TOKYO = ("positions", "taipei"), ("positions", "tokyo")


def good(seen_at: float = 0.0) -> Good:
    return Good(AT, seen_at)


def test_an_age_goes_on_from_what_it_was_when_it_was_seen() -> None:
    found = Good.found(AT, AT + timedelta(seconds=90), 1000.0)
    assert found.age_seconds(1000.0) == 90.0
    assert found.age_seconds(1010.0) == 100.0


def test_a_writer_whose_clock_is_ahead_hides_no_failure() -> None:
    found = Good.found(AT + timedelta(days=1), AT, 1000.0)
    assert found.age_seconds(1000.0) == 0.0
    assert found.age_seconds(1060.0) == 60.0


def test_a_run_that_succeeded() -> None:
    record = JobRecord(ALL, 0.0).begun(100.0)
    assert record.running_since == 100.0
    covered = Covered({("topics", "taipei"): good(100.0)}, stored_bytes=10, objects=2)
    ended = record.ended(covered, AT, 130.0)
    assert (ended.running_since, ended.successes, ended.runs) == (None, 1, 1)
    assert (ended.last_seconds, ended.total_seconds, ended.stored_bytes, ended.objects) == (30.0, 30.0, 10, 2)
    assert ended.age_seconds(130.0) == 30.0, "of the time before the reading"


def test_a_run_that_covered_less_is_a_failure_and_what_it_covered_counts() -> None:
    record = JobRecord(ALL, 0.0, success=good(0.0), good={("acls", "tokyo"): good(0.0)}).begun(100.0)
    covered = Covered({("topics", "taipei"): good(100.0)}, failure=("incomplete", "acls of tokyo are missing"))
    ended = record.ended(covered, AT, 130.0)
    assert (ended.successes, ended.failures, ended.problem) == (0, {"incomplete": 1}, "acls of tokyo are missing")
    assert ended.age_seconds(130.0) == 130.0
    assert {kind: one.age_seconds(130.0) for kind, one in ended.good.items()} == {
        ("acls", "tokyo"): 130.0,
        ("topics", "taipei"): 30.0,
    }


def test_a_look_is_of_one_region_which_may_be_another_next_time() -> None:
    record = JobRecord(LOOK, 0.0).begun(0.0).ended(Covered({TAIPEI: good(0.0)}), AT, 1.0)
    record = record.begun(10.0).ended(Covered({TOKYO: good(10.0)}), AT, 11.0)
    assert set(record.good) == {TOKYO}
    record = record.begun(20.0).ended(Covered(failure=("unreachable", "dark")), AT, 30.0)
    assert set(record.good) == {TOKYO}, "what was there last is still known"


def test_what_was_skipped_is_counted_by_reason() -> None:
    record = JobRecord(LOOK, 0.0).passed_over("overlap", 2).passed_over("late", 1).passed_over("overlap", 1)
    assert record.skipped == {"overlap": 3, "late": 1}


@pytest.mark.parametrize(("age", "healthy"), [(0.0, True), (80.0, True), (80.1, False)])
def test_a_job_is_healthy_for_two_periods_and_a_grace(age: float, healthy: bool) -> None:
    document = health_document([JobRecord(LOOK, 0.0, success=good(1000.0))], 1000.0 + age)
    assert document["healthy"] is healthy
    assert document["jobs"][0]["limit_seconds"] == 80.0
    assert len(document["problems"]) == (not healthy)


def test_a_first_backup_is_waited_for_from_the_start_on() -> None:
    assert health_document([JobRecord(LOOK, 500.0)], 580.0)["healthy"]
    document = health_document([JobRecord(LOOK, 500.0)], 600.0)
    assert document["problems"] == ["groups: no good backup yet, since 100 s ago, and every 10s was asked for"]


def test_one_job_that_is_ill_makes_the_service_ill_and_is_named() -> None:
    failing = JobRecord(LOOK, 0.0, success=good(0.0)).begun(90.0)
    failing = failing.ended(Covered(failure=("unreachable", "no answer\x1b[2J")), AT, 95.0).begun(100.0)
    document = health_document([JobRecord(ALL, 0.0, success=good(0.0)), failing], 110.0)
    assert [job["healthy"] for job in document["jobs"]] == [True, False]
    (problem,) = document["problems"]
    assert problem.startswith("groups: the newest good backup is of 110 s ago")
    assert "no answer" in problem
    assert "\x1b" not in problem
    assert "one runs since 10 s" in problem
