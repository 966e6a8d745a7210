"""Backups of a service in two regions in memory, as commands ask for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drkit.backup.manifest import MANIFESTS, OBJECTS
from drkit.backup.vault import Replica, Vault
from drkit.domain.inventory import Part, ScramUser
from drkit.domain.kafka import Acl, TopicPartition
from drkit.domain.retention import Keep
from drkit.errors import AuthError, RefusedError, UnreachableError, UsageError
from drkit.procedures.backups import Backups
from tests.fakes.kafka import DRKIT
from tests.fakes.service import ORDERS, SOURCE, TARGET, FakeService
from tests.unit.config.sample import changed, settings

P0 = TopicPartition(ORDERS, 0)
RULE = Acl("topic", "orders", "prefixed", "User:orders", "*", "write", "allow")


@pytest.fixture(name="service")
def _service() -> FakeService:
    service = FakeService(settings())
    for kafka in (service.source, service.target):
        kafka.cluster.create(ORDERS, 2, {"retention.ms": "1000"})
        kafka.cluster.write(P0, b"1", b"2", at_ms=5)
        kafka.cluster.commit("billing", {P0: 1})
        kafka.cluster.acls.add(RULE)
        kafka.cluster.users["orders"] = ScramUser("orders", {"SCRAM-SHA-512": 4096})
    return service


@pytest.fixture(name="backups")
def _backups(service: FakeService) -> Backups:
    return Backups(service.world, lambda: SOURCE, lambda: None)


def denied() -> None:
    raise AuthError("not allowed")


def test_the_primary_is_backed_up_unless_another_is_named(service: FakeService, backups: Backups) -> None:
    found = backups.run()
    document = found.document()
    assert found.is_complete
    assert document["complete"] is True
    (one,) = document["backups"]
    assert (one["region"], one["backup_id"]) == (SOURCE, document["backup_id"])
    # taipei has neither Kafka Connect nor a schema registry.
    assert list(one["parts"]) == ["topics", "acls", "users", "groups", "logs", "redirects"]
    held = service.world.vault.load(service.world.vault.find("latest"))
    assert held.cluster_id == service.source.cluster.cluster_id
    assert held.topics is not None
    assert held.topics[ORDERS].configs == {"retention.ms": "1000"}
    assert held.groups is not None
    assert held.groups["billing"].positions[P0].offset == 1
    assert held.logs is not None
    assert (held.logs[P0].range.end, held.logs[P0].oldest_ms) == (2, 5)
    assert held.acls == frozenset({RULE})


def test_both_regions_are_backed_up_and_redirects_once(service: FakeService, backups: Backups) -> None:
    service.connect.put("source", {"connector.class": "X", "producer.override.sasl.password": "hunter2"})
    document = backups.run(regions=[SOURCE, TARGET]).document()
    parts = {one["region"]: list(one["parts"]) for one in document["backups"]}
    assert "redirects" in parts[SOURCE]
    assert "redirects" not in parts[TARGET]
    assert "connectors" in parts[TARGET]
    manifest = service.world.vault.find("latest", TARGET)
    held = service.world.vault.load(manifest)
    assert held.connectors is not None
    assert held.connectors["source"].config["producer.override.sasl.password"] == "(redacted)"
    assert b"hunter2" not in b"".join(service.buckets[SOURCE].objects.values())
    assert service.buckets[SOURCE].objects == service.buckets[TARGET].objects


def test_a_part_that_may_not_be_read_is_missing_and_the_others_are_not(service: FakeService, backups: Backups) -> None:
    service.source.on_next("acls", denied)
    said: list[str] = []
    found = backups.run(progress=said.append)
    assert not found.is_complete
    document = found.document()
    assert document["backups"][0]["missing"] == {"acls": "not allowed"}
    assert document["backups"][0]["parts"].keys() >= {"topics", "groups", "logs"}
    assert any("acls not read: not allowed" in line for line in said)


@pytest.mark.parametrize(("kind", "name"), [("topic", ORDERS), ("group", "unheard-of")])
def test_what_drkit_may_not_see_is_said(service: FakeService, backups: Backups, kind: str, name: str) -> None:
    """The first ACL on a resource hides it from everybody else, and no call fails."""
    hidden = Acl(kind, name, "literal", "User:orders", "*", "all", "allow")
    service.source.cluster.acls.add(hidden)
    found = backups.run()
    missing = found.document()["backups"][0]["missing"]
    assert not found.is_complete
    assert missing.keys() == ({"topics", "groups", "logs"} if kind == "topic" else {"groups"})
    assert f"may not see 1 {kind} of taipei that ACLs name: {name}" in missing["groups"]
    service.source.cluster.acls.add(Acl(kind, name, "literal", DRKIT, "*", "all", "allow"))
    assert backups.run().is_complete


def test_what_a_backup_holds_is_shown_where_it_is_asked_for(backups: Backups) -> None:
    backups.run()
    assert backups.show("latest")["contents"] == {}
    contents = backups.show("latest", parts=[Part.GROUPS])["contents"]
    assert contents == {"groups": {"billing": {"type": "classic", str(P0): "1"}}}
    assert list(backups.show("latest", parts=None)["contents"])[:3] == ["topics", "acls", "users"]


def test_what_is_asked_for_and_not_there_is_missing(backups: Backups) -> None:
    found = backups.run([Part.TOPICS, Part.CONNECTORS, Part.SCHEMAS])
    missing = found.document()["backups"][0]["missing"]
    assert missing.keys() == {"connectors", "schemas"}
    assert "regions.taipei.connect is missing" in missing["connectors"]


def test_a_topic_that_vanishes_while_logs_are_read_takes_nothing_along(service: FakeService, backups: Backups) -> None:
    service.source.cluster.create("short-lived")
    service.source.on_next("log_times", lambda: service.source.cluster.drop("short-lived"))
    found = backups.run([Part.LOGS])
    assert found.is_complete
    assert found.document()["backups"][0]["parts"]["logs"]["rows"] == 3


def test_where_nothing_can_be_read_the_error_is_its_own(service: FakeService, backups: Backups) -> None:
    service.source.is_dark = True
    with pytest.raises(UnreachableError):
        backups.run()
    found = backups.run(regions=[SOURCE, TARGET])
    assert not found.is_complete
    document = found.document()
    assert [one["region"] for one in document["backups"]] == [TARGET]
    assert [one["region"] for one in document["failed"]] == [SOURCE]
    assert document["failed"][0]["exit_code"] == 5


def test_another_cluster_is_refused_as_a_whole(service: FakeService, backups: Backups) -> None:
    service.source.cluster.cluster_id = "another"
    with pytest.raises(RefusedError, match="has id another"):
        backups.run()
    assert not service.buckets[SOURCE].objects


def test_a_bucket_that_is_dark_makes_the_backup_incomplete(service: FakeService, backups: Backups) -> None:
    service.buckets[TARGET].is_dark = True
    found = backups.run()
    assert not found.is_complete
    assert found.document()["backups"][0]["copies"] == [SOURCE]
    assert list(found.document()["backups"][0]["not_copied"]) == [TARGET]
    document = backups.list()
    assert list(document["dark"]) == [TARGET]
    assert document["backups"][0]["copies"] == [SOURCE]


def test_a_region_that_is_none_is_a_mistake(backups: Backups) -> None:
    calls: list[Callable[[], object]] = [
        lambda: backups.run(regions=["osaka"]),
        lambda: backups.list("osaka"),
        lambda: backups.show("latest", "osaka"),
        lambda: backups.verify((), "osaka"),
        lambda: backups.diff("latest", TARGET, "osaka"),
        lambda: backups.prune(Keep(last=1), "osaka"),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="not a region"):
            call()


def test_what_there_is_is_listed_newest_first(service: FakeService, backups: Backups) -> None:
    first = backups.run().document()["backup_id"]
    service.clock.shared.advance(60)
    second = backups.run([Part.GROUPS]).document()["backup_id"]
    service.clock.shared.advance(30)
    document = backups.list()
    assert [one["backup_id"] for one in document["backups"]] == [second, first]
    assert [one["age_seconds"] for one in document["backups"]] == [30, 90]
    assert document["backups"][0]["parts"] == {"groups": 2}
    assert document["backups"][0]["copies"] == [SOURCE, TARGET]
    assert backups.list(TARGET)["backups"] == []
    shown = backups.show(second[:-4])
    assert shown["earlier"]["topics"] == first
    assert shown["parts"]["groups"]["written_by"] == first


def test_one_of_another_cluster_is_marked(service: FakeService, backups: Backups) -> None:
    backups.run()
    rebuilt = FakeService(settings(changed("regions.taipei.cluster.cluster_id", "rebuilt")))
    later = Backups(replace(rebuilt.world, vault=service.world.vault), lambda: SOURCE, lambda: None)
    assert later.list()["backups"][0]["other_cluster"] is True
    assert any("which is not the one of taipei now" in note for note in later.show("latest")["notes"])
    assert backups.list()["backups"][0]["other_cluster"] is False


def test_a_single_bucket_is_said(service: FakeService, backups: Backups) -> None:
    vault = Vault([Replica("the state bucket", service.store)])
    found = replace(backups, world=replace(service.world, vault=vault)).run()
    assert found.is_complete
    assert any("one copy only" in note for note in found.document()["notes"])


def test_whole_backups_verify_and_damage_is_found_where_it_is(service: FakeService, backups: Backups) -> None:
    with pytest.raises(RefusedError, match="no backup to verify"):
        backups.verify()
    first = backups.run().document()["backup_id"]
    second = backups.run().document()["backup_id"]
    document = backups.verify(share=1.0)
    assert document["ok"] is True
    assert (document["objects"], document["read_objects"]) == (12, 12)
    manifest = service.world.vault.find(second)
    service.buckets[SOURCE].objects[manifest.parts[Part.ACLS].key] += b"!"
    del service.buckets[TARGET].objects[manifest.parts[Part.GROUPS].key]
    del service.buckets[TARGET].objects[manifest.key]
    assert backups.verify()["problems"] == [
        problem for problem in backups.verify(share=1.0)["problems"] if problem["part"] != "acls"
    ]
    found = backups.verify(share=1.0)
    assert found["ok"] is False
    assert {(one["backup_id"], one["replica"], one["part"]) for one in found["problems"]} == {
        (first, SOURCE, "acls"),
        (second, SOURCE, "acls"),
        (first, TARGET, "groups"),
        (second, TARGET, "groups"),
        (second, TARGET, None),
    }
    assert {one["backup_id"] for one in backups.verify([first])["problems"]} == {first}


def test_damage_does_not_outlive_a_backup_that_is_stored_anew(service: FakeService, backups: Backups) -> None:
    first = backups.run().document()["backup_id"]
    del service.buckets[SOURCE].objects[service.world.vault.find(first).parts[Part.ACLS].key]
    shared = backups.run().document()["backup_id"]
    anew = backups.run(anew=True).document()["backup_id"]
    assert {one["backup_id"] for one in backups.verify(share=1.0)["problems"]} == {first, shared}
    assert backups.verify([anew], share=1.0)["ok"] is True


def test_a_sample_reads_some(backups: Backups) -> None:
    backups.run()
    assert backups.verify(share=0.25)["read_objects"] == 3
    assert backups.verify(share=0.001)["read_objects"] == 1


def test_a_bucket_that_does_not_answer_is_no_verified_one(service: FakeService, backups: Backups) -> None:
    backups.run()
    service.buckets[TARGET].is_dark = True
    document = backups.verify()
    assert (document["ok"], document["problems"], list(document["dark"])) == (False, [], [TARGET])


def test_what_is_not_named_by_a_backup_is_no_problem(service: FakeService, backups: Backups) -> None:
    backups.run()
    store = service.buckets[SOURCE]
    store.create(f"{OBJECTS}groups/{'0' * 64}-20250101t000000000z-00000000.parquet", b"")
    store.create(f"{MANIFESTS}notes.txt", b"")
    document = backups.verify(share=1.0)
    assert document["ok"] is True
    assert len(document["notes"]) == 2


def test_a_backup_equals_the_region_until_something_changes(service: FakeService, backups: Backups) -> None:
    backups.run()
    found = backups.diff("latest", SOURCE)
    assert found.is_empty
    assert found.document()["compared"] == ["topics", "acls", "users", "groups", "redirects"]
    service.source.cluster.commit("billing", {P0: 2})
    service.source.cluster.write(P0, b"3")
    service.source.cluster.acls.clear()
    service.source.cluster.create("new\x1b[31m")
    found = backups.diff("latest", SOURCE)
    assert [(one.part, one.name, one.field, one.before, one.after) for one in found.found] == [
        (Part.TOPICS, "new\x1b[31m", "", None, "there"),
        (Part.ACLS, "allow User:orders from * write on topic prefixed orders", "", "there", None),
        (Part.GROUPS, "billing", str(P0), "1", "2"),
    ]
    assert [one.name for one in backups.diff("latest", SOURCE, parts=[Part.LOGS]).found] == ["new\x1b[31m-0", str(P0)]


def test_two_backups_are_compared(service: FakeService, backups: Backups) -> None:
    first = backups.run().document()["backup_id"]
    service.source.cluster.configs[ORDERS]["retention.ms"] = "5"
    backups.run([Part.TOPICS])
    found = backups.diff(first, "latest")
    assert [one.text for one in found.found] == ["config retention.ms: 1000 and 5"]
    assert found.document()["left_out"].keys() == {"acls", "users", "groups", "redirects", "connectors", "schemas"}
    with pytest.raises(RefusedError, match="no part in common"):
        backups.diff(first, "latest", parts=[Part.USERS])


def test_a_region_that_cannot_be_read_does_not_equal_the_backup(service: FakeService, backups: Backups) -> None:
    backups.run()
    service.source.on_next("acls", denied)
    found = backups.diff("latest", SOURCE)
    assert not found.is_empty
    assert found.document()["unread"] == {"acls": "not allowed"}


def test_a_backup_beside_the_other_region(service: FakeService, backups: Backups) -> None:
    """Ids of topics are others there, and have to be."""
    backups.run([Part.TOPICS, Part.GROUPS])
    service.target.cluster.acls.clear()
    found = backups.diff("latest", TARGET)
    assert {(one.part, one.name, one.before) for one in found.found if one.name == ORDERS} == set()
    assert found.notes


def test_a_prune_keeps_what_an_unfinished_run_uses(service: FakeService, backups: Backups) -> None:
    ids = []
    for number in range(3):
        service.source.cluster.commit("billing", {P0: number})
        ids.append(backups.run().document()["backup_id"])
        service.clock.shared.advance(2 * 3600)

    run = cast("Any", SimpleNamespace(plan=SimpleNamespace(options={"backup_id": ids[0], "topic": "orders"})))
    busy = replace(backups, unfinished=lambda: run)
    said = busy.prune(Keep(last=1), dry_run=True)
    assert (said["removed"], said["dry_run"]) == ([ids[1]], True)
    document = busy.prune(Keep(last=1))
    assert document["complete"] is True
    assert document["kept"][ids[0]] == ["in use by an unfinished run"]
    assert [one["backup_id"] for one in backups.list()["backups"]] == [ids[2], ids[0]]
    assert backups.verify(share=1.0)["ok"] is True


def test_drkit_may_be_denied_everything(service: FakeService, backups: Backups) -> None:
    for kind, name in (("cluster", "kafka-cluster"), ("group", "billing"), ("topic", ORDERS)):
        service.source.cluster.acls.add(Acl(kind, name, "literal", DRKIT, "*", "all", "deny"))
    document = backups.run().document()
    assert document["backups"][0]["missing"].keys() >= {"users", "groups"}
    assert document["complete"] is False
