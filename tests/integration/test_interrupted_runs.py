"""A run that is held up in the middle on real brokers: a second operator, Ctrl-C, abort, resume."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import KafkaError, KafkaException, Producer

from drkit.errors import ExitCode
from drkit.sandbox import Sandbox
from tests.conftest import protected_sandbox
from tests.e2e.command import Answer, drkit, start
from tests.e2e.world import PRIMARY, STANDBY, acls, connectors, group_offsets, record_sets
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(420)]

TOPIC = "genai-demo.staging.order.confirmed"
MOVE = ("failover", "--to", STANDBY, "--yes", "--output", "json")
JSON = ("--output", "json")


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path / "sandbox") as box:
        patient(box.config)
        yield box


def test_a_second_operator_ctrl_c_abort_and_resume(box: Sandbox) -> None:
    status = drkit("sandbox", "status", "--dir", str(box.root), *JSON).document
    before = world(status)

    with held_up(status, box.config) as (process, _):
        for command in (MOVE, ("resume", "--yes", *JSON), ("abort", "--yes", *JSON)):
            second = drkit(*command, config=box.config)
            assert second.code == ExitCode.LEASE_HELD, second.said
            assert f"pid {process.pid}" in second.stderr, second.said
        assert process.poll() is None
        stopped = interrupt(process)
    run_id = only_run(box.config, "interrupted")
    assert stopped.code == ExitCode.INTERRUPTED, stopped.said
    assert "Traceback" not in stopped.stderr
    assert f"drkit resume {run_id}" in stopped.stderr
    assert f"drkit abort {run_id}" in stopped.stderr
    assert is_fenced(status), "an interrupted run leaves the fence as it is, and says so"

    aborted = drkit("abort", run_id, "--yes", *JSON, config=box.config)
    assert aborted.code == ExitCode.DONE, aborted.said
    assert aborted.document["outcome"] == "undone"
    assert world(status) == before
    assert not is_fenced(status)
    assert drkit("abort", run_id, "--yes", *JSON, config=box.config).code == ExitCode.REFUSED

    with held_up(status, box.config) as (process, finish):
        stopped = interrupt(process)
        assert stopped.code == ExitCode.INTERRUPTED, stopped.said
        finish()
        resumed = drkit("resume", "--yes", *JSON, config=box.config)
    assert resumed.code == ExitCode.DONE, resumed.said
    assert resumed.document["outcome"] == "succeeded"
    assert resumed.document["run_id"] != run_id
    assert resumed.document["records_lost"] == {"known": 0, "unknown": False}


def patient(config: Path) -> None:
    """A fence that waits long for transactions to end."""
    document = yaml.safe_load(config.read_text())
    document.setdefault("timeouts", {})["fence_seconds"] = 90
    config.write_text(yaml.safe_dump(document))


@contextmanager
def held_up(status: dict[str, Any], config: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], None]]]:
    """A failover that waits for a transaction of an application to end, and what ends the transaction."""
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
    process = start(*MOVE, config=config)
    try:
        eventually(lambda: is_fenced(status) or process.poll() is not None, timeout_seconds=60, because="it fences")
        assert process.poll() is None, process.communicate()
        yield process, lambda: producer.abort_transaction(10)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def interrupt(process: subprocess.Popen[str]) -> Answer:
    """Ctrl-C, once."""
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    return Answer(process.returncode, stdout, stderr)


def only_run(config: Path, outcome: str) -> str:
    """The newest run's id."""
    newest = drkit("runs", "list", *JSON, config=config).document["runs"][0]
    assert newest["outcome"] == outcome
    return str(newest["run_id"])


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


def world(status: dict[str, Any]) -> dict[str, Any]:
    """What an abort must leave as it was before the run."""
    return {
        "acls": {region: acls(status, region) for region in (PRIMARY, STANDBY)},
        "offsets": group_offsets(status, STANDBY),
        "connectors": connectors(status, STANDBY),
        "dns": record_sets(status),
    }
