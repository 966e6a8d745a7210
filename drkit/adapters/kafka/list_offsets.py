"""``ListOffsets`` for many partitions at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, Final

from drkit.adapters.kafka.client import MOVES, Connection
from drkit.adapters.kafka.failures import has_code
from drkit.domain.kafka import TopicPartition
from drkit.errors import UnreachableError

_AGAIN_SECONDS: Final = 0.1


def ask_offsets(
    connection: Connection, partitions: Collection[TopicPartition], spec: Any, isolation: Any
) -> Callable[[], dict[TopicPartition, Any]]:
    """Ask now; the answers (``ListOffsetsResultInfo``) when they are called for.

    One request per broker, whatever the number of partitions. Leaders that are just being made or moved are waited for,
    all at once: when a broker restarts, they are those of a third of all partitions.
    """
    from confluent_kafka import TopicPartition as Position

    def ask(some: Collection[TopicPartition]) -> dict[TopicPartition, Any]:
        if not some:
            return {}
        futures = connection.admin.list_offsets(
            {Position(p.topic, p.partition): spec for p in some},
            isolation_level=isolation,
            request_timeout=connection.timeout_seconds,
        )
        return {TopicPartition(p.topic, p.partition): future for p, future in futures.items()}

    asked = ask(partitions)

    def answers() -> dict[TopicPartition, Any]:
        found: dict[TopicPartition, Any] = {}
        left, deadline = asked, time.monotonic() + connection.timeout_seconds
        while left:
            moved = []
            for partition, future in left.items():
                try:
                    found[partition] = connection.wait(f"log ends of {partition}", future)
                except UnreachableError as error:
                    if not has_code(error, MOVES) or time.monotonic() > deadline:
                        raise
                    moved.append(partition)
            if moved:
                time.sleep(_AGAIN_SECONDS)
            left = ask(moved)
        return found

    return answers
