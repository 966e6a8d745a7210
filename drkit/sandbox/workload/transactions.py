"""The transactional writer: its records count once their transaction is committed; some are aborted on purpose."""

from __future__ import annotations

import random
import time
from typing import Any, Final

from confluent_kafka import KafkaException

from drkit.domain.ledger import Origin, Outcome
from drkit.sandbox.workload.client_health import ClientFailedError
from drkit.sandbox.workload.discovery import Side
from drkit.sandbox.workload.session import Session, Writer

_LENGTH_SECONDS: Final = (0.1, 0.2)
_ABORTED_SHARE: Final = 0.1
_CALL_SECONDS: Final = 3.0
_STEP_SECONDS: Final = 0.5
"""Between two steps of a call the client hears of its broker's death."""
_ABORT_SECONDS: Final = 1.0
_BROKER_MS: Final = 10_000
"""After so long the broker aborts what a dead client has left open."""


class TransactionalSession(Session):
    """The life of one transactional client."""

    def __init__(self, writer: Writer, side: Side) -> None:
        self._placed: dict[int, tuple[Origin, int]] = {}
        self._random = random.Random()  # noqa: S311 - a workload, not a secret
        super().__init__(writer, side)

    def _settings(self) -> dict[str, Any]:
        identity = {"transactional.id": self.writer.plan.name, "transaction.timeout.ms": _BROKER_MS}
        return super()._settings() | identity

    def work(self) -> None:
        """Write transactions until the phase ends. Raises ``ClientFailedError`` or ``KafkaException``."""
        self._initialize()
        while self.writer.is_running:
            self.producer.begin_transaction()
            try:
                self._fill()
                self._end()
            except ClientFailedError:
                self._abort()
                raise

    def _initialize(self) -> None:
        """Fence the writer's earlier clients off. In short calls, so that a failure of this client is seen."""
        deadline = time.monotonic() + _CALL_SECONDS
        while True:
            try:
                self.producer.init_transactions(_STEP_SECONDS)
            except KafkaException as failure:
                if not failure.args[0].retriable() or time.monotonic() > deadline or not self.writer.is_running:
                    raise
                self.producer.poll(0)
                self.health.check()
            else:
                self.health.works()
                return

    def acknowledged(self, record: int, origin: Origin, offset: int) -> None:
        """The broker has the record; it counts when it has the commit. It stays open until then."""
        self._placed[record] = (origin, offset)

    def _fill(self) -> None:
        until = time.monotonic() + self._random.uniform(*_LENGTH_SECONDS)
        while self.writer.is_running and (time.monotonic() < until or not self.open):
            self.tick()

    def _end(self) -> None:
        self.hear_all()
        if self._random.random() < _ABORTED_SHARE:
            self._abort()
        else:
            self._commit()

    def _commit(self) -> None:
        deadline = time.monotonic() + _CALL_SECONDS
        while True:
            try:
                self.producer.commit_transaction(_STEP_SECONDS)
                break
            except KafkaException as failure:
                error = failure.args[0]
                if error.txn_requires_abort():
                    raise ClientFailedError(error.name()) from failure
                self.producer.poll(0)
                if not error.retriable() or time.monotonic() > deadline or self.health.reason is not None:
                    # Nobody knows whether it was committed: its records stay open, and end as unknown.
                    self._placed.clear()
                    raise
        for record, (origin, offset) in self._placed.items():
            super().acknowledged(record, origin, offset)
        self._placed.clear()

    def _abort(self) -> None:
        """Abort, so that no reader has to wait for the end of this transaction. Raises ``KafkaException``."""
        self.producer.abort_transaction(_ABORT_SECONDS)
        for record in list(self.open):
            self.settle(record, Outcome.ABORTED)
        self._placed.clear()
