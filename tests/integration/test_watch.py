"""The watch on real brokers, under load: with the source killed, every position is known and exact."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drkit.backup.position_log import PositionLog
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.errors import ExitCode
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.aws_client import aws_client
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY
from tests.fakes.aws import FakeObjectStore
from tests.integration.watching import looks, watching
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

_MOVE = ("--from", PRIMARY, "--to", STANDBY, "--output", "json")


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path / "sandbox") as box:
        # A broker that does not answer is waited for again and again.
        text = box.config.read_text()
        box.config.write_text(text + "\ntimeouts:\n  request_seconds: 3\n")
        yield box


def _seen(box: Sandbox) -> GroupOffsets:
    """Where the watch saw every group last."""
    store, s3 = FakeObjectStore(), aws_client("s3", box.status().aws_endpoint_url)
    listed = s3.list_objects_v2(Bucket="drkit-state", Prefix=f"positions/{PRIMARY}/")
    assert not listed["IsTruncated"]
    for item in listed["Contents"]:
        store.create(item["Key"], s3.get_object(Bucket="drkit-state", Key=item["Key"])["Body"].read())
    known = PositionLog(store, PRIMARY).newest()
    assert known is not None
    return known.committed


def _unsure(forecast: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for group in forecast["groups"] for row in group["not_exact"]]


def test_with_the_source_dead_every_watched_position_is_exact(box: Sandbox, tmp_path: Path) -> None:
    workload, log = Workload(box), tmp_path / "looks.jsonl"
    workload.start(rate=300, groups=6)
    eventually(
        lambda: workload.report()["acknowledged"] > 2000, timeout_seconds=60, because="the workload writes", every=1
    )
    with watching(box, log) as watch:
        eventually(lambda: len(looks(log)) > 4, timeout_seconds=60, because="the watch looks every second")
        alive = drkit("offsets", "forecast", "--measure", "1", *_MOVE, config=box.config)
        assert alive.code == ExitCode.DONE, alive.said
        box.fault(Fault.KILL, PRIMARY, "broker")
        eventually(
            lambda: looks(log)[-1]["problems"], timeout_seconds=60, because="the watch tells that the source is gone"
        )
        dead = drkit("offsets", "forecast", *_MOVE, config=box.config)
        assert dead.code == ExitCode.DONE, dead.said
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(timeout=60) == 0

    whole = [look for look in looks(log) if not look["problems"]]
    assert all(look["positions"] == 72 for look in whole[1:]), "six groups on twelve partitions"
    assert whole[0]["archived_syncs"] > 0
    now, then = alive.document, dead.document
    assert (now["source_answers"], then["source_answers"]) == (True, False)
    assert now["totals"]["exact"] == 72, json.dumps(_unsure(now))
    assert now["totals"]["replay"] == {"records": 0, "certainty": "exact"}
    seen = _seen(box)
    for row in _unsure(then):
        # A checkpoint of MirrorMaker 2's between the last look and the kill: newer, and without the record.
        assert row["upstream"] > seen[row["group"]][TopicPartition(row["topic"], row["partition"])], json.dumps(row)
        assert row["verdict"] == "bounded"
    assert then["totals"]["exact"] == 72 - len(_unsure(then))
    for found in (now, then):
        assert found["totals"]["partitions"] == 72
        assert found["totals"]["replay"]["records"] <= sum(row["replay_at_most"] for row in _unsure(found))
        assert found["evidence"]["no_sync_missing"]
        # Half of the groups lag, and MirrorMaker 2's own translation is as far off as they lag.
        assert found["totals"]["mm2_replay"]["records"] > 0
    assert sum(group["rate_records_per_second"] for group in now["groups"]) > 0
    # From the last look before the kill to the forecast: what it took to be sure that the broker does not answer.
    assert then["evidence"]["age_seconds"] < 60
