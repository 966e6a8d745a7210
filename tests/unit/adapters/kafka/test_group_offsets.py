"""Final positions come from coordinators that know all that was committed, and that stay meanwhile (decision 0012)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Position

from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.group_offsets import commit_for, read_positions
from drkit.domain.inventory import CommittedPosition
from drkit.domain.kafka import TopicPartition
from drkit.errors import UnreachableError

OFFSETS = "__consumer_offsets"
P = TopicPartition("orders", 0)


def done(value: object) -> Future[Any]:
    future: Future[Any] = Future()
    if isinstance(value, KafkaException):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


class Cluster:
    """An admin client. ``epochs``: of the one coordinator, look by look; None while its log's end is not told."""

    def __init__(self, epochs: Iterator[int | None], *, has_offsets: bool = True) -> None:
        topics = {OFFSETS: SimpleNamespace(error=None, partitions={0: None})} if has_offsets else {}
        self.answer = SimpleNamespace(brokers={1: None}, cluster_id="a", topics=topics)
        self.epochs = epochs
        self.calls: list[str] = []

    def list_topics(self, timeout: float) -> Any:
        return self.answer

    def poll(self, seconds: float) -> None:
        """Nothing to say."""

    def list_offsets(self, specs: Mapping[Any, Any], **_: Any) -> dict[Any, Future[Any]]:
        epoch = next(self.epochs)
        self.calls.append(f"end in epoch {epoch}")
        untold = KafkaException(KafkaError(KafkaError.OFFSET_NOT_AVAILABLE))
        found = untold if epoch is None else SimpleNamespace(leader_epoch=epoch)
        return {p: done(found) for p in specs}

    def list_consumer_group_offsets(self, asked: Any, *, require_stable: bool, **_: Any) -> dict[str, Future[Any]]:
        self.calls.append(f"offsets, stable {require_stable}")
        group = asked[0].group_id
        position = Position(P.topic, P.partition, len(self.calls))
        return {group: done(ConsumerGroupTopicPartitions(group, [position]))}


class Connected(Connection):
    """Its one client is the test's."""

    def __init__(self, cluster: Cluster, seconds: float = 60.0) -> None:
        super().__init__("here", {}, seconds)
        self._cluster = cluster

    def client(self, kind: Any, **more: Any) -> Any:
        return self._cluster


def read(cluster: Cluster, *, stable: bool, seconds: float = 60.0) -> CommittedPosition:
    return read_positions(Connected(cluster, seconds), ["shop"], stable=stable)["shop"][P]


def test_a_coordinator_that_stays_is_read_once() -> None:
    cluster = Cluster(iter([7, 7]))
    assert read(cluster, stable=True).offset == 2
    assert cluster.calls == ["end in epoch 7", "offsets, stable True", "end in epoch 7"]


def test_one_that_has_moved_meanwhile_is_read_again() -> None:
    cluster = Cluster(iter([7, 8, 8, 8]))
    assert read(cluster, stable=True).offset == 5
    assert cluster.calls[3:] == ["end in epoch 8", "offsets, stable True", "end in epoch 8"]


def test_one_that_does_not_know_yet_what_is_replicated_is_waited_for() -> None:
    cluster = Cluster(iter([None, None, 8, 8]))
    assert read(cluster, stable=True).offset == 4
    assert cluster.calls[:3] == ["end in epoch None", "end in epoch None", "end in epoch 8"]


def test_those_that_keep_moving_are_unreachable() -> None:
    with pytest.raises(UnreachableError, match="their coordinators keep moving"):
        read(Cluster(iter(range(1_000_000))), stable=True, seconds=0.2)


def test_what_is_not_final_is_read_at_once() -> None:
    cluster = Cluster(iter([]))
    assert read(cluster, stable=False).offset == 1
    assert cluster.calls == ["offsets, stable False"]


def test_where_the_topic_may_not_be_described_nothing_is_known_of_coordinators() -> None:
    cluster = Cluster(iter([]), has_offsets=False)
    assert read(cluster, stable=True).offset == 1


class Commits(Cluster):
    """Its coordinator knows of the topic at the given commit."""

    def __init__(self, known_at: int) -> None:
        super().__init__(iter([]))
        self.known_at = known_at

    def alter_consumer_group_offsets(self, asked: Any, **_: Any) -> dict[str, Future[Any]]:
        self.calls.append("commit")
        (request,) = asked
        unknown = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART) if len(self.calls) < self.known_at else None
        answer = [
            SimpleNamespace(topic=p.topic, partition=p.partition, error=unknown) for p in request.topic_partitions
        ]
        return {request.group_id: done(SimpleNamespace(topic_partitions=answer))}


def committed(cluster: Commits, monkeypatch: pytest.MonkeyPatch) -> tuple[list[TopicPartition], float]:
    """What was not committed, and for how long that was tried."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr("drkit.adapters.kafka.group_offsets.time", clock)
    failed = commit_for(Connected(cluster), "shop", [Position(P.topic, P.partition, 7)])
    return [failure.partition for failure in failed], now[0]


def test_a_coordinator_that_has_not_heard_of_the_topic_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Commits(known_at=3)
    failed, seconds = committed(cluster, monkeypatch)
    assert failed == []
    assert seconds == pytest.approx(0.2)
    assert cluster.calls == ["commit"] * 3


def test_a_topic_that_is_not_there_is_not_waited_for_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes may be waiting meanwhile, and other groups."""
    failed, seconds = committed(Commits(known_at=1_000_000), monkeypatch)
    assert failed == [P]
    assert seconds == pytest.approx(2.0, abs=0.2)
