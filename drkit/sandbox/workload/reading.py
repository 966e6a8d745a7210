"""The life of one consumer client.

It processes a batch, writes it to the ledger, commits, and notes the commit when it was accepted, in this order: a
commit that was refused or never answered is not in the ledger, and its batch, when it comes again, is a duplicate.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from drkit.domain.ledger import Origin
from drkit.sandbox.workload.client_health import (
    PARTITION_EOF,
    ClientFailedError,
    ClientHealth,
    is_final,
)
from drkit.sandbox.workload.discovery import Discovery, Side
from drkit.sandbox.workload.end_of_log import EndOfLog
from drkit.sandbox.workload.ledger_file import RECORD, GroupFile, now_ms
from drkit.sandbox.workload.settings import GroupPlan, Phase, PhaseWatch
from drkit.sandbox.workload.side_thread import SideThread

_BATCH: Final = 500
_POLL_SECONDS: Final = 0.25
_LAGGING_CYCLE_SECONDS: Final = 0.4
_IDLE_SECONDS: Final = 1.5
_ASK_DNS_SECONDS: Final = 1.0
_UNCOMMITTED_SECONDS: Final = 5.0
_NO_RECORD: Final = RECORD.pack((1 << 64) - 1)
"""Stands for a value that no writer has written."""

Batch = dict[Origin, tuple[list[bytes], list[int]]]


class Reading:
    """One client of a group, from its making to its failure or the end of the workload."""

    def __init__(self, plan: GroupPlan, ledger: GroupFile, watch: PhaseWatch, discovery: Discovery, side: Side) -> None:
        self._plan = plan
        self._ledger = ledger
        self._watch = watch
        self._discovery = discovery
        self._side = side
        self._health = ClientHealth()
        self._origins: dict[tuple[str, int], Origin] = {}
        self._uncommitted: dict[Origin, int] = {}
        self._failing_since: float | None = None
        self._side_thread = SideThread()
        self._ends = EndOfLog(plan.topics)
        self._told_drained = False
        self.has_processed = False
        self._consumer = Consumer(discovery.client_settings(side, self._settings()))

    def _settings(self) -> dict[str, Any]:
        return {
            "client.id": self._plan.name,
            "group.id": self._plan.name,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            # A group that finds no position reads everything again, and the ledger shows it as replays. From the
            # latest on it would silently lose what was written before.
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 2_000,
            "fetch.wait.max.ms": 250,
            "fetch.min.bytes": 16_384,
            # Small fetches from all partitions in turn: a lagging group lags in all of them, and memory stays bounded.
            "max.partition.fetch.bytes": 65_536,
            "queued.min.messages": 2_000,
            "queued.max.messages.kbytes": 4_096,
            "error_cb": self._health.on_error,
        }

    def work(self) -> None:
        """Process until the phase is STOP. Raises ``ClientFailedError`` or ``KafkaException``."""
        self._consumer.subscribe(list(self._plan.topics), on_revoke=self._revoked, on_lost=self._revoked)
        heard_at = asked_at = time.monotonic()
        while self._watch.phase is not Phase.STOP:
            if self._process(self._read()):
                heard_at = time.monotonic()
            elif time.monotonic() > max(heard_at + _IDLE_SECONDS, asked_at + _ASK_DNS_SECONDS):
                asked_at = time.monotonic()
                self._leave_if_elsewhere()
            if self._watch.phase is Phase.DRAIN:
                self._tell_if_drained()
            self._health.check()

    def _read(self) -> Batch:
        limit = self._plan.records_per_second
        if limit is None or self._watch.phase is not Phase.RUN:
            return self._batch(self._consumer.consume(_BATCH, _POLL_SECONDS))
        cycle_seconds = max(_LAGGING_CYCLE_SECONDS, 1 / limit)
        until = time.monotonic() + cycle_seconds
        batch = self._batch(self._consumer.consume(int(limit * cycle_seconds), _POLL_SECONDS))
        rest = until - time.monotonic()
        if batch and rest > 0:
            self._watch.wait(rest, lambda phase: phase is not Phase.RUN)
        return batch

    def _batch(self, messages: Iterable[Any]) -> Batch:
        batch: Batch = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self._heed(error, message)
                continue
            number = (message.topic(), message.partition())
            origin = self._origins.get(number)
            if origin is None:
                origin = self._origins[number] = Origin(self._side.region, *number)
            found = batch.get(origin)
            if found is None:
                found = batch[origin] = ([], [])
            record = (message.value() or b"")[: RECORD.size]
            found[0].append(record if len(record) == RECORD.size else _NO_RECORD)
            found[1].append(message.offset())
        return batch

    def _heed(self, error: Any, message: Any) -> None:
        if error.code() == PARTITION_EOF:
            self._health.works()
            self._ends.reached(message.topic(), message.partition(), message.offset())
        elif is_final(error):
            # Not raised: what came with it is processed first.
            self._health.fail(error.name())

    def _process(self, batch: Batch) -> bool:
        if not batch:
            return False
        self._health.works()
        if self._told_drained:
            self._ends.look_again()
            self._told_drained = False
        self._ledger.processed(batch, now_ms())
        self.has_processed = True
        self._uncommitted |= {origin: offsets[-1] + 1 for origin, (_, offsets) in batch.items()}
        self._commit()
        return True

    def _commit(self) -> None:
        """Commit every position that is not yet. What fails but may succeed later is tried again with the next batch.

        Raises ``ClientFailedError`` when it is not answered, is refused, or did not succeed for some seconds.
        """
        try:
            self._side_thread.call(self._commit_now, _UNCOMMITTED_SECONDS, self._leave_if_over)
        except KafkaException as failure:
            error = failure.args[0]
            if is_final(error):
                raise ClientFailedError(error.name()) from failure
            self._failing_since = self._failing_since or time.monotonic()
            if time.monotonic() - self._failing_since > _UNCOMMITTED_SECONDS:
                raise ClientFailedError(f"no commit for {_UNCOMMITTED_SECONDS:g} s: {error.name()}") from failure
        else:
            self._failing_since = None

    def _commit_now(self) -> None:
        """Noted here: a commit whose answer comes late was accepted all the same."""
        positions = dict(self._uncommitted)
        wanted = [TopicPartition(topic, partition, at) for (_, topic, partition), at in positions.items()]
        results = self._consumer.commit(offsets=wanted, asynchronous=False)
        failed = next((result.error for result in results if result.error is not None), None)
        if failed is not None:
            raise KafkaException(failed)
        self._ledger.committed(positions, now_ms())
        self._uncommitted.clear()

    def _revoked(self, _: Any, partitions: Sequence[Any]) -> None:
        """What was processed of these and not committed comes again, here or elsewhere."""
        for one in partitions:
            self._uncommitted.pop(Origin(self._side.region, one.topic, one.partition), None)
        self._ends.forget()

    def _leave_if_elsewhere(self) -> None:
        side = self._discovery.locate()
        if side is not None and side != self._side:
            raise ClientFailedError(f"nothing comes, and the service is in {side.region}")

    def _leave_if_over(self) -> None:
        """While a commit is not answered: on a dead broker that lasts until the session has timed out."""
        if self._watch.phase is Phase.STOP:
            raise ClientFailedError("a commit was not answered, and the workload ends")
        self._leave_if_elsewhere()

    def _tell_if_drained(self) -> None:
        """Note it once everything is read and committed, and DNS says that this is the side to be drained."""
        if self._told_drained or self._uncommitted or not self._ends.all_reached(self._consumer):
            return
        if self._discovery.locate() == self._side:
            self._ledger.drained(self._side.region, now_ms())
            self._told_drained = True

    def close(self) -> None:
        """Leave the group, without a commit."""
        self._side_thread.close(self._consumer.close)
