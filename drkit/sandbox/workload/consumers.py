"""A consuming process: several groups, each with one member that follows the service's name."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from drkit.sandbox.workload.discovery import client_settings, locate, region_index
from drkit.sandbox.workload.files import LedgerFile
from drkit.sandbox.workload.settings import Group, Phase, WorkloadSettings, finish, read_phase

_IDLE_SECONDS: Final = 1.5
"""After so long without a record DNS is asked again: a member that only waits on a fenced side would wait for ever."""
_BATCH: Final = 500


class Member:
    """The group's member: polls, writes the ledger, commits; a client that fails is made anew after a look at DNS."""

    def __init__(self, settings: WorkloadSettings, number: int, group: Group) -> None:
        self._settings = settings
        self._group = group
        self._topics = {settings.topics[index]: index for index in group.topics}
        self._ledger = LedgerFile(Path(settings.directory) / f"group-{number}.ledger")
        self._random = random.Random(number)  # noqa: S311 - a workload, not a secret

    def run(self) -> None:
        """Process until the phase says stop."""
        directory = Path(self._settings.directory)
        while read_phase(directory) is not Phase.STOP:
            region = locate(self._settings)
            if region is not None:
                self._work(region, directory)
                self._ledger.abandoned()
            time.sleep(self._random.uniform(0.2, 0.5))

    def _work(self, region: str, directory: Path) -> None:
        consumer = Consumer(
            client_settings(
                self._settings,
                region,
                group_id=self._group.name,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                session_timeout_ms=6000,
                partition_assignment_strategy="range",
                fetch_wait_max_ms=100,
            )
        )
        consumer.subscribe(list(self._topics))
        try:
            self._consume(consumer, region, directory)
        except KafkaException:
            return
        finally:
            consumer.close()

    def _consume(self, consumer: Any, region: str, directory: Path) -> None:
        side = region_index(region)
        progress_at = time.monotonic()
        phase = read_phase(directory)
        while phase is not Phase.STOP:
            limit = self._group.records_per_second if phase is Phase.RUN else None
            batch = consumer.consume(_BATCH if limit is None else max(1, int(limit / 5)), timeout=0.2)
            if batch:
                self._process(batch, side)
                consumer.commit(asynchronous=False)
                self._ledger.committed()
                progress_at = time.monotonic()
                if limit is not None:
                    time.sleep(len(batch) / limit)
            elif time.monotonic() - progress_at > _IDLE_SECONDS:
                if locate(self._settings) not in (region, None):
                    return
                progress_at = time.monotonic()
            phase = read_phase(directory)

    def _process(self, batch: Sequence[Any], side: int) -> None:
        for message in batch:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._ALL_BROKERS_DOWN or not error.retriable():  # noqa: SLF001 - its public name
                    raise KafkaException(error)
                continue
            record = int.from_bytes(message.value()[:8], "big")
            self._ledger.processed(record, self._topics[message.topic()], message.partition(), side, message.offset())
        self._ledger.flush()


def run(settings: WorkloadSettings, part: int, parts: int) -> None:
    """Every ``parts``-th group, to the end of the workload."""
    members = [
        Member(settings, number, group) for number, group in enumerate(settings.groups) if number % parts == part
    ]
    threads = [threading.Thread(target=member.run, name=member._group.name, daemon=True) for member in members]  # noqa: SLF001
    for thread in threads:
        thread.start()
    finish(threads, Path(settings.directory), Phase.STOP)
