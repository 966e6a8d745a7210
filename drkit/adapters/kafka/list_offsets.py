"""``ListOffsets`` for many partitions at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from drkit.adapters.kafka.client import Connection
from drkit.domain.kafka import TopicPartition


def ask_offsets(
    connection: Connection, partitions: Collection[TopicPartition], spec: Any, isolation: Any
) -> Callable[[], dict[TopicPartition, Any]]:
    """Ask now; the answers (``ListOffsetsResultInfo``) when they are called for.

    One request per broker, whatever the number of partitions. Leaders that are just being made, elected or moved are
    waited for.
    """
    from confluent_kafka import TopicPartition as Position

    def ask(some: Collection[TopicPartition]) -> dict[TopicPartition, Any]:
        futures = connection.admin.list_offsets(
            {Position(p.topic, p.partition): spec for p in some},
            isolation_level=isolation,
            request_timeout=connection.timeout_seconds,
        )
        return {TopicPartition(p.topic, p.partition): future for p, future in futures.items()}

    def again(some: Collection[TopicPartition]) -> dict[TopicPartition, Any]:
        # librdkafka forgets a leader that is not one any more, but not that its epoch is over: once a broker has been
        # restarted, it would ask with the old one for minutes.
        connection.metadata()
        return ask(some)

    asked = ask(partitions)
    return lambda: connection.wait_each("log ends of", asked, again)
