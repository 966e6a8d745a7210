"""Which client a connection asks: the one at hand, or a new one behind one that was not answered (decision 0011)."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from drkit.adapters.kafka import list_offsets
from drkit.adapters.kafka.client import Connection
from drkit.domain.kafka import TopicPartition
from drkit.errors import RefusedError, UnreachableError

HERE = {1: SimpleNamespace(host="127.0.0.1", port=9092)}
SECONDS = 0.05


class Admin:
    """An admin client of a cluster that says what its test wants."""

    def __init__(self, brokers: Mapping[int, Any], cluster_id: str) -> None:
        self.answer = SimpleNamespace(brokers=brokers, cluster_id=cluster_id, topics={})

    def list_topics(self, timeout: float) -> Any:
        return self.answer

    def poll(self, seconds: float) -> None:
        """Nothing to say of the connection."""


class Scripted(Connection):
    """Its clients are made by the test."""

    def __init__(self, make: Callable[[], Admin]) -> None:
        super().__init__("here", {"bootstrap.servers": "127.0.0.1:1"}, SECONDS)
        self.made: list[weakref.ref[Admin]] = []
        self._make = make

    def client(self, kind: Any, **more: Any) -> Any:
        admin = self._make()
        self.made.append(weakref.ref(admin))
        return admin


def refused(error: KafkaError) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(KafkaException(error))
    return future


def failed(code: int) -> Future[Any]:
    return refused(KafkaError(code))


def unanswered() -> Future[Any]:
    return failed(KafkaError._TIMED_OUT)


def test_a_client_is_kept_as_long_as_it_is_answered() -> None:
    connection = Scripted(lambda: Admin(HERE, "a"))
    assert connection.metadata() is connection.admin.answer
    assert connection.metadata().cluster_id == "a"
    assert len(connection.made) == 1


def test_threads_that_ask_first_share_one_client() -> None:
    """One that was dropped would be destroyed with a request under way."""
    together = threading.Barrier(4)

    def make() -> Admin:
        together.wait(10)
        return Admin(HERE, "a")

    connection = Scripted(make)
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda _: connection.admin, range(4))]
    assert {id(one) for one in found} == {id(connection.admin)}


def test_a_cluster_without_a_broker_in_service_is_unreachable_and_asked_by_a_new_client() -> None:
    answers = iter([{}, HERE])
    connection = Scripted(lambda: Admin(next(answers), "a"))
    with pytest.raises(UnreachableError, match="here has no broker in service"):
        connection.metadata()
    assert connection.metadata().brokers == HERE
    assert len(connection.made) == 2


def test_behind_a_call_without_an_answer_a_new_client_asks() -> None:
    connection = Scripted(lambda: Admin(HERE, "a"))
    first = connection.admin
    with pytest.raises(UnreachableError):
        connection.wait("groups", unanswered())
    assert connection.admin is not first
    second = connection.admin
    with pytest.raises(UnreachableError):
        connection.wait("groups", Future())
    assert connection.admin is not second, "librdkafka itself said nothing until the deadline"


@pytest.mark.parametrize("code", [KafkaError.INVALID_PARTITIONS, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_what_a_broker_says_is_an_answer(code: int) -> None:
    connection = Scripted(lambda: Admin(HERE, "a"))
    first = connection.admin
    with pytest.raises(RefusedError):
        connection.wait("partitions", failed(code))
    assert connection.admin is first


class Moving(Admin):
    """Its partitions' leaders have moved; once the client has asked for metadata, it knows where."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(HERE, "a")
        self.error = error
        self.looks = 0
        self.requests: list[int] = []

    def list_topics(self, timeout: float) -> Any:
        self.looks += 1
        return super().list_topics(timeout)

    def list_offsets(self, specs: Mapping[Any, Any], **_: Any) -> dict[Any, Future[Any]]:
        self.requests.append(len(specs))
        assert len(self.requests) < 5, "asked in vain"
        if self.looks == 0:
            return {p: refused(self.error) for p in specs}
        found: dict[Any, Future[Any]] = {p: Future() for p in specs}
        for p, future in found.items():
            future.set_result(p.partition)
        return found


@pytest.mark.parametrize(
    "error",
    [
        KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION),
        KafkaError(KafkaError.FENCED_LEADER_EPOCH),
        KafkaError(KafkaError.UNKNOWN_LEADER_EPOCH),
        KafkaError(KafkaError.OFFSET_NOT_AVAILABLE),
        KafkaError(KafkaError._AUTHENTICATION, f"during the handshake: {KafkaError(KafkaError._TRANSPORT).str()}"),
    ],
    ids=["moved", "client behind", "broker behind", "elected", "handshake lost"],
)
def test_leaders_that_moved_are_waited_for_all_at_once(monkeypatch: pytest.MonkeyPatch, error: KafkaError) -> None:
    slept: list[float] = []
    monkeypatch.setattr("drkit.adapters.kafka.client.time", SimpleNamespace(monotonic=lambda: 0.0, sleep=slept.append))
    admin = Moving(error)
    connection = Scripted(lambda: admin)
    connection.timeout_seconds = 1.0
    partitions = [TopicPartition("orders", number) for number in range(1000)]
    answers = list_offsets.ask_offsets(connection, partitions, None, None)()
    assert answers == {p: p.partition for p in partitions}
    assert admin.requests == [1000, 1000]
    assert len(slept) == 1


def test_one_of_many_that_were_refused_together_is_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("drkit.adapters.kafka.client.time", SimpleNamespace(monotonic=lambda: 0.0, sleep=slept.append))
    connection = Scripted(lambda: Admin(HERE, "a"))
    connection.timeout_seconds = 1.0
    done: Future[Any] = Future()
    done.set_result("offsets")
    again = iter([failed(KafkaError.NOT_COORDINATOR), done])
    first = failed(KafkaError.NOT_COORDINATOR)
    assert connection.wait("offsets", first, lambda: next(again)) == "offsets"
    assert slept == [0.0, pytest.approx(0.1)]


def test_a_new_client_has_to_find_the_same_cluster() -> None:
    ids = iter(["a", "b", "a"])
    connection = Scripted(lambda: Admin(HERE, next(ids)))
    connection.metadata()
    with pytest.raises(UnreachableError):
        connection.wait("groups", unanswered())
    with pytest.raises(RefusedError, match="another cluster answers at here: b; it was a before"):
        _ = connection.admin
    assert connection.admin.answer.cluster_id == "a"


def test_the_same_client_may_not_find_another_cluster_either() -> None:
    connection = Scripted(lambda: Admin(HERE, "a"))
    connection.metadata()
    connection.admin.answer.cluster_id = "b"
    with pytest.raises(RefusedError, match="another cluster"):
        connection.metadata()


def test_a_client_that_was_left_is_kept_until_its_requests_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("drkit.adapters.kafka.client.time", SimpleNamespace(monotonic=lambda: now))
    connection = Scripted(lambda: Admin(HERE, "a"))

    def leave() -> None:
        _ = connection.admin
        with pytest.raises(UnreachableError):
            connection.wait("groups", unanswered())
        gc.collect()

    leave()
    now = SECONDS * 2
    leave()
    assert [one() is not None for one in connection.made] == [True, True]
    now = SECONDS * 4
    leave()
    assert [one() is not None for one in connection.made] == [False, True, True]
