"""One message when a job begins to fail, one when it works again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.alerts import ALERT_AFTER_SECONDS, Alert, AlertKind, AlertState


def told(period: float, outcomes: str) -> list[str]:
    """What is told after each run: ``x`` failed, ``.`` succeeded."""
    state, now, said = AlertState(), 0.0, []
    for outcome in outcomes:
        state = state.after(failed=outcome == "x", now=now)
        kind = state.due(now, period)
        said.append("-" if kind is None else kind.name[0])
        if kind is not None:
            state = state.sent(kind)
        now += period
    return said


@pytest.mark.parametrize(
    ("period", "outcomes", "expected"),
    [
        (3600, ".x.", "-FW"),
        (3600, ".xxxx.x", "-F---WF"),
        (60, "x", "F"),
        (10, "xxxxx.", "------"),
        (10, "xxxxxx.", "-----FW"),
        (10, "xxx.xxx.", "--------"),
        (10, "xxxxxxxxx..x", "-----F---W--"),
        (30, "xx.", "-FW"),
    ],
)
def test_what_is_told(period: float, outcomes: str, expected: str) -> None:
    assert "".join(told(period, outcomes)) == expected


@given(st.floats(0.5, 7200), st.text("x.", max_size=60))
def test_messages_alternate_and_never_come_without_a_reason(period: float, outcomes: str) -> None:
    said = told(period, outcomes)
    messages = [one for one in said if one != "-"]
    assert messages == ["F", "W"] * (len(messages) // 2) + ["F"] * (len(messages) % 2)
    for outcome, one in zip(outcomes, said, strict=True):
        assert one == "-" or (one == "F") == (outcome == "x")


@given(st.floats(0.5, 7200), st.integers(1, 200))
def test_a_failure_that_lasts_is_told_by_the_next_moment(period: float, failures: int) -> None:
    said = told(period, "x" * failures)
    assert ("F" in said) == (failures * period >= ALERT_AFTER_SECONDS)


def test_what_could_not_be_sent_stays_due() -> None:
    state = AlertState().after(failed=True, now=0.0)
    assert state.due(0.0, 3600) is AlertKind.FAILING
    state = state.after(failed=True, now=3600.0)
    assert state.due(3600.0, 3600) is AlertKind.FAILING
    state = state.sent(AlertKind.FAILING).after(failed=False, now=7200.0)
    assert state.due(7200.0, 3600) is AlertKind.WORKS_AGAIN
    state = state.after(failed=False, now=10_800.0)
    assert state.due(10_800.0, 3600) is AlertKind.WORKS_AGAIN


def test_nobody_who_was_not_told_of_a_failure_is_told_of_its_end() -> None:
    state = AlertState().after(failed=True, now=0.0).after(failed=False, now=3600.0)
    assert state.due(3600.0, 3600) is None


@given(st.text(max_size=300), st.text(max_size=20_000))
def test_a_message_is_one_that_sns_takes(subject: str, text: str) -> None:
    alert = Alert.of(AlertKind.FAILING, f"FAILING {subject}", text)
    assert len(alert.subject) < 100
    assert alert.subject.isascii()
    assert alert.subject.isprintable()
    assert len(alert.text.encode()) <= 262_144
