"""A workload that is watched on real brokers, and whose source is killed: every position is known and exact.

The tests go on where the one before has left the sandbox: first one broker dies, in the end both.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drkit.backup.position_log import PositionLog
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.errors import ExitCode
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.aws_client import aws_client
from drkit.sandbox.provisioning import BOOTSTRAP_NAME, ZONE
from drkit.sandbox.workload.control import Workload
from tests.e2e.command import drkit, refused
from tests.e2e.world import PRIMARY, STANDBY
from tests.fakes.aws import FakeObjectStore
from tests.integration.loading import writes_for
from tests.integration.watching import looks, watching
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

_MOVE = ("--from", PRIMARY, "--to", STANDBY, "--output", "json")


STOP_SECONDS = 20
FOLLOW_SECONDS = 4
"""Two or three seconds after the change of the name, and a report or two."""


@pytest.fixture(scope="module")
def config(box: Sandbox) -> Path:
    """A broker that does not answer is waited for again and again."""
    path = box.config.with_name("hasty.yaml")
    path.write_text(box.config.read_text() + "\ntimeouts:\n  request_seconds: 3\n")
    return path


@pytest.fixture(name="workload", scope="module")
def _workload(box: Sandbox) -> Workload:
    workload = Workload(box)
    workload.start(rate=300, groups=6)
    writes_for(workload, 2000)
    return workload


def point_at(box: Sandbox, region: str) -> None:
    """Change the service's name, as a redirect does."""
    layout = box.status().layout
    value = layout.record_value(region)
    route53 = aws_client("route53", layout.aws_url)
    zone = next(zone for zone in route53.list_hosted_zones()["HostedZones"] if zone["Name"] == ZONE)
    route53.change_resource_record_sets(
        HostedZoneId=zone["Id"],
        ChangeBatch={
            "Changes": [
                {
                    "Action": "UPSERT",
                    "ResourceRecordSet": {
                        "Name": f"{BOOTSTRAP_NAME}.",
                        "Type": layout.record_type,
                        "TTL": 1,
                        "ResourceRecords": [{"Value": f'"{value}"' if layout.record_type == "TXT" else value}],
                    },
                }
            ]
        },
    )


def seconds_of(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


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


def test_with_the_source_dead_every_watched_position_is_exact(
    box: Sandbox, config: Path, workload: Workload, tmp_path: Path
) -> None:
    log = tmp_path / "looks.jsonl"
    with watching(config, log) as watch:
        eventually(lambda: len(looks(log)) > 4, timeout_seconds=60, because="the watch looks every second")
        alive = drkit("offsets", "forecast", "--measure", "1", *_MOVE, config=config)
        assert alive.code == ExitCode.DONE, alive.said
        box.fault(Fault.KILL, PRIMARY, "broker")
        eventually(
            lambda: looks(log)[-1]["problems"], timeout_seconds=60, because="the watch tells that the source is gone"
        )
        dead = drkit("offsets", "forecast", *_MOVE, config=config)
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


def test_a_planned_move_away_from_a_dead_source_is_refused(box: Sandbox, config: Path) -> None:
    box.fault(Fault.KILL, PRIMARY, "broker")
    for command in (("failover", "--mode", "planned"), ("switchover",)):
        answer = drkit(*command, "--to", STANDBY, "--yes", "--output", "json", config=config)
        refused(answer, ExitCode.REFUSED, PRIMARY)


def test_clients_leave_a_dead_broker_for_where_the_name_points(box: Sandbox, workload: Workload) -> None:
    box.fault(Fault.KILL, PRIMARY, "broker")
    # The standby is fenced for applications: nobody can write there before drkit has opened it.
    opened = drkit("fence", "lift", STANDBY, config=box.config)
    assert opened.code == ExitCode.DONE, opened.said
    point_at(box, STANDBY)
    eventually(
        lambda: STANDBY in workload.report()["acknowledged_at"], timeout_seconds=FOLLOW_SECONDS, because="writers move"
    )
    eventually(
        lambda: all(STANDBY in line for line in last_clients(box.root, 6)),
        timeout_seconds=FOLLOW_SECONDS,
        because="groups move",
    )
    assert workload.dead() == {}


def last_clients(root: Path, groups: int) -> list[str]:
    """The newest client of each group, as the logs tell."""
    newest: dict[str, str] = {}
    for log in (root / "logs").glob("workload-consumers-*.log"):
        for line in log.read_text().splitlines():
            if ": client on " in line:
                newest[line.split()[1]] = line
    assert len(newest) == groups
    return list(newest.values())


def test_a_stop_ends_soon_where_the_service_is_dead(box: Sandbox, workload: Workload) -> None:
    for region in (PRIMARY, STANDBY):
        box.fault(Fault.KILL, region, "broker")
    # Nobody has drained the mirror before clients moved.
    lost = workload.report()["lost"]
    assert seconds_of(workload.stop) < STOP_SECONDS
    ledger = workload.report()
    assert (ledger["phase"], ledger["drained"], ledger["lost"]) == ("stopped", False, lost)
    assert ledger["pending"] > 0
    assert workload.dead() == {}
