"""The mode decision, enumerated: every request, source, target and flag."""

from __future__ import annotations

from itertools import product

import pytest

from drkit.domain.health import Degraded, Finding, Healthy, Problem, Unknown, Unreachable, Verdict
from drkit.domain.mode import FailoverMode, ModeChosen, ModeRefused, RequestedMode, decide_mode

FLAPPING = Finding(Problem.FLAPPING, "1 of 3")
VERDICTS: dict[str, Verdict] = {
    "healthy": Healthy(),
    "degraded": Degraded((FLAPPING,)),
    "unreachable": Unreachable((Finding(Problem.NO_ANSWER, "timed out"),)),
    "unknown": Unknown((Finding(Problem.CONTRADICTION, "yet up"),)),
}
PLANNED, DISASTER, REFUSED = "planned", "disaster", "refused"

TABLE = {
    # requested, source: (without, with --source-is-gone)
    ("auto", "healthy"): (PLANNED, DISASTER),
    ("auto", "degraded"): (PLANNED, DISASTER),
    ("auto", "unreachable"): (DISASTER, DISASTER),
    ("auto", "unknown"): (REFUSED, DISASTER),
    ("planned", "healthy"): (PLANNED, REFUSED),
    ("planned", "degraded"): (PLANNED, REFUSED),
    ("planned", "unreachable"): (REFUSED, REFUSED),
    ("planned", "unknown"): (REFUSED, REFUSED),
    ("disaster", "healthy"): (REFUSED, DISASTER),
    ("disaster", "degraded"): (REFUSED, DISASTER),
    ("disaster", "unreachable"): (DISASTER, DISASTER),
    ("disaster", "unknown"): (REFUSED, DISASTER),
}


def outcome(requested: str, source: str, target: Verdict, *, gone: bool) -> str:
    decision = decide_mode(RequestedMode(requested), VERDICTS[source], target, source_is_gone=gone)
    return decision.mode.value if isinstance(decision, ModeChosen) else REFUSED


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(product(RequestedMode, VERDICTS))


@pytest.mark.parametrize(("requested", "source"), TABLE)
def test_the_source_decides_when_the_target_is_healthy(requested: str, source: str) -> None:
    without, with_flag = TABLE[requested, source]
    assert outcome(requested, source, Healthy(), gone=False) == without
    assert outcome(requested, source, Healthy(), gone=True) == with_flag


@pytest.mark.parametrize(("requested", "source"), TABLE)
@pytest.mark.parametrize("target", ["unreachable", "unknown"])
def test_a_target_that_does_not_answer_properly_refuses_everything(requested: str, source: str, target: str) -> None:
    for gone in (False, True):
        assert outcome(requested, source, VERDICTS[target], gone=gone) == REFUSED


# Every problem that a target which answers can have: (refuses planned, refuses disaster).
PROBLEMS = {
    Problem.FLAPPING: (True, False),
    Problem.NO_ANSWER: (False, False),  # only ever together with FLAPPING
    Problem.CONTRADICTION: (False, False),  # likewise
    Problem.PARTITIONS_UNREADABLE: (True, True),
    Problem.LEADERLESS: (True, True),
    Problem.BELOW_MIN_ISR: (True, True),
    Problem.UNDER_REPLICATED: (False, False),
    Problem.CANARY_FAILED: (True, True),
    Problem.CANARY_SLOW: (False, False),
    Problem.PRIMARY_FENCED: (False, False),
    Problem.STANDBY_OPEN: (True, False),
    Problem.MIRROR_UNREADABLE: (True, True),
    Problem.CONNECTOR_MISSING: (True, False),
    Problem.CONNECTOR_NOT_RUNNING: (True, False),
    Problem.NO_TASK: (True, False),
    Problem.TASK_FAILED: (True, False),
    Problem.SIDE_CONNECTOR: (False, False),
    Problem.HEARTBEAT_OLD: (False, False),
    Problem.PROBE_DOWN: (True, False),
    Problem.PROBE_SILENT: (True, False),
}


def test_every_problem_that_leaves_a_region_degraded_is_decided() -> None:
    # These two make a region unknown, and an unknown target is refused anyway.
    assert set(Problem) - set(PROBLEMS) == {Problem.CREDENTIALS, Problem.OTHER_CLUSTER}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_degraded_target(problem: Problem) -> None:
    target = Degraded((Finding(problem, "this is wrong"),))
    for mode, source, refuses in zip((PLANNED, DISASTER), ("healthy", "unreachable"), PROBLEMS[problem], strict=True):
        decision = decide_mode(RequestedMode.AUTO, VERDICTS[source], target)
        if refuses:
            assert isinstance(decision, ModeRefused)
            assert "this is wrong" in decision.reason
            assert decision.hint
        else:
            assert isinstance(decision, ModeChosen)
            assert decision.mode.value == mode
            assert "this is wrong" in decision.warnings


def test_a_refusal_says_what_to_do() -> None:
    refused = decide_mode(RequestedMode.PLANNED, VERDICTS["unreachable"], Healthy())
    assert refused == ModeRefused(
        "planned mode drains a source that answers, and the source is unreachable: timed out",
        "drkit failover --mode disaster moves without the source",
    )
    answers = decide_mode(RequestedMode.DISASTER, VERDICTS["healthy"], Healthy())
    assert isinstance(answers, ModeRefused)
    assert "--source-is-gone" in answers.hint


def test_what_is_wrong_with_a_source_that_answers_is_a_warning() -> None:
    decision = decide_mode(RequestedMode.AUTO, VERDICTS["degraded"], Healthy())
    assert decision == ModeChosen(FailoverMode.PLANNED, "the source answers", ("1 of 3",))
    gone = decide_mode(RequestedMode.DISASTER, VERDICTS["degraded"], Healthy(), source_is_gone=True)
    assert isinstance(gone, ModeChosen)
    assert gone.warnings == ("the source still answers: 1 of 3",)


@pytest.mark.parametrize("problem", [Problem.CONNECTOR_MISSING, Problem.CONNECTOR_NOT_RUNNING, Problem.TASK_FAILED])
def test_what_mends_the_mirror_is_named(problem: Problem) -> None:
    target = Degraded((Finding(problem, "the connector a.source does not exist"),))
    found = decide_mode(RequestedMode.PLANNED, Healthy(), target)
    assert isinstance(found, ModeRefused)
    assert found.hint.startswith("drkit mm2 apply --resume ")
    other = decide_mode(RequestedMode.PLANNED, Healthy(), Degraded((Finding(Problem.PROBE_DOWN, "down"),)))
    assert isinstance(other, ModeRefused)
    assert "mm2 apply" not in other.hint
