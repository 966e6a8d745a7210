"""What decides about a client's life: its health, where DNS points, whether everything is read, calls that hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from drkit.sandbox.workload import client_health
from drkit.sandbox.workload.client_health import ALL_BROKERS_DOWN, ClientFailedError, ClientHealth
from drkit.sandbox.workload.discovery import Discovery, Side
from drkit.sandbox.workload.end_of_log import EndOfLog
from drkit.sandbox.workload.side_thread import SideThread
from tests.fakes.dns_server import dns_server
from tests.unit.sandbox.workload.sample import sample_settings

DOWN = KafkaError(ALL_BROKERS_DOWN)
REFUSED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
TRANSIENT = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time that a client's health goes by."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(client_health, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_refusal_is_final_and_the_first_reason_stays() -> None:
    health = ClientHealth()
    health.on_error(TRANSIENT)
    health.check()
    health.on_error(REFUSED)
    health.fail("later")
    with pytest.raises(ClientFailedError, match="TOPIC_AUTHORIZATION_FAILED"):
        health.check()


def test_what_is_fatal_is_final() -> None:
    health = ClientHealth()
    health.on_error(KafkaError(KafkaError.UNKNOWN, "unknown", True))
    assert health.reason == "UNKNOWN"


def test_a_client_that_never_reached_a_broker_fails_at_once() -> None:
    health = ClientHealth()
    health.on_error(DOWN)
    assert health.reason == "no broker answers"


def test_a_client_that_has_worked_waits_a_little_for_its_broker(clock: SimpleNamespace) -> None:
    health = ClientHealth()
    health.works()
    health.on_error(DOWN)
    clock.now += 1.0
    health.on_error(DOWN)
    assert health.reason is None
    clock.now += 0.6
    assert health.reason == "no broker answers"


def test_a_broker_that_comes_back_in_time_is_no_failure(clock: SimpleNamespace) -> None:
    health = ClientHealth()
    health.works()
    health.on_error(DOWN)
    clock.now += 1
    health.works()
    clock.now += 10
    health.check()


@pytest.mark.parametrize(
    ("record_type", "value"), [("A", "127.200.2.1"), ("TXT", "127.200.2.1:9092")], ids=["an address", "host and port"]
)
def test_a_side_is_found_by_the_name(record_type: str, value: str) -> None:
    with dns_server(lambda _name, asked: [value] if asked == record_type else None) as server:
        host, _, port = server.address.partition(":")
        settings = sample_settings(dns_address=host, dns_port=int(port), record_type=record_type)
        assert Discovery(settings).locate() == Side("ap-northeast-1", "127.200.2.1:9092")


@pytest.mark.parametrize("values", [None, ["10.0.0.1"]], ids=["no name", "an unknown address"])
def test_a_name_that_leads_nowhere_is_no_side(values: list[str] | None) -> None:
    with dns_server(lambda _name, _type: values) as server:
        host, _, port = server.address.partition(":")
        assert Discovery(sample_settings(dns_address=host, dns_port=int(port))).locate() is None


def test_no_name_server_is_no_side() -> None:
    assert Discovery(sample_settings()).locate() is None


class FakeConsumer:
    """Holds partitions; ``ends`` are all that there are, with their high watermarks."""

    def __init__(self, ends: Mapping[tuple[str, int], int]) -> None:
        self.ends = dict(ends)
        self.assigned = list(ends)

    def assignment(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(topic=topic, partition=partition) for topic, partition in self.assigned]

    def list_topics(self, wanted: str, timeout: float) -> SimpleNamespace:
        partitions = {partition: None for topic, partition in self.ends if topic == wanted}
        return SimpleNamespace(topics={wanted: SimpleNamespace(partitions=partitions)})

    def get_watermark_offsets(self, one: Any, timeout: float) -> tuple[int, int]:
        return 0, self.ends[one.topic, one.partition]


def test_everything_is_read_when_every_partition_is() -> None:
    consumer = FakeConsumer({("t", 0): 5, ("t", 1): 0, ("u", 0): 2})
    ends = EndOfLog(["t", "u"])
    ends.reached("t", 0, 5)
    ends.reached("t", 1, 0)
    assert not ends.all_reached(consumer)
    ends.reached("u", 0, 1)
    assert not ends.all_reached(consumer), "an open transaction is before its end"
    ends.reached("u", 0, 2)
    assert ends.all_reached(consumer)


def test_the_ends_are_those_of_the_first_question_until_there_was_more() -> None:
    consumer = FakeConsumer({("t", 0): 5})
    ends = EndOfLog(["t"])
    ends.reached("t", 0, 5)
    assert ends.all_reached(consumer)
    consumer.ends["t", 0] = 6
    assert ends.all_reached(consumer)
    ends.look_again()
    assert not ends.all_reached(consumer)
    ends.reached("t", 0, 6)
    assert ends.all_reached(consumer)


def test_a_partition_that_somebody_else_holds_is_not_read() -> None:
    consumer = FakeConsumer({("t", 0): 5, ("t", 1): 5})
    ends = EndOfLog(["t"])
    ends.reached("t", 0, 5)
    consumer.assigned = [("t", 0)]
    assert not ends.all_reached(consumer)


def test_a_topic_that_is_not_there_is_not_read() -> None:
    ends = EndOfLog(["t", "missing"])
    ends.reached("t", 0, 5)
    assert not ends.all_reached(FakeConsumer({("t", 0): 5}))


def test_after_a_new_assignment_nothing_is_read_yet() -> None:
    consumer = FakeConsumer({("t", 0): 5})
    ends = EndOfLog(["t"])
    ends.reached("t", 0, 5)
    assert ends.all_reached(consumer)
    ends.forget()
    assert not ends.all_reached(consumer)


def test_a_call_is_made_and_its_failure_is_raised() -> None:
    side = SideThread()
    made: list[str] = []
    side.call(lambda: made.append("once"), 10)
    assert made == ["once"]

    def fails() -> None:
        raise KafkaException(REFUSED)

    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        side.call(fails, 10)
    side.close(fails)


def test_a_call_that_hangs_is_left_and_nothing_closes_the_client_under_it() -> None:
    side = SideThread()
    released, closed = threading.Event(), threading.Event()
    with pytest.raises(ClientFailedError, match=r"no answer within 0\.05 s"):
        side.call(released.wait, 0.05)
    begun = time.monotonic()
    side.close(closed.set)
    assert time.monotonic() - begun < 5
    assert not closed.is_set()
    released.set()
    assert closed.wait(10)


def test_who_waits_for_a_call_can_be_told_to_leave() -> None:
    side = SideThread()
    released = threading.Event()

    def leave() -> None:
        raise ClientFailedError("elsewhere")

    begun = time.monotonic()
    with pytest.raises(ClientFailedError, match="elsewhere"):
        side.call(released.wait, 60, leave)
    assert time.monotonic() - begun < 10
    released.set()


def test_a_call_that_ends_late_but_in_time_has_ended() -> None:
    asked: list[int] = []
    SideThread().call(lambda: time.sleep(0.6), 10, lambda: asked.append(1))
    assert asked == [1]


def test_what_nobody_expected_of_a_call_reaches_the_thread_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _failure: reported.set())
    side = SideThread()
    with pytest.raises(ClientFailedError):
        side.call(lambda: 1 // 0, 0.2)
    assert reported.wait(10)
