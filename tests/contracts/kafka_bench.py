"""A Kafka cluster under test: drkit's reader and writer of it, and what others do to it. Fake and real."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any, Literal, Protocol

from confluent_kafka import Consumer, Producer, ShareConsumer
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from drkit.adapters.kafka.acl_wire import to_binding, to_filter
from drkit.domain.inventory import ScramUser
from drkit.domain.kafka import Acl, TopicPartition
from drkit.ports import InventoryReader, InventoryWriter, KafkaReader, KafkaWriter
from tests.fakes.kafka import FakeKafka
from tests.waiting import PATIENCE_SECONDS, eventually

Headers = tuple[tuple[str, bytes | None], ...]
DRKIT = "User:drkit"


class Inventory(InventoryReader, InventoryWriter, Protocol):
    """Both ports."""


class OpenTransaction(Protocol):
    """A transaction of another producer."""

    def commit(self) -> None:
        """End it."""

    def abort(self) -> None:
        """End it."""


class KafkaBench(Protocol):
    """What a contract needs of a cluster. Everything that is made is gone when the test is over."""

    reader: KafkaReader
    writer: KafkaWriter
    inventory: Inventory

    def name(self) -> str:
        """A name that nothing has; a topic, group or ACL resource of this name is removed with the bench."""

    def topic(self, partitions: int = 1, **configs: str) -> str:
        """A topic of its own (underscores in names of configs stand for dots)."""

    def drop(self, topic: str) -> None:
        """Delete a topic."""

    def write(
        self,
        partition: TopicPartition,
        values: Iterable[bytes | None],
        *,
        key: bytes | None = None,
        headers: Headers = (),
        at_ms: int = 0,
    ) -> None:
        """Append records."""

    def begin(self, partition: TopicPartition, values: Iterable[bytes]) -> OpenTransaction:
        """Append records in a transaction, which stays open."""

    def begin_commit(self, group: str, partition: TopicPartition, offset: int) -> Callable[[], None]:
        """Commit an offset in a transaction, which stays open until what is returned is called."""

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Move the log start."""

    def member(self, group: str, topic: str, protocol: Literal["classic", "consumer"] = "classic") -> Any:
        """A context manager: a consumer of another is a member of the group."""

    def share_member(self, group: str, topic: str) -> AbstractContextManager[None]:
        """A consumer of another is a member of a share group."""

    def put_acls(self, *acls: Acl) -> None:
        """An administrator adds bindings."""

    def user(self, **iterations: int) -> str:
        """A SCRAM user of its own (underscores in names of mechanisms stand for hyphens)."""


def rule(
    resource: str, name: str, operation: str, permission: str, *, principal: str = DRKIT, pattern: str = "literal"
) -> Acl:
    """A binding for any host."""
    return Acl(resource, name, pattern, principal, "*", operation, permission)


def open_to_all(resource: str, name: str) -> Acl:
    """Without it a first binding on a resource would shut everybody else out."""
    return rule(resource, name, "all", "allow", principal="User:*")


class FakeBench:
    """In memory."""

    def __init__(self) -> None:
        self.kafka = FakeKafka("here")
        self.reader: KafkaReader = self.kafka
        self.writer: KafkaWriter = self.kafka
        self.inventory: Inventory = self.kafka
        self._names = 0

    def name(self) -> str:
        self._names += 1
        return f"contract-{self._names}"

    def topic(self, partitions: int = 1, **configs: str) -> str:
        name = self.name()
        self.kafka.cluster.create(name, partitions, {key.replace("_", "."): value for key, value in configs.items()})
        return name

    def drop(self, topic: str) -> None:
        self.kafka.cluster.drop(topic)

    def write(
        self,
        partition: TopicPartition,
        values: Iterable[bytes | None],
        *,
        key: bytes | None = None,
        headers: Headers = (),
        at_ms: int = 0,
    ) -> None:
        for value in values:
            self.kafka.cluster.logs[partition].append(value, key=key, headers=headers, at_ms=at_ms)

    def begin(self, partition: TopicPartition, values: Iterable[bytes]) -> OpenTransaction:
        return self.kafka.cluster.begin(partition, *values)

    def begin_commit(self, group: str, partition: TopicPartition, offset: int) -> Callable[[], None]:
        self.kafka.cluster.pending[group] = {partition: offset}
        return lambda: self.kafka.cluster.commit(group, self.kafka.cluster.pending.pop(group))

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        self.kafka.cluster.logs[partition].delete_before(offset)

    @contextmanager
    def member(self, group: str, topic: str, protocol: str = "classic") -> Iterator[None]:
        self.kafka.cluster.join(group)
        if protocol == "consumer":
            self.kafka.cluster.consumer_groups.add(group)
        yield
        self.kafka.cluster.leave(group)

    @contextmanager
    def share_member(self, group: str, topic: str) -> Iterator[None]:
        self.kafka.cluster.foreign_groups[group] = "share"
        yield

    def put_acls(self, *acls: Acl) -> None:
        self.kafka.cluster.acls.update(acls)

    def user(self, **iterations: int) -> str:
        name = self.name()
        self.kafka.cluster.users[name] = ScramUser(name, {m.replace("_", "-"): n for m, n in iterations.items()})
        return name


