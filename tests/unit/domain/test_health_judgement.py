"""One sample's verdict, and several samples' verdict: every combination."""

from __future__ import annotations

from itertools import product

import pytest

from drkit.domain.health import (
    CanaryConsumed,
    CanaryRefused,
    ClusterAnswered,
    ConnectorHealth,
    Degraded,
    Expectation,
    Finding,
    Healthy,
    MirrorState,
    PartitionStates,
    ProbeSeen,
    Problem,
    RegionHealth,
    Role,
    Sample,
    Silent,
    Undetermined,
    Unknown,
    Unreachable,
    Verdict,
    health_to_json,
)
from drkit.domain.health_judgement import combine, judge
from drkit.domain.kafka import TopicPartition

PRIMARY = Expectation(Role.PRIMARY, "id-a", canary_seconds=2.0, heartbeat_seconds=30.0)
STANDBY = Expectation(Role.STANDBY, "id-a")
ANSWERED = ClusterAnswered("id-a", 3, 0.01)
SOME = (TopicPartition("t", 1),)
SOURCE = ConnectorHealth("source", "running", is_running=True, tasks=2)


def problems(verdict: Verdict) -> list[Problem]:
    return [finding.problem for finding in verdict.findings]


def test_a_region_without_a_fault_is_healthy() -> None:
    sample = Sample(
        ANSWERED,
        PartitionStates(30),
        CanaryConsumed(0.1),
        MirrorState((SOURCE,), heartbeat_age_seconds=2.0),
        (ProbeSeen("app", "up", "UP"),),
    )
    assert judge(sample, PRIMARY) == Healthy()


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (Sample(ANSWERED, PartitionStates(30, leaderless=SOME)), Problem.LEADERLESS),
        (Sample(ANSWERED, PartitionStates(30, below_min_isr=SOME)), Problem.BELOW_MIN_ISR),
        (Sample(ANSWERED, PartitionStates(30, under_replicated=SOME)), Problem.UNDER_REPLICATED),
        (Sample(ANSWERED, Undetermined("timed out")), Problem.PARTITIONS_UNREADABLE),
        (Sample(ANSWERED, canary=Undetermined("timed out")), Problem.CANARY_FAILED),
        (Sample(ANSWERED, canary=CanaryConsumed(2.1)), Problem.CANARY_SLOW),
        (Sample(ANSWERED, canary=CanaryRefused()), Problem.PRIMARY_FENCED),
        (Sample(ANSWERED, mirror=Undetermined("503")), Problem.MIRROR_UNREADABLE),
        (Sample(ANSWERED, mirror=MirrorState((SOURCE,), heartbeat_age_seconds=31.0)), Problem.HEARTBEAT_OLD),
        (Sample(ANSWERED, probes=(ProbeSeen("app", "down", "503"),)), Problem.PROBE_DOWN),
        (Sample(ANSWERED, probes=(ProbeSeen("app", "unreachable", "refused"),)), Problem.PROBE_SILENT),
    ],
)
def test_each_fault_of_an_answering_primary_degrades_it(sample: Sample, expected: Problem) -> None:
    verdict = judge(sample, PRIMARY)
    assert isinstance(verdict, Degraded)
    assert problems(verdict) == [expected]


@pytest.mark.parametrize(
    ("connector", "expected"),
    [
        (ConnectorHealth("c", "absent", is_running=False, is_absent=True), Problem.CONNECTOR_MISSING),
        (ConnectorHealth("c", "stopped", is_running=False), Problem.CONNECTOR_NOT_RUNNING),
        (ConnectorHealth("c", "running", is_running=True, tasks=0), Problem.NO_TASK),
        # The trap: a failed task leaves its connector RUNNING.
        (
            ConnectorHealth("c", "running", is_running=True, tasks=2, failed_tasks=1, failure="boom"),
            Problem.TASK_FAILED,
        ),
    ],
)
def test_a_faulty_connector_degrades_the_region(connector: ConnectorHealth, expected: Problem) -> None:
    verdict = judge(Sample(ANSWERED, mirror=MirrorState((connector,))), STANDBY)
    assert problems(verdict) == [expected]
    assert "c" in verdict.findings[0].detail


def test_a_failed_task_is_shown_with_its_failure() -> None:
    failed = ConnectorHealth("c", "running", is_running=True, tasks=2, failed_tasks=1, failure="boom")
    verdict = judge(Sample(ANSWERED, mirror=MirrorState((failed,))), STANDBY)
    assert verdict.findings[0].detail == "1 of 2 tasks of c have failed: boom"


