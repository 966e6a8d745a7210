"""Commits offsets as a consumer that is no member of its group, each with a deadline."""

from __future__ import annotations

import time
from typing import Any, Final

from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.failures import AUTHORIZATION, is_one_of
from drkit.domain.kafka import TopicPartition

_POLL_SECONDS: Final = 0.01
_COORDINATOR_MS: Final = 500


class Committer:
    """The consumer of one group, kept open. It never joins: nobody's partitions are moved."""

    def __init__(self, connection: Connection, group: str) -> None:
        self._connection = connection
        self._group = group
        self._answers: list[Any] = []
        self._client: Any = None

    def commit(self, partition: TopicPartition, offset: int) -> Any:
        """Commit; None, or the ``KafkaError`` that the broker answered with.

        A blocking commit would wait for a coordinator that may not be asked for until a session is over (45 s), and
        would not say that it may not. Raises ``UnreachableError`` when nothing answered in time: whether the offset
        is committed later is not known, and this committer must be closed.
        """
        from confluent_kafka import TopicPartition as Position

        what = f"commit for group {self._group}"
        position = Position(partition.topic, partition.partition, offset)
        deadline = time.monotonic() + self._connection.timeout_seconds
        client = self._open()
        while True:
            self._answers.clear()
            self._connection.call(what, client, lambda: client.commit(offsets=[position], asynchronous=True))
            answer = self._answer(client)
            if not is_one_of(answer, ("_WAIT_COORD",)):
                return answer
            if time.monotonic() > deadline:
                raise self._connection.silence(what)

    def _answer(self, client: Any) -> Any:
        deadline = time.monotonic() + self._connection.timeout_seconds
        while not self._answers:
            event = client.poll(_POLL_SECONDS)
            if event is not None and is_one_of(event.error(), AUTHORIZATION):
                # Refused before the commit was sent: it must not be taken for the answer to the next one.
                self.close()
                return event.error()
            if time.monotonic() > deadline:
                self.close()
                raise self._connection.silence(f"commit for group {self._group}")
        return self._answers[0]

    def close(self) -> None:
        """Leave; safe to repeat."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _open(self) -> Any:
        if self._client is None:
            from confluent_kafka import Consumer

            self._client = self._connection.client(
                Consumer,
                group_id=self._group,
                enable_auto_commit=False,
                # How long a commit waits for a coordinator, and a close for the commit; there is no session.
                session_timeout_ms=_COORDINATOR_MS,
                heartbeat_interval_ms=_COORDINATOR_MS // 2,
                on_commit=self._answered,
            )
        return self._client

    def _answered(self, error: Any, positions: Any) -> None:
        self._answers.append(error or next((p.error for p in positions or () if p.error is not None), None))
