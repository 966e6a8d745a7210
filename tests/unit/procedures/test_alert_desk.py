"""Who is told, when, and what happens when nobody can be."""

from __future__ import annotations

from drkit.domain.alerts import AlertKind
from drkit.domain.inventory import Part
from drkit.domain.schedules import JobSpec
from drkit.procedures.alert_desk import AlertDesk, RunEnd
from tests.fakes.alerts import FakeAlerter
from tests.fakes.clock import FakeClock
from tests.fakes.scripted import Fault

ALL, TOPICS = JobSpec(3600, None), JobSpec(1800, (Part.TOPICS,))


class Desk:
    """A desk whose thread is the test's."""

    def __init__(self, *, has_receiver: bool = True) -> None:
        self.clock = FakeClock()
        self.receiver = FakeAlerter()
        self.notes: list[str] = []
        receiver = self.receiver if has_receiver else None
        self.desk = AlertDesk(receiver, "shop staging", "host-1", self.clock, self.notes.append)

    def ended(self, *ends: tuple[JobSpec, str]) -> None:
        for spec, problem in ends:
            self.desk.tell(RunEnd(spec, bool(problem), problem, self.clock.monotonic()))
        assert self.desk.attend()

    @property
    def told(self) -> list[AlertKind]:
        return [alert.kind for alert in self.receiver.received]


def test_a_message_says_what_fails_where_since_when_and_why() -> None:
    desk = Desk()
    desk.ended((ALL, "cannot reach taipei: no broker answered"))
    (alert,) = desk.receiver.received
    assert alert.subject == "FAILING: drkit backup all of shop staging"
    for said in ("host-1", "every 1h", "1 times in a row", "no broker answered", "runbooks/scheduled-backups.md"):
        assert said in alert.text
    assert (desk.desk.sent, desk.desk.not_sent) == (1, 0)


def test_each_job_is_told_of_by_itself_and_once() -> None:
    desk = Desk()
    desk.ended((ALL, "dark"), (TOPICS, ""))
    desk.ended((ALL, "dark"), (TOPICS, "refused"))
    desk.ended((ALL, ""), (TOPICS, "refused"))
    assert [one.subject for one in desk.receiver.received] == [
        "FAILING: drkit backup all of shop staging",
        "FAILING: drkit backup topics of shop staging",
        "OK: drkit backup all of shop staging works again",
    ]


def test_what_could_not_be_sent_is_noted_and_sent_after_a_later_run() -> None:
    desk = Desk()
    desk.receiver.on_next("send", Fault.NOT_ARRIVED)
    desk.ended((ALL, "dark"))
    assert desk.told == []
    assert desk.notes == [f"nobody could be told that all is failing: {desk.notes[0].partition(': ')[2]}"]
    desk.clock.advance(59.0)
    desk.ended((ALL, "dark"))
    assert desk.told == [], "not again and again: the receiver is not well"
    desk.clock.advance(1.0)
    desk.ended((ALL, "dark"))
    assert desk.told == [AlertKind.FAILING]
    assert (desk.desk.sent, desk.desk.not_sent) == (1, 1)


def test_a_bug_in_sending_ends_nothing() -> None:
    desk = Desk()

    def bug() -> None:
        raise ZeroDivisionError

    desk.receiver.on_next("send", bug)
    desk.ended((ALL, "dark"))
    assert "ZeroDivisionError" in desk.notes[0]
    desk.clock.advance(60.0)
    desk.ended((ALL, "dark"))
    assert desk.told == [AlertKind.FAILING]


def test_runs_that_ended_while_a_message_was_sent_are_taken_together() -> None:
    desk = Desk()
    desk.ended((ALL, "dark"), (ALL, "dark"), (ALL, ""))
    assert desk.told == []


def test_with_nobody_to_tell_nothing_is_counted() -> None:
    desk = Desk(has_receiver=False)
    desk.ended((ALL, "dark"))
    desk.ended((ALL, ""))
    assert (desk.desk.sent, desk.desk.not_sent, desk.notes) == (0, 0, [])


def test_the_thread_ends_with_the_block() -> None:
    desk = Desk()
    with desk.desk.open(10.0):
        desk.desk.tell(RunEnd(ALL, True, "dark", 0.0))
    assert desk.told == [AlertKind.FAILING]
