"""``drkit backup`` on real brokers, real Kafka Connect and simulated S3."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import NewTopic

from drkit.errors import ExitCode
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY, admin

pytestmark = pytest.mark.sandbox

JSON = ("--output", "json")


@pytest.fixture(name="status")
def _status(sandbox_config: Path) -> dict[str, Any]:
    return drkit("sandbox", "status", "--dir", str(sandbox_config.parent), *JSON).document


def test_both_regions_are_backed_up_verified_and_compared(sandbox_config: Path, status: dict[str, Any]) -> None:
    name = f"backed-up.{uuid.uuid4().hex[:8]}"
    client = admin(status, PRIMARY)
    client.create_topics([NewTopic(name, 3, 1, config={"retention.ms": "86400001"})])[name].result(30)
    positions = ConsumerGroupTopicPartitions(name, [TopicPartition(name, 1, 7, "seven")])
    client.alter_consumer_group_offsets([positions])[name].result(30)
    try:
        made = drkit("backup", "run", "--all", *JSON, config=sandbox_config)
        assert made.code == ExitCode.DONE, made.said
        first = made.document
        assert [one["region"] for one in first["backups"]] == [PRIMARY, STANDBY]
        assert all(len(one["copies"]) == 2 for one in first["backups"])
        assert first["backups"][1]["parts"]["connectors"]["rows"] >= 1

        again = drkit("backup", "run", "--what", "topics,acls", "--what", "users", *JSON, config=sandbox_config)
        assert again.code == ExitCode.DONE, again.said
        assert all(part["unchanged"] for part in again.document["backups"][0]["parts"].values())

        verified = drkit("backup", "verify", "--read-all", *JSON, config=sandbox_config)
        assert verified.code == ExitCode.DONE, verified.said
        assert verified.document["read_objects"] == verified.document["objects"] > 0

        what = ("--what", "topics,acls,users,groups", *JSON)
        same = drkit("backup", "diff", first["backup_id"], PRIMARY, *what, config=sandbox_config)
        assert same.code == ExitCode.DONE, same.said
        moved = ConsumerGroupTopicPartitions(name, [TopicPartition(name, 1, 8)])
        client.alter_consumer_group_offsets([moved])[name].result(30)
        other = drkit("backup", "diff", first["backup_id"], PRIMARY, *what, config=sandbox_config)
        assert other.code == ExitCode.VERIFICATION, other.said
        assert [(one["name"], one["before"], one["after"]) for one in other.document["differences"]] == [
            (name, "7, metadata seven", "8")
        ]
    finally:
        client.delete_consumer_groups([name])[name].result(30)
        client.delete_topics([name])[name].result(30)
    pruned = drkit("backup", "prune", "--keep-last", "1", *JSON, config=sandbox_config)
    assert pruned.code == ExitCode.DONE, pruned.said
    # All of them were made just now.
    assert pruned.document["removed"] == []
