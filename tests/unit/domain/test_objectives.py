"""Forecasts against objectives and accepted risks."""

from __future__ import annotations

from itertools import product

import pytest

from drkit.domain.lag import Amount, AtMost, Estimated, Exactly, NotKnown
from drkit.domain.objectives import Acceptance, Accepted, Allowed, Forecast, Limits, Refused, hold_against, rounded_up

LIMITS = Limits(rpo_records=10, rpo_seconds=5.0, replay_records=100)
UNKNOWN = NotKnown("the source does not answer")
NOTHING = Exactly(0)


def judge(
    loss: Amount, seconds: float | None, replay: Amount, accept_loss: Acceptance, accept_replay: Acceptance
) -> Allowed | Refused:
    return hold_against(Forecast(loss, seconds, replay), LIMITS, Accepted(accept_loss, accept_replay))


def is_enough(accepted: Acceptance, needs: Acceptance) -> bool:
    if isinstance(needs, int):
        return accepted == "unknown" or (isinstance(accepted, int) and accepted >= needs)
    return needs is None or accepted == "unknown"


@pytest.mark.parametrize(
    ("loss", "seconds", "needs"),
    [
        (NOTHING, None, None),
        (NOTHING, 99.0, None),
        (AtMost(0), None, None),
        (Exactly(10), 5.0, None),
        (AtMost(10), 5.0, None),
        (Exactly(11), 5.0, 11),
        (AtMost(11), 5.0, 11),
        (Exactly(1), 5.1, 1),
        (Exactly(1), None, 1),
        (UNKNOWN, None, "unknown"),
        (NotKnown("why", 5), 1.0, "unknown"),
        (Estimated(0, 5, 11, "rate"), 1.0, 11),
        (Estimated(0, 0, 0, "rate"), 0.0, 0),
        (Estimated(0, 5, 10, "rate"), None, 10),
    ],
)
def test_loss(loss: Amount, seconds: float | None, needs: Acceptance) -> None:
    acceptances: list[Acceptance] = [None, 0, 1, 10, 11, 12, "unknown"]
    for accepted in acceptances:
        found = judge(loss, seconds, NOTHING, accepted, None)
        assert isinstance(found, Allowed) == is_enough(accepted, needs), accepted
        if isinstance(found, Refused):
            assert found.flags == (f"--accept-loss {needs}",)


def test_an_estimate_is_within_no_objective_and_is_accepted_by_what_it_may_come_to() -> None:
    estimate = Estimated(1, 1234, 5671, "rate")
    refused = judge(estimate, 6.0, NOTHING, None, None)
    reason = "about 1234 (at least 1, 5671 at the highest rate seen) records would be lost; the objective is 10"
    assert refused == Refused(
        (f"{reason}, and an estimate is no bound", "6.0 s of records would be lost; the objective is 5 s"),
        ("--accept-loss 5700",),
    )
    assert isinstance(judge(estimate, 6.0, NOTHING, 5670, None), Refused)
    allowed = judge(estimate, 1.0, NOTHING, 5671, None)
    assert allowed == Allowed((f"--accept-loss 5671: {reason}, and an estimate is no bound",))


@pytest.mark.parametrize(("records", "flag"), [(0, 0), (7, 7), (99, 99), (100, 100), (101, 110), (99_001, 100_000)])
def test_a_flag_has_two_digits_and_is_enough(records: int, flag: int) -> None:
    assert rounded_up(records) == flag


@pytest.mark.parametrize(
    ("replay", "needs"),
    [(NOTHING, None), (AtMost(100), None), (AtMost(101), 101), (Exactly(101), 101), (UNKNOWN, "unknown")],
)
def test_replay(replay: Amount, needs: Acceptance) -> None:
    acceptances: list[Acceptance] = [None, 0, 100, 101, "unknown"]
    for accepted in acceptances:
        found = judge(NOTHING, 0.0, replay, None, accepted)
        assert isinstance(found, Allowed) == is_enough(accepted, needs), accepted
        if isinstance(found, Refused):
            assert found.flags == (f"--accept-replay {needs}",)


def test_one_flag_per_risk() -> None:
    for accept_loss, accept_replay in product((None, "unknown"), repeat=2):
        found = judge(UNKNOWN, None, UNKNOWN, accept_loss, accept_replay)  # type: ignore[arg-type]
        wanted = [
            flag
            for flag, accepted in (("--accept-loss unknown", accept_loss), ("--accept-replay unknown", accept_replay))
            if accepted is None
        ]
        assert (list(found.flags) if isinstance(found, Refused) else []) == wanted


def test_reasons_are_told_and_what_was_accepted_is_recorded() -> None:
    refused = judge(Exactly(12), 7.5, AtMost(300), None, None)
    assert refused == Refused(
        (
            "exactly 12 records would be lost; the objective is 10",
            "7.5 s of records would be lost; the objective is 5 s",
            "groups would read up to 300 records again; the objective is 100",
        ),
        ("--accept-loss 12", "--accept-replay 300"),
    )
    allowed = judge(Exactly(12), 1.0, NOTHING, 500, None)
    assert allowed == Allowed(("--accept-loss 500: exactly 12 records would be lost; the objective is 10",))
    assert judge(NOTHING, 0.0, NOTHING, 500, "unknown") == Allowed()
