"""A region is backed up, its cluster destroyed, an empty one built in its place, and everything restored into that.

200 topics of 6 partitions, 500 groups, 300 ACLs; drkit is a subprocess, and is killed in the middle of the restore.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from drkit.errors import ExitCode
from drkit.sandbox import Sandbox
from drkit.sandbox.sandbox import Fault
from tests.conftest import free_subnet
from tests.e2e.command import Answer, drkit
from tests.e2e.world import PRIMARY, acls, admin, group_offsets, name_the_new_cluster

pytestmark = [pytest.mark.sandbox, pytest.mark.long, pytest.mark.timeout(600)]

TOPICS, PARTITIONS, GROUPS, ACLS, RECORDS = 200, 6, 500, 300, 8
PREFIX = "bulk."
JSON = ("--output", "json")
PARTS = "topics,acls,groups"


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    box = Sandbox(tmp_path / "sandbox", free_subnet())
    try:
        box.up()
        yield box
    finally:
        box.down()


def test_a_region_is_lost_and_restored(box: Sandbox, record_property: Callable[[str, object], None]) -> None:
    def timed(what: str, *arguments: str, **environment: str) -> Answer:
        started = time.monotonic()
        answer = drkit(*arguments, config=box.config, timeout_seconds=240, **environment)
        seconds = round(time.monotonic() - started, 2)
        record_property(what, seconds)
        print(f"{what}: {seconds} s")  # noqa: T201 - the figures are what the test is read for
        return answer

    status = drkit("sandbox", "status", "--dir", str(box.root), *JSON).document
    fill(status)
    expected_groups, expected_acls = group_offsets(status, PRIMARY), acls(status, PRIMARY)
    assert (len(expected_groups), len(expected_acls)) == (GROUPS, ACLS)

    backup = timed("backup", "backup", "run", "--region", PRIMARY, *JSON)
    assert backup.code == ExitCode.DONE, backup.said
    backup_id = backup.document["backup_id"]
    assert timed("diff", "backup", "diff", backup_id, PRIMARY, "--what", PARTS, *JSON).code == ExitCode.DONE

    box.fault(Fault.DESTROY, PRIMARY, "all")
    box.fault(Fault.START, PRIMARY, "all")
    assert group_offsets(status, PRIMARY) == {}

    restore = ("backup", "restore", backup_id, *JSON)
    unknown = timed("refused", *restore, "--dry-run")
    assert unknown.code == ExitCode.REFUSED, unknown.said
    assert "put the new id into drkit.yaml" in unknown.document["hint"]
    name_the_new_cluster(box, PRIMARY)

    planned = timed("plan", *restore, "--dry-run")
    assert planned.code == ExitCode.REFUSED, planned.said
    assert planned.document["flags"] == ["--accept-other-cluster", "--accept-positions"]
    counts = planned.document["counts"]
    assert (counts["set_positions"], counts["create_acl"]) == (GROUPS, ACLS)
    assert counts["create_topic"] >= TOPICS

    accepted = ("--accept-other-cluster", "--accept-positions", "--yes")
    # Killed behind each part, and told to go on: only with the last are applications let in.
    how: tuple[str, ...] = (*restore, *accepted)
    for part in ("topics", "groups", "acls"):
        killed = timed(f"killed behind {part}", *how, DRKIT_FAILPOINT=f"restore-{part}:after-apply")
        assert killed.code == -9, killed.said
        assert (acls(status, PRIMARY) == []) is (part != "acls"), "groups are where they belong before anybody reads"
        how = ("resume", "--yes", *JSON)
    beside = timed("beside", *restore, *accepted)
    assert beside.code == ExitCode.REFUSED, beside.said
    assert "drkit resume" in beside.document["hint"]

    resumed = timed("resumed", "resume", "--yes", *JSON)
    assert resumed.code == ExitCode.DONE, resumed.said
    assert resumed.document["is_as_backed_up"] is True
    assert resumed.document["made"]["set_positions"] == GROUPS * PARTITIONS

    compared = timed("compared", "backup", "diff", backup_id, PRIMARY, "--what", PARTS, *JSON)
    assert compared.code == ExitCode.DONE, compared.said
    assert group_offsets(status, PRIMARY) == expected_groups
    assert acls(status, PRIMARY) == expected_acls

    again = timed("again", *restore, *accepted)
    assert again.code == ExitCode.DONE, again.said
    assert again.document["made"] == {}


def fill(status: dict[str, Any]) -> None:
    """Topics with records, groups that have read a part of them, and ACLs, drkit's own among them."""
    client = admin(status, PRIMARY)
    names = [f"{PREFIX}topic.{number:03d}" for number in range(TOPICS)]
    wanted = [
        NewTopic(
            name, num_partitions=PARTITIONS, replication_factor=1, config={"retention.ms": str(86_400_000 + number)}
        )
        for number, name in enumerate(names)
    ]
    for made in client.create_topics(wanted, operation_timeout=60, request_timeout=60).values():
        made.result(60)
    producer = Producer({**status["regions"][PRIMARY]["clients"]["admin"], "linger.ms": 50, "acks": "1"})
    for name in names:
        for partition in range(PARTITIONS):
            for number in range(RECORDS):
                producer.produce(name, b"%d" % number, partition=partition)
        producer.poll(0)
    assert producer.flush(60) == 0
    positions = [
        ConsumerGroupTopicPartitions(
            f"{PREFIX}group.{number:03d}",
            [TopicPartition(names[number % TOPICS], p, (number + p) % (RECORDS + 1)) for p in range(PARTITIONS)],
        )
        for number in range(GROUPS)
    ]
    for asked in [client.alter_consumer_group_offsets([one], request_timeout=60) for one in positions]:
        for answered in asked.values():
            answered.result(60)
    bindings = [
        binding(kind, PREFIX, "drkit", ResourcePatternType.PREFIXED)
        for kind in (ResourceType.TOPIC, ResourceType.GROUP)
    ]
    bindings += [binding(ResourceType.TOPIC, names[n % TOPICS], f"service-{n}") for n in range(ACLS - len(bindings))]
    for added in client.create_acls(bindings, request_timeout=60).values():
        added.result(60)


def binding(
    kind: ResourceType, name: str, user: str, pattern: ResourcePatternType = ResourcePatternType.LITERAL
) -> AclBinding:
    """A user may do everything with a resource."""
    return AclBinding(kind, name, pattern, f"User:{user}", "*", AclOperation.ALL, AclPermissionType.ALLOW)
