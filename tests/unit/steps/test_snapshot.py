"""Snapshots: what a return may need, read back whole; the newest decides, and one that cannot be read is refused."""

from __future__ import annotations

import json

import pytest

from drkit.backup.position_log import PositionLog
from drkit.domain.kafka import Acl
from drkit.engine.step import Mode
from drkit.errors import RefusedError
from drkit.steps.snapshot import ReadSnapshot, TakeSnapshot, newest_snapshot, snapshot_positions
from drkit.steps.source_positions import SourcePositions
from drkit.verification.mirror_evidence import CheckpointPositions
from tests.fakes.service import ORDERS, SOURCE, FakeService

ACL = Acl("group", "a\x1b\n", "literal", "User:x", "*", "read", "deny")


def _take(service: FakeService) -> str:
    step, context = TakeSnapshot(service.world, SOURCE), service.context()
    assert not step.is_satisfied(context, None)
    step.apply(context, None)
    return str(step.confirm(context)["key"])


def _read(service: FakeService) -> ReadSnapshot:
    return ReadSnapshot(service.world, SOURCE, PositionLog(service.store, SOURCE), service.backup)


def test_everything_is_stored_and_read_back(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 3)
    service.source.cluster.commit("billing", {partition: 2})
    service.source.cluster.join("billing")
    service.source.cluster.acls.add(ACL)
    service.source.cluster.foreign_groups = {"jobs": "share", "__drkit": "streams"}
    step, context = TakeSnapshot(service.world, SOURCE), service.context()
    step.apply(context, None)
    evidence = step.confirm(context)
    assert (evidence["topics"], evidence["groups"], evidence["active_groups"]) == (2, 1, ["billing"])
    stored = service.stored(evidence["key"])
    assert stored["log_ends"] == {ORDERS: {"0": 3}}
    assert stored["foreign_groups"] == sorted(service.world.groups.select(["jobs", "__drkit"])) != []
    assert [Acl(**acl) for acl in stored["acls"]] == [ACL]
    assert stored["topics"][ORDERS]["partitions"][0]["partition"] == 0
    newest = newest_snapshot(service.world, SOURCE)
    assert newest is not None
    assert snapshot_positions(newest) == {"billing": {partition: 2}}


def test_the_newest_is_read_with_its_age(service: FakeService) -> None:
    read, context = _read(service), service.context(Mode.DISASTER)
    now = service.clock.now().isoformat()
    assert read.confirm(context) == {
        "found": False,
        "watch": None,
        "backup": {"groups": None, "logs": None},
        "looked_at": now,
    }
    first = _take(service)
    service.clock.sleep(5)
    second = _take(service)
    service.clock.sleep(7)
    assert first != second
    service.source.is_dark = True
    evidence = read.confirm(context)
    assert (evidence["found"], evidence["age_seconds"]) == (True, 7.0)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"schema": "drkit.snapshot/2"}', b'{"schema": "drkit.snapshot/1"}'])
def test_one_that_cannot_be_read_is_refused_rather_than_an_older_one_taken(service: FakeService, body: bytes) -> None:
    _take(service)
    service.store.objects[f"snapshots/{SOURCE}/29990101t000000.000000z.json"] = body
    with pytest.raises(RefusedError, match="29990101"):
        _read(service).observe(service.context(Mode.DISASTER))


def test_one_of_another_region_is_refused(service: FakeService) -> None:
    document = service.stored(_take(service))
    service.store.objects[f"snapshots/{SOURCE}/29990101t000000.000000z.json"] = json.dumps(
        {**document, "region": "elsewhere"}
    ).encode()
    with pytest.raises(RefusedError, match="not a snapshot of taipei"):
        newest_snapshot(service.world, SOURCE)


def test_of_checkpoint_and_snapshot_the_newer_counts_per_partition(service: FakeService) -> None:
    first = service.topic(partitions=3)
    partitions = [first._replace(partition=number) for number in range(3)]
    service.source.cluster.commit("billing", {partitions[0]: 10, partitions[1]: 10})
    service.source.cluster.commit("drkit-own", {})
    _take(service)
    now_ms = int(service.clock.now().timestamp() * 1000)
    service.checkpoint("billing", partitions[0], 5, at_ms=now_ms - 1000)
    service.checkpoint("billing", partitions[1], 20, at_ms=now_ms + 1000)
    service.checkpoint("billing", partitions[2], 7, at_ms=now_ms - 1000)
    service.checkpoint(service.settings.canary_group, partitions[0], 1, at_ms=now_ms)
    service.clock.sleep(9)
    dated = SourcePositions(
        service.world,
        SOURCE,
        CheckpointPositions(service.target, service.flow),
        PositionLog(service.store, SOURCE),
        service.backup,
    ).without_source()
    assert dated.committed == {"billing": {partitions[0]: 10, partitions[1]: 20, partitions[2]: 7}}
    assert dated.evidence == {"billing": "last known 8 s ago"}
    assert dated.age_seconds == pytest.approx(8.0, abs=0.01)