def test_a_checkpoint_connector_may_have_no_task_and_its_failure_is_a_lesser_problem() -> None:
    idle = ConnectorHealth("c", "running", is_running=True, tasks=0, carries_records=False)
    broken = ConnectorHealth("h", "failed", is_running=False, carries_records=False)
    assert judge(Sample(ANSWERED, mirror=MirrorState((SOURCE, idle))), STANDBY) == Healthy()
    verdict = judge(Sample(ANSWERED, mirror=MirrorState((SOURCE, broken))), STANDBY)
    assert problems(verdict) == [Problem.SIDE_CONNECTOR]


def test_a_fenced_standby_is_healthy_and_an_open_one_is_not() -> None:
    assert judge(Sample(ANSWERED, canary=CanaryRefused()), STANDBY) == Healthy()
    assert problems(judge(Sample(ANSWERED, canary=CanaryConsumed(0.1)), STANDBY)) == [Problem.STANDBY_OPEN]


@pytest.mark.parametrize("status", ["down", "unreachable"])
def test_a_silent_cluster_is_unreachable_whatever_else_is_down(status: str) -> None:
    verdict = judge(Sample(Silent("timed out"), probes=(ProbeSeen("app", status, ""),)), PRIMARY)
    assert isinstance(verdict, Unreachable)


def test_a_silent_cluster_whose_own_probe_is_up_is_unknown() -> None:
    verdict = judge(Sample(Silent("timed out"), probes=(ProbeSeen("app", "up", ""),)), PRIMARY)
    assert isinstance(verdict, Unknown)
    assert problems(verdict) == [Problem.NO_ANSWER, Problem.CONTRADICTION]


def test_refused_credentials_and_another_cluster_are_unknown() -> None:
    assert problems(judge(Sample(Undetermined("wrong password")), PRIMARY)) == [Problem.CREDENTIALS]
    other = judge(Sample(ClusterAnswered("id-b", 3, 0.0)), PRIMARY)
    assert isinstance(other, Unknown)
    assert problems(other) == [Problem.OTHER_CLUSTER]


KINDS: dict[str, Verdict] = {
    "healthy": Healthy(),
    "degraded": Degraded((Finding(Problem.UNDER_REPLICATED, "1 of 30"),)),
    "unreachable": Unreachable((Finding(Problem.NO_ANSWER, "timed out"),)),
    "unknown": Unknown((Finding(Problem.CONTRADICTION, "yet up"),)),
    "strange": Unknown((Finding(Problem.CREDENTIALS, "wrong password"),)),
}


def expected_kind(names: tuple[str, ...]) -> type[Verdict]:
    """The table in ``combine``'s docstring, written down a second time."""
    answered = [name for name in names if name in ("healthy", "degraded")]
    if len(answered) == len(names):
        return Healthy if set(names) == {"healthy"} else Degraded
    if set(names) == {"unreachable"}:
        return Unreachable
    minority = 2 * (len(names) - len(answered)) < len(names)
    return Degraded if minority and "strange" not in names else Unknown


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_every_combination_of_samples(samples: int) -> None:
    for names in product(KINDS, repeat=samples):
        verdict = combine([KINDS[name] for name in names])
        assert type(verdict) is expected_kind(names), names
        flapping = Problem.FLAPPING in problems(verdict)
        mixed = any(name not in ("healthy", "degraded") for name in names) and set(names) != {"unreachable"}
        assert flapping == mixed, names


def test_no_sample_is_unknown() -> None:
    assert isinstance(combine([]), Unknown)


def test_a_finding_says_in_how_many_samples_it_was_made() -> None:
    verdict = combine([KINDS["healthy"], KINDS["degraded"], KINDS["healthy"]])
    assert [finding.detail for finding in verdict.findings] == ["1 of 30 (in 1 of 3 samples)"]
    always = combine([KINDS["degraded"]] * 3)
    assert [finding.detail for finding in always.findings] == ["1 of 30"]


def test_evidence_shows_the_newest_figures() -> None:
    samples = (
        Sample(ANSWERED, canary=CanaryRefused(), mirror=MirrorState((SOURCE,), 9.0, 70)),
        Sample(ANSWERED, canary=CanaryRefused(), mirror=MirrorState((SOURCE,), 2.0, 12)),
        Sample(Silent("timed out")),
    )
    health = RegionHealth("tokyo", Role.STANDBY, combine([judge(sample, STANDBY) for sample in samples]), samples)
    assert health_to_json(health) == {
        "region": "tokyo",
        "role": "standby",
        "verdict": "degraded",
        "reasons": [
            {"problem": "flapping", "detail": "the cluster did not answer properly in 1 of 3 samples"},
            {"problem": "no_answer", "detail": "the cluster does not answer: timed out (in 1 of 3 samples)"},
        ],
        "samples": 3,
        "cluster_id": "id-a",
        "brokers": 3,
        "fenced": True,
        "heartbeat_age_seconds": 2.0,
        "records_left_at_most": 12,
    }
