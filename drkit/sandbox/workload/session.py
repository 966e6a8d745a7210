"""The life of one producer client.

The broker's answer decides what a record counts as: acknowledged, failed (refused), aborted, or unknown. A record whose
outcome is not an acknowledgement is never written again: the next one has another id.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from drkit.domain.ledger import Origin, Outcome
from drkit.sandbox.workload.client_health import REFUSED, ClientHealth
from drkit.sandbox.workload.discovery import Discovery, Side
from drkit.sandbox.workload.ledger_file import RECORD, WriterFile, now_ms
from drkit.sandbox.workload.records import RecordSource, TokenBucket
from drkit.sandbox.workload.settings import Phase, PhaseWatch, WriterPlan
from drkit.sandbox.workload.side_thread import SideThread

TICK_SECONDS: Final = 0.02
_PADDING: Final = bytes(184)
_DELIVERY_MS: Final = 3000
_LAST_WORDS_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Writer:
    """One producer of the service, which outlives its clients."""

    plan: WriterPlan
    discovery: Discovery
    ledger: WriterFile
    source: RecordSource
    bucket: TokenBucket
    watch: PhaseWatch

    @property
    def is_running(self) -> bool:
        """Whether it is to write."""
        return self.watch.phase is Phase.RUN


class Session:
    """The life of one client. ``open`` holds the records whose outcome is not known yet."""

    def __init__(self, writer: Writer, side: Side) -> None:
        self.writer = writer
        self.region = side.region
        self.health = ClientHealth()
        self.open: set[int] = set()
        self._origins: dict[tuple[str, int], Origin] = {}
        self.producer = Producer(writer.discovery.client_settings(side, self._settings()))

    def _settings(self) -> dict[str, Any]:
        return {
            "client.id": self.writer.plan.name,
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "snappy",
            "linger.ms": 5,
            "batch.size": 16384,
            "message.timeout.ms": _DELIVERY_MS,
            "error_cb": self.health.on_error,
            "on_delivery": self._delivered,
        }

    def work(self) -> None:
        """Write until the phase ends. Raises ``ClientFailedError`` or ``KafkaException``."""
        self._write_one()
        while self.writer.is_running:
            self.tick()
        self.hear_all()

    def _write_one(self) -> None:
        """The first record alone, to its acknowledgement: a service whose first write fails takes no more work."""
        while not self.open and self.writer.is_running:
            self.tick(most=1)
        self.hear_all()

    def hear_all(self) -> None:
        """Wait for every outcome, ``_DELIVERY_MS`` at the longest. Raises ``ClientFailedError``."""
        while len(self.producer):
            self.producer.poll(TICK_SECONDS)
            self.health.check()

    def tick(self, most: int | None = None) -> None:
        """Write what is due, and wait a moment. Raises ``ClientFailedError``."""
        writer = self.writer
        room = max(100, int(writer.plan.records_per_second / 2)) - len(self.open)
        count = writer.bucket.take(room if most is None else most)
        if count:
            self._produce(count)
        time.sleep(TICK_SECONDS)
        self.producer.poll(0)
        writer.ledger.flush()
        self.health.check()

    def _produce(self, count: int) -> None:
        topic, records = self.writer.source.next(count)
        head = RECORD.pack(now_ms())
        for record, key in records:
            self.open.add(record)
            self.producer.produce(topic, RECORD.pack(record) + head + _PADDING, key)

    def _delivered(self, error: Any, message: Any) -> None:
        (record,) = RECORD.unpack_from(message.value())
        if record not in self.open:
            # Given up before: it comes while the client is being closed.
            return
        if error is not None:
            self.health.fail(error.name())
            self.settle(record, Outcome.FAILED if error.code() in REFUSED else Outcome.UNKNOWN)
            return
        self.health.works()
        number = (message.topic(), message.partition())
        if number not in self._origins:
            self._origins[number] = Origin(self.region, *number)
        self.acknowledged(record, self._origins[number], message.offset())

    def acknowledged(self, record: int, origin: Origin, offset: int) -> None:
        """The broker has the record."""
        self.open.discard(record)
        self.writer.ledger.acknowledged(record, origin, offset, now_ms())

    def settle(self, record: int, outcome: Outcome) -> None:
        """The record ended otherwise."""
        self.open.discard(record)
        self.writer.ledger.ended_as(outcome, record, now_ms())

    def close(self) -> None:
        """Hear what the broker has said already, give up the rest."""
        # A client with a fatal error answers every call with it: what it has not told by then, it never will.
        with suppress(KafkaException):
            self.producer.flush(_LAST_WORDS_SECONDS)
            self.producer.purge()
            self.producer.flush(_LAST_WORDS_SECONDS)
        SideThread().close(self.producer.close)
        for record in list(self.open):
            self.settle(record, Outcome.UNKNOWN)
        self.writer.ledger.flush()
