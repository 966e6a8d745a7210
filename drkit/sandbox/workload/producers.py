"""A producing process: writers, each with a client that is made anew when it has failed for good."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException

from drkit.sandbox.workload.client_health import ClientFailedError, note
from drkit.sandbox.workload.discovery import Discovery, Side
from drkit.sandbox.workload.ledger_file import WriterFile
from drkit.sandbox.workload.records import RecordSource, TokenBucket
from drkit.sandbox.workload.session import Session, Writer
from drkit.sandbox.workload.settings import Phase, PhaseWatch, WorkloadFiles, WorkloadSettings, WriterPlan
from drkit.sandbox.workload.transactions import TransactionalSession

_PAUSE_SECONDS: Final = (0.2, 0.5)


def run(settings: WorkloadSettings, files: WorkloadFiles, watch: PhaseWatch, plans: Sequence[WriterPlan]) -> None:
    """These writers, to the end of the phase."""
    writers = [_writer(settings, files, watch, plan) for plan in plans]
    threads = [threading.Thread(target=_write, args=(writer,), name=writer.plan.name) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _writer(settings: WorkloadSettings, files: WorkloadFiles, watch: PhaseWatch, plan: WriterPlan) -> Writer:
    ledger = WriterFile(files.writer(plan), settings.names)
    return Writer(
        plan=plan,
        discovery=Discovery(settings),
        ledger=ledger,
        source=RecordSource(settings, plan, ledger.openings),
        bucket=TokenBucket(plan.records_per_second),
        watch=watch,
    )


def _write(writer: Writer) -> None:
    """Write until the phase says otherwise; each time that a client has failed, another one where DNS says."""
    jitter = random.Random()  # noqa: S311 - a pause, not a secret
    while writer.is_running:
        side = writer.discovery.locate()
        if side is not None:
            _serve(writer, side)
        writer.watch.wait(jitter.uniform(*_PAUSE_SECONDS), lambda phase: phase is not Phase.RUN)


def _serve(writer: Writer, side: Side) -> None:
    """Write with one client until it fails for good or the phase ends."""
    session = (TransactionalSession if writer.plan.transactional else Session)(writer, side)
    note(f"{writer.plan.name}: client on {side.region}")
    try:
        session.work()
    except (ClientFailedError, KafkaException, BufferError) as error:
        note(f"{writer.plan.name}: gave up its client on {side.region}: {error}")
    finally:
        session.close()
