"""Which client a connection asks: the one at hand, or a new one behind one that was not answered (decision 0011)."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from drkit.adapters.kafka.client import Connection
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


def unanswered() -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    return future


def test_a_client_is_kept_as_long_as_it_is_answered() -> None:
    connection = Scripted(lambda: Admin(HERE, "a"))
    assert connection.metadata() is connection.admin.answer
    assert connection.metadata().cluster_id == "a"
    assert len(connection.made) == 1


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


def test_a_refusal_is_an_answer() -> None:
    connection = Scripted(lambda: Admin(HERE, "a"))
    first = connection.admin
    refused: Future[Any] = Future()
    refused.set_exception(KafkaException(KafkaError(KafkaError.INVALID_PARTITIONS)))
    with pytest.raises(RefusedError):
        connection.wait("partitions", refused)
    assert connection.admin is first


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
