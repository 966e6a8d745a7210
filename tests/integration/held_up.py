"""A run that is held up in the middle: it fences, and waits for a transaction of an application to end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import KafkaError, KafkaException, Producer

from tests.e2e.command import Answer, start
from tests.e2e.world import PRIMARY
from tests.waiting import eventually

TOPIC = "genai-demo.staging.order.confirmed"


def patient(config: Path) -> None:
    """A fence that waits long for transactions to end."""
    document = yaml.safe_load(config.read_text())
    document.setdefault("timeouts", {})["fence_seconds"] = 90
    config.write_text(yaml.safe_dump(document))


@contextmanager
def held_up(status: dict[str, Any], config: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """The command, once it waits. The transaction is over behind it."""
    producer = Producer(
        {
            **status["regions"][PRIMARY]["clients"]["app"],
            "transactional.id": "genai-demo.staging.held-up",
            "transaction.timeout.ms": 120_000,
            "log_level": 0,
        }
    )
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(TOPIC, b"not yet committed")
    assert producer.flush(10) == 0
    process = start(*command, config=config)
    try:
        eventually(lambda: is_fenced(status) or process.poll() is not None, timeout_seconds=60, because="it fences")
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        producer.abort_transaction(10)
        if process.poll() is None:
            process.kill()
            process.communicate()


def interrupt(process: subprocess.Popen[str]) -> Answer:
    """Ctrl-C, once."""
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    return Answer(process.returncode, stdout, stderr)


def is_fenced(status: dict[str, Any]) -> bool:
    """Whether an application's write to the primary is refused."""
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: object) -> None:
        if error is not None:
            refused.append(error)

    producer = Producer({**status["regions"][PRIMARY]["clients"]["app"], "message.timeout.ms": 5000, "log_level": 0})
    producer.produce(TOPIC, b"probe", on_delivery=delivered)
    assert producer.flush(10) == 0
    if refused and refused[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
        raise KafkaException(refused[0])
    return bool(refused)
