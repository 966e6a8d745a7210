"""The producing process: idempotent and transactional producers that follow the service's name."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from drkit.domain.ledger import record_id
from drkit.sandbox.workload.discovery import client_settings, locate, region_index
from drkit.sandbox.workload.files import LedgerFile
from drkit.sandbox.workload.settings import Phase, WorkloadSettings, finish, read_phase

_TICK_SECONDS: Final = 0.01
_KEYS: Final = 64
_PADDING: Final = b"." * 184
_TRANSACTIONAL_SHARE: Final = 0.1
_ABORTED: Final = 0.1


class Writer:
    """One producer: a client that is made anew, after a look at DNS, whenever it has failed."""

    def __init__(self, settings: WorkloadSettings, number: int, rate: float) -> None:
        self._settings = settings
        self._number = number
        self._rate = rate
        self._ledger = LedgerFile(Path(settings.directory) / f"producer-{number}.ledger")
        self._random = random.Random(number)  # noqa: S311 - a workload, not a secret
        self._sequence = 0
        self._failed = False

    def run(self) -> None:
        """Write until the phase says otherwise."""
        directory = Path(self._settings.directory)
        while read_phase(directory) is Phase.RUN:
            region = locate(self._settings)
            if region is not None:
                self._failed = False
                self._work(region, directory)
            time.sleep(self._random.uniform(0.2, 0.3))
        self._ledger.flush()

    def _work(self, region: str, directory: Path) -> None:
        producer = Producer(
            client_settings(
                self._settings,
                region,
                enable_idempotence=True,
                acks="all",
                compression_type="snappy",
                linger_ms=5,
                batch_size=16384,
                message_timeout_ms=3000,
                **self._more_settings(),
            )
        )
        due, checked = 0.0, 0.0
        last = time.monotonic()
        try:
            self._begin(producer)
            while not self._failed:
                now = time.monotonic()
                due = min(due + (now - last) * self._rate, self._rate)
                last = now
                if now - checked > 0.3:
                    checked = now
                    self._ledger.flush()
                    if read_phase(directory) is not Phase.RUN:
                        producer.flush(5)
                        return
                count = int(due)
                due -= count
                self._write(producer, region_index(region), count)
                producer.poll(_TICK_SECONDS)
        except (KafkaException, BufferError):
            return
        finally:
            producer.purge()
            producer.poll(0)

    def _more_settings(self) -> dict[str, Any]:
        return {}

    def _begin(self, producer: Any) -> None:
        """Nothing to begin without transactions."""

    def _write(self, producer: Any, region: int, count: int) -> None:
        for _ in range(count):
            self._produce(producer, region)

    def _produce(self, producer: Any, region: int, pending: list[Any] | None = None) -> None:
        key = self._random.randrange(_KEYS)
        topic = self._random.randrange(len(self._settings.topics))
        self._sequence += 1
        record = record_id(self._number, key, self._sequence)

        def delivered(error: Any, message: Any) -> None:
            if error is not None:
                self._failed = True
                return
            if pending is None:
                self._ledger.acknowledged(record, topic, message.partition(), region, message.offset(), time.time())
            else:
                pending.append((record, topic, message.partition(), region, message.offset()))

        value = record.to_bytes(8, "big") + _PADDING
        producer.produce(self._settings.topics[topic], value, key=str(key), on_delivery=delivered)


class TransactionalWriter(Writer):
    """Writes in transactions, some of them aborted on purpose; a record counts once its transaction is committed."""

    def _more_settings(self) -> dict[str, Any]:
        return {"transactional_id": f"drkit-workload-{self._number}", "transaction_timeout_ms": 10000}

    def _begin(self, producer: Any) -> None:
        producer.init_transactions(5)

    def _write(self, producer: Any, region: int, count: int) -> None:
        if count == 0:
            return
        pending: list[Any] = []
        producer.begin_transaction()
        try:
            for _ in range(count):
                self._produce(producer, region, pending)
            producer.flush(5)
            if self._failed or self._random.random() < _ABORTED:
                producer.abort_transaction(5)
                return
            producer.commit_transaction(5)
        except KafkaException:
            self._failed = True
            producer.abort_transaction(5)
            return
        for record, topic, partition, side, offset in pending:
            self._ledger.acknowledged(record, topic, partition, side, offset, time.time())
        time.sleep(0.1)


def run(settings: WorkloadSettings) -> None:
    """Both kinds of producers, to the end of the phase."""
    writers = [
        Writer(settings, 1, settings.rate * (1 - _TRANSACTIONAL_SHARE)),
        TransactionalWriter(settings, 2, settings.rate * _TRANSACTIONAL_SHARE),
    ]
    threads = [threading.Thread(target=writer.run, name="producer", daemon=True) for writer in writers]
    for thread in threads:
        thread.start()
    finish(threads, Path(settings.directory), Phase.DRAIN)
