"""``drkit parity`` on both regions in memory: compared, applied under the lease, and said by ``drkit check``."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from drkit.domain.kafka import Acl
from drkit.domain.lineage import Epoch, EpochState
from drkit.errors import RefusedError, StalePlanError, UnreachableError, UsageError
from drkit.procedures.parity import Compared, RegionParity
from drkit.steps.snapshot import TakeSnapshot
from tests.fakes.move import FIRST, GROUP, Move, mirrored_service, operator
from tests.fakes.scripted import Fault
from tests.fakes.service import APPLICATION, ORDERS, SOURCE, TARGET, FakeService

WRITE = Acl("topic", ORDERS, "literal", APPLICATION, "*", "write", "allow")
JOIN = Acl("group", GROUP, "literal", APPLICATION, "*", "read", "allow")


@pytest.fixture
def service() -> FakeService:
    found = mirrored_service()
    # The source is closed to others: whoever works there is named.
    for who in ("User:drkit", "User:mirror"):
        found.source.cluster.acls |= {replace(one, principal=who, operation="all") for one in (WRITE, JOIN)}
    found.source.cluster.acls |= {WRITE, JOIN}
    found.source.cluster.configs[ORDERS]["max.message.bytes"] = "2000000"
    return found


def _parity(service: FakeService) -> RegionParity:
    return operator(service).parity


def _apply(service: FakeService, compared: Compared | None = None) -> dict[str, object]:
    parity = _parity(service)
    return parity.apply(compared or parity.compare(None, None), lambda _: None)


def test_what_differs_is_applied_to_the_standby_and_is_gone(service: FakeService) -> None:
    compared = _parity(service).compare(None, None)
    assert (compared.parity.source, compared.parity.target, compared.refusal) == (SOURCE, TARGET, "")
    assert {one.kind.value for one in compared.parity.problems} == {"topic-write-acl", "group-acl", "message-size"}
    before = set(service.target.cluster.acls)
    document = json.loads(json.dumps(_apply(service, compared)))
    assert (document["problems"], document["notes"], document["findings"]) == (0, 0, [])
    assert len(document["applied"]["changes"]) == 7
    assert service.target.cluster.acls > before | {WRITE, JOIN}
    assert service.target.cluster.configs[ORDERS]["max.message.bytes"] == "2000000"
    # The fence stands.
    assert not service.target.cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)
    again = _parity(service).apply(_parity(service).compare(SOURCE, TARGET), lambda _: None)
    assert again["applied"] == {"changes": [], "failed": []}


def test_changes_are_made_under_the_lease(service: FakeService) -> None:
    held: list[object] = []
    service.target.on_next("create_acls", lambda: held.append(service.stored("lease.json")["is_held"]))
    _apply(service)
    assert held == [True]
    assert service.stored("lease.json")["is_held"] is False


def test_looking_writes_nothing(service: FakeService) -> None:
    before = dict(service.store.objects)
    service.target.calls.clear()
    _parity(service).compare(None, None)
    writes = {"create_acls", "delete_acls", "alter_topic_configs", "create_topic", "add_partitions"}
    assert not writes & {call for call, _ in [*service.target.calls, *service.source.calls]}
    assert service.store.objects == before


def test_quotas_are_not_said_to_be_fine(service: FakeService) -> None:
    assert "quotas" in _parity(service).compare(None, None).document["not_checked"]


def test_a_part_that_is_refused_is_not_checked_and_the_others_are(service: FakeService) -> None:
    def refuse() -> None:
        raise RefusedError("this cluster has no SCRAM")

    service.target.on_next("scram_users", refuse)
    document = _parity(service).compare(None, None).document
    assert document["not_checked"]["users"] == "this cluster has no SCRAM"
    assert document["problems"] == 3


def test_the_primary_is_never_changed(service: FakeService) -> None:
    compared = _parity(service).compare(TARGET, SOURCE)
    with pytest.raises(RefusedError, match=f"{SOURCE} is the primary"):
        _parity(service).apply(compared, lambda _: None)


def test_a_target_that_became_the_primary_meanwhile_is_not_changed(service: FakeService) -> None:
    compared = _parity(service).compare(None, None)
    epoch = Epoch("r", SOURCE, TARGET, "planned", service.clock.now().isoformat(), EpochState.IN_FORCE, {})
    service.record.change(lambda lineage: lineage.with_epoch(epoch))
    with pytest.raises(RefusedError, match=f"{TARGET} has become the primary"):
        _apply(service, compared)
    assert WRITE not in service.target.cluster.acls


def test_a_plan_from_another_world_changes_nothing(service: FakeService) -> None:
    compared = _parity(service).compare(None, None)
    service.target.cluster.configs[ORDERS]["max.message.bytes"] = "3000000"
    with pytest.raises(StalePlanError, match=r"max\.message\.bytes"):
        _apply(service, compared)
    assert WRITE not in service.target.cluster.acls


def test_nothing_is_applied_beside_an_unfinished_run(service: FakeService) -> None:
    compared = _parity(service).compare(None, None)
    service.target.on_next("probe_write", Fault.NOT_ARRIVED)
    with pytest.raises(Exception, match="stopped"):
        Move(service).run()
    with pytest.raises(RefusedError, match="unfinished"):
        _apply(service, compared)


def test_another_cluster_than_the_configured_one_is_refused(service: FakeService) -> None:
    compared = _parity(service).compare(None, None)
    service.target.cluster.cluster_id = "somebody-elses"
    with pytest.raises(RefusedError, match="somebody-elses"):
        _parity(service).compare(None, None)
    with pytest.raises(RefusedError, match="somebody-elses"):
        _apply(service, compared)
    assert WRITE not in service.target.cluster.acls


@pytest.mark.parametrize(("source", "target"), [("osaka", None), (None, "osaka"), (SOURCE, SOURCE)])
def test_the_two_regions_are_named(service: FakeService, source: str | None, target: str | None) -> None:
    with pytest.raises(UsageError):
        _parity(service).compare(source, target)


def test_a_source_that_is_gone_is_known_from_a_snapshot(service: FakeService) -> None:
    service.source.is_dark = True
    with pytest.raises(UnreachableError, match="no snapshot and no backup"):
        _parity(service).compare(None, None)
    service.source.is_dark = False
    TakeSnapshot(service.world, SOURCE).apply(service.context(), None)
    service.source.is_dark = True
    document = _parity(service).compare(None, None).document
    assert document["source"] == {"where": "snapshot", "as_of": service.clock.now().isoformat()}
    assert document["problems"] == 3
    assert document["not_checked"]["users"] == f"not read in {SOURCE}"


def test_check_says_how_many_of_each_kind(service: FakeService) -> None:
    service.source.cluster.configs[ORDERS]["retention.ms"] = "9"
    service.target.cluster.configs[ORDERS]["retention.ms"] = "8"
    problems, notes = _parity(service).headlines()
    command = f"drkit parity --from {SOURCE} --to {TARGET} --apply"
    assert problems == [
        f"in {TARGET}, 1 ACLs that let applications write to topics are missing: {command}",
        f"in {TARGET}, 1 group ACLs of applications are missing: {command}",
        f"in {TARGET}, 1 topics take smaller messages: {command}",
    ]
    assert f"in {TARGET}, 1 topics keep records for less: {command}" in notes
    assert any(note.startswith("parity of quotas is not checked") for note in notes)


def test_a_region_that_is_dark_is_a_note_and_no_success(service: FakeService) -> None:
    service.target.is_dark = True
    problems, notes = _parity(service).headlines()
    assert problems == []
    assert len(notes) == 1
    assert notes[0].startswith("parity of both regions is not checked")


def test_after_a_move_nothing_is_left_to_do(service: FakeService) -> None:
    Move(service).run()
    assert {WRITE, JOIN} <= service.target.cluster.acls
    assert service.target.cluster.is_allowed(APPLICATION, "write", "topic", FIRST.topic)
    found = _parity(service).compare(SOURCE, TARGET)
    assert found.parity.changes == ()
