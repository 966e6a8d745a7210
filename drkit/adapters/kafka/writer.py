"""``KafkaWriter`` on confluent-kafka."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from drkit.adapters.kafka.acl_wire import to_binding, to_filter
from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.committer import Committer
from drkit.adapters.kafka.failures import AUTHORIZATION, has_code, is_one_of, translated
from drkit.adapters.kafka.group_offsets import HAS_MEMBERS, commit_for, has_members
from drkit.domain.kafka import Acl, TopicPartition
from drkit.errors import DrkitError, RefusedError
from drkit.ports import PartitionFailure, ProbeOutcome

_UNKNOWN_TOPIC: Final = ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION")


class ConfluentWriter:
    """Changes on one cluster, with the results of every part looked at."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._producer: Any = None
        self._seen_topics: set[str] = set()
        self._committers: dict[str, Committer] = {}

    def warm_up(self, topic: str) -> None:
        """Connect the probe's producer to the topic's leader."""
        self._probe_producer(topic)

    def create_topic(self, name: str, *, partitions: int, replication_factor: int, configs: Mapping[str, str]) -> bool:
        """Make a topic; False if it was there."""
        from confluent_kafka.admin import NewTopic

        new = NewTopic(name, partitions, replication_factor, config=dict(configs))
        try:
            self._wait(f"create topic {name}", self._admin.create_topics([new], request_timeout=self._timeout)[name])
        except RefusedError as error:
            if has_code(error, ("TOPIC_ALREADY_EXISTS",)):
                return False
            raise
        return True

    def alter_topic_configs(self, topic: str, configs: Mapping[str, str]) -> None:
        """Set these configs and leave the others (KIP-339)."""
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

        if not configs:
            return
        entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in configs.items()]
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        asked = self._admin.incremental_alter_configs([resource], request_timeout=self._timeout)
        self._wait(f"alter configs of {topic}", asked[resource])

    def alter_group_offsets(self, group: str, offsets: Mapping[TopicPartition, int]) -> Sequence[PartitionFailure]:
        """Commit for a group without members."""
        from confluent_kafka import TopicPartition as Position

        positions = [Position(p.topic, p.partition, offset) for p, offset in offsets.items()]
        return commit_for(self._connection, group, positions)

    def delete_group(self, group: str) -> None:
        """Remove a group with all its offsets."""

        def ask() -> Any:
            return self._admin.delete_consumer_groups([group], request_timeout=self._timeout)[group]

        try:
            self._connection.wait(f"delete group {group}", ask(), ask)
        except RefusedError as error:
            if has_code(error, HAS_MEMBERS):
                raise has_members(group, self._connection.region) from error
            if not has_code(error, ("GROUP_ID_NOT_FOUND",)):
                raise

    def create_acls(self, acls: Collection[Acl]) -> None:
        """Add bindings, in order, in one request."""
        if not acls:
            return
        asked = self._admin.create_acls([to_binding(acl) for acl in acls], request_timeout=self._timeout)
        for future in asked.values():
            self._wait("create ACLs", future)

    def delete_acls(self, acls: Collection[Acl]) -> None:
        """Remove exactly these bindings."""
        if not acls:
            return
        asked = self._admin.delete_acls([to_filter(acl) for acl in acls], request_timeout=self._timeout)
        for future in asked.values():
            self._wait("delete ACLs", future)

    def probe_write(self, topic: str, value: bytes) -> tuple[ProbeOutcome, int]:
        """Produce one record with acks=all to partition 0."""
        from confluent_kafka import KafkaException

        error, offset = self._produce(topic, value)
        if error is None:
            return ProbeOutcome.ACCEPTED, offset
        # librdkafka remembers a refusal and goes on refusing by itself: the next probe must ask the broker again.
        self._producer = None
        if is_one_of(error, AUTHORIZATION):
            return ProbeOutcome.REFUSED, -1
        raise translated(KafkaException(error), f"write to {topic}", self._connection.region)

    def _produce(self, topic: str, value: bytes) -> tuple[Any, int]:
        from confluent_kafka import KafkaException

        answers: list[tuple[Any, Any]] = []
        producer = self._probe_producer(topic)
        try:
            producer.produce(
                topic, value, partition=0, on_delivery=lambda error, message: answers.append((error, message))
            )
        except KafkaException as refused:
            return refused.args[0], -1
        deadline = time.monotonic() + self._timeout + 1.0
        while not answers and time.monotonic() < deadline:
            producer.poll(0.01)
        if not answers:
            self._producer = None
            raise translated(None, f"write to {topic}", self._connection.region)
        error, message = answers[0]
        return error, -1 if error is not None else message.offset()

    def probe_commit(self, group: str, partition: TopicPartition, offset: int) -> ProbeOutcome:
        """Commit one offset as a member-less consumer."""
        from confluent_kafka import KafkaException

        committer = self._committers.setdefault(group, Committer(self._connection, group))
        failed = committer.commit(partition, offset)
        if failed is None:
            return ProbeOutcome.ACCEPTED
        if is_one_of(failed, AUTHORIZATION):
            return ProbeOutcome.REFUSED
        raise translated(KafkaException(failed), f"commit for group {group}", self._connection.region)

    def close(self) -> None:
        """Close the probes' clients."""
        for committer in self._committers.values():
            committer.close()
        self._committers.clear()
        self._producer = None

    def _probe_producer(self, topic: str) -> Any:
        """A producer that has seen the topic: one that has not holds a record back until its time is over."""
        if self._producer is None:
            from confluent_kafka import Producer

            self._seen_topics.clear()
            self._producer = self._connection.client(
                Producer, acks="all", linger_ms=0, retries=0, message_timeout_ms=int(self._timeout * 1000)
            )
        if topic not in self._seen_topics:
            what, producer = f"metadata of {topic}", self._producer
            try:
                found = self._connection.call(
                    what, producer, lambda: producer.list_topics(topic, timeout=self._timeout)
                )
            except DrkitError:
                # One that was not answered is as little to be kept as an admin client (decision 0011).
                self._producer = None
                raise
            if is_one_of(found.topics[topic].error, _UNKNOWN_TOPIC):
                raise RefusedError(f"{self._connection.region} has no topic {topic}")
            self._seen_topics.add(topic)
        return self._producer

    @property
    def _admin(self) -> Any:
        return self._connection.admin

    @property
    def _timeout(self) -> float:
        return self._connection.timeout_seconds

    def _wait(self, what: str, future: Any) -> Any:
        return self._connection.wait(what, future)