class RealBench:
    """A broker of the sandbox. ``others``: settings of its administrator, a super user."""

    def __init__(
        self,
        reader: KafkaReader,
        writer: KafkaWriter,
        inventory: Inventory,
        others: Mapping[str, Any],
        admin: AdminClient,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.inventory = inventory
        self._others = {**others, "log_level": 0}
        self._admin = admin
        self._names: list[str] = []
        self._acls: list[Acl] = []
        self._users: list[UserScramCredentialDeletion] = []
        self._producer = Producer({**self._others, "linger.ms": 5, "acks": "all"})
        self._transactional: list[Producer] = []

    def name(self) -> str:
        self._names.append(f"contract-{uuid.uuid4().hex[:12]}")
        return self._names[-1]

    def topic(self, partitions: int = 1, **configs: str) -> str:
        name = self.name()
        settings = {key.replace("_", "."): value for key, value in configs.items()}
        self._admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(PATIENCE_SECONDS)
        eventually(
            lambda: name in self._admin.list_topics(timeout=PATIENCE_SECONDS).topics,
            timeout_seconds=PATIENCE_SECONDS,
            because="it was created",
        )
        return name

    def drop(self, topic: str) -> None:
        self._admin.delete_topics([topic])[topic].result(PATIENCE_SECONDS)
        eventually(
            lambda: topic not in self._admin.list_topics(timeout=PATIENCE_SECONDS).topics,
            timeout_seconds=PATIENCE_SECONDS,
            because="it is deleted",
        )

    def write(
        self,
        partition: TopicPartition,
        values: Iterable[bytes | None],
        *,
        key: bytes | None = None,
        headers: Headers = (),
        at_ms: int = 0,
    ) -> None:
        for value in values:
            self._producer.produce(
                partition.topic, value, key, partition.partition, timestamp=at_ms, headers=list(headers)
            )
        assert self._producer.flush(PATIENCE_SECONDS) == 0

    def begin(self, partition: TopicPartition, values: Iterable[bytes]) -> OpenTransaction:
        producer = Producer({**self._others, "transactional.id": self.name(), "linger.ms": 5})
        self._transactional.append(producer)
        producer.init_transactions(PATIENCE_SECONDS)
        producer.begin_transaction()
        for value in values:
            producer.produce(partition.topic, value, partition=partition.partition)
        assert producer.flush(PATIENCE_SECONDS) == 0
        return _RealTransaction(producer, lambda: self.reader.log_ranges([partition])[partition].end)

    def begin_commit(self, group: str, partition: TopicPartition, offset: int) -> Callable[[], None]:
        producer = Producer({**self._others, "transactional.id": self.name()})
        self._transactional.append(producer)
        producer.init_transactions(PATIENCE_SECONDS)
        producer.begin_transaction()
        consumer = Consumer({**self._others, "group.id": group})
        try:
            held = [Position(partition.topic, partition.partition, offset)]
            producer.send_offsets_to_transaction(held, consumer.consumer_group_metadata(), PATIENCE_SECONDS)
        finally:
            consumer.close()
        return lambda: producer.commit_transaction(PATIENCE_SECONDS)

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        position = Position(partition.topic, partition.partition, offset)
        self._admin.delete_records([position])[position].result(PATIENCE_SECONDS)

    @contextmanager
    def member(self, group: str, topic: str, protocol: str = "classic") -> Iterator[None]:
        settings = {**self._others, "group.id": group, "client.id": "app", "group.protocol": protocol}
        consumer = Consumer(settings)
        stop = threading.Event()
        assigned = threading.Event()
        consumer.subscribe([topic], on_assign=lambda *_: assigned.set())

        def keep_polling() -> None:
            while not stop.is_set():
                consumer.poll(0.05)

        thread = threading.Thread(target=keep_polling)
        thread.start()
        try:
            assert assigned.wait(PATIENCE_SECONDS)
            yield
        finally:
            stop.set()
            thread.join()
            consumer.close()

    @contextmanager
    def share_member(self, group: str, topic: str) -> Iterator[None]:
        consumer = ShareConsumer({**self._others, "group.id": group})
        consumer.subscribe([topic])

        def is_there() -> bool:
            consumer.poll(0.2)
            return group in self.reader.foreign_groups()

        try:
            eventually(is_there, timeout_seconds=PATIENCE_SECONDS, because="its member has joined")
            yield
        finally:
            consumer.close()

    def put_acls(self, *acls: Acl) -> None:
        self._acls.extend(acls)
        for future in self._admin.create_acls([to_binding(acl) for acl in acls]).values():
            future.result(PATIENCE_SECONDS)

    def user(self, **iterations: int) -> str:
        name = self.name()
        for mechanism, number in iterations.items():
            info = ScramCredentialInfo(ScramMechanism[mechanism], number)
            made = self._admin.alter_user_scram_credentials([UserScramCredentialUpsertion(name, info, b"secret")])
            made[name].result(PATIENCE_SECONDS)
            self._users.append(UserScramCredentialDeletion(name, info.mechanism))
        return name

    def close(self) -> None:
        """Remove everything. What cannot be removed keeps nothing else from being removed, and is an error."""
        with suppress(Exception):
            self._end_transactions()
        with ExitStack() as removals:
            removals.callback(self._remove_topics)
            removals.callback(self._remove_acls)
            removals.callback(self._remove_groups)
            removals.callback(self._remove_users)

    def _remove_users(self) -> None:
        for deletion in self._users:
            _finish(self._admin.alter_user_scram_credentials([deletion]))

    def _remove_groups(self) -> None:
        listed = {g.group_id for g in self._admin.list_consumer_groups().result(PATIENCE_SECONDS).valid}
        groups = (listed | self.reader.foreign_groups().keys()) & set(self._names)
        _finish(self._admin.delete_consumer_groups(sorted(groups)) if groups else {})

    def _remove_acls(self) -> None:
        own = [acl for acl in self.reader.acls() if any(name in acl.resource_name for name in self._names)]
        filters = [to_filter(acl) for acl in {*own, *self._acls}]
        _finish(self._admin.delete_acls(filters) if filters else {})

    def _remove_topics(self) -> None:
        names = set(self._admin.list_topics(timeout=PATIENCE_SECONDS).topics) & set(self._names)
        _finish(self._admin.delete_topics(sorted(names)) if names else {})

    def _end_transactions(self) -> None:
        for producer in self._transactional:
            producer.abort_transaction(PATIENCE_SECONDS)


class _RealTransaction:
    def __init__(self, producer: Producer, log_end: Callable[[], int]) -> None:
        self._producer = producer
        self._log_end = log_end

    def commit(self) -> None:
        with self._marker():
            self._producer.commit_transaction(PATIENCE_SECONDS)

    def abort(self) -> None:
        with self._marker():
            self._producer.abort_transaction(PATIENCE_SECONDS)

    @contextmanager
    def _marker(self) -> Iterator[None]:
        before = self._log_end()
        yield
        eventually(
            lambda: self._log_end() > before,
            timeout_seconds=PATIENCE_SECONDS,
            because="the end of it is marked",
            every=0.02,
        )


def _finish(asked: Mapping[Any, Any]) -> None:
    for future in asked.values():
        future.result(PATIENCE_SECONDS)


def partitions_of(topic: str, count: int) -> Sequence[TopicPartition]:
    """Its partitions."""
    return [TopicPartition(topic, number) for number in range(count)]
