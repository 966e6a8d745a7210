"""What a restore refuses, what it leaves, what it says, and where groups continue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drkit.cli.render import report_text, runs_text
from drkit.cli.restore_text import restore_plan_text
from drkit.domain.inventory import CommittedPosition, Part, RegistryInventory, ScramUser
from drkit.domain.kafka import Acl, TopicPartition
from drkit.domain.lifecycle import Phase
from drkit.domain.restore_request import RestoreRequest
from drkit.errors import AuthError, ExitCode, RefusedError, StalePlanError, StoppedError, UnreachableError, UsageError
from drkit.procedures.plan import Request
from tests.fakes.move import GROUP
from tests.fakes.restore import ALLOWED, DENIED, FIRST, IDLE, PAYMENTS, SECOND, Shop
from tests.fakes.service import APPLICATION, ORDERS, SOURCE, TARGET

CANARY = "shop.staging.drkit.canary"


def flags(plan: Any) -> list[str]:
    return list(plan.document["flags"])


def changes(plan: Any) -> list[str]:
    return [change["text"] for change in plan.document["changes"]]


def test_a_region_as_it_was_backed_up_has_nothing_to_restore() -> None:
    shop = Shop()
    manifest = shop.back_up()
    plan = shop.plan(manifest)
    assert changes(plan) == []
    assert "nothing is to be changed" in restore_plan_text(plan.document)
    report = shop.restore(manifest)
    assert report.exit_code is ExitCode.DONE
    assert report.document["made"] == {}
    assert report.document["is_as_backed_up"] is True


def test_a_plan_writes_nothing() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    stores = [shop.service.store, *shop.service.buckets.values()]
    before = shop.state
    objects = [dict(store.objects) for store in stores]
    shop.service.source.calls.clear()
    shop.plan(manifest, accept_positions=True)
    assert shop.state == before
    assert [dict(store.objects) for store in stores] == objects
    reads = {"describe_cluster", "describe_topics", "hidden_topics", "log_ranges", "group_inventory", "acls"}
    assert {call for call, _ in shop.service.source.calls} <= reads


def test_what_differs_stays_without_replace_and_the_run_says_so() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.configs[PAYMENTS]["retention.ms"] = "7"
    shop.cluster.configs[ORDERS]["cleanup.policy"] = "compact"
    shop.cluster.commit(GROUP, {FIRST: 2})
    before = shop.state
    plan = shop.plan(manifest)
    assert [(one["what"], one["flag"]) for one in plan.document["stays"]] == [
        (f"topic {ORDERS}", None),
        (f"topic {PAYMENTS}", "--replace"),
        (f"group {GROUP} on {FIRST}", "--replace"),
    ]
    report = shop.restore(manifest)
    assert report.exit_code is ExitCode.VERIFICATION
    assert shop.run.phase is Phase.VERIFICATION_MISSED
    assert shop.state == before
    assert len(report.document["differs"]) == 3
    assert f"groups: group {GROUP} on {FIRST}: is at 2, 10 by the backup" in report.document["differs"]
    text = report_text(report.document)
    assert "as in the backup   no" in text
    assert "recovery time" not in text
    replaced = restore_plan_text(shop.plan(manifest, replace=True).document)
    assert f"    group {GROUP}: {FIRST} at 10 (was 2)" in replaced


def test_one_group_is_set_back() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.commit(GROUP, {FIRST: 2, SECOND: 8})
    shop.cluster.commit(IDLE, {FIRST: 0})
    report = shop.restore(manifest, parts=frozenset({Part.GROUPS}), groups=frozenset({GROUP}), replace=True)
    assert report.exit_code is ExitCode.DONE
    assert shop.state["groups"][GROUP] == {FIRST: CommittedPosition(10), SECOND: CommittedPosition(5, 3, "note")}
    assert shop.state["groups"][IDLE] == {FIRST: CommittedPosition(0)}


def test_one_topic_is_made_again_and_its_positions_are_not_guessed() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.drop(PAYMENTS)
    del shop.cluster.committed[GROUP][SECOND]
    chosen = {"parts": frozenset({Part.TOPICS, Part.GROUPS}), "topics": frozenset({PAYMENTS})}
    plan = shop.plan(manifest, **chosen)
    assert flags(plan) == ["--accept-positions"]
    with pytest.raises(RefusedError, match="1 positions of 1 groups are of logs that nobody knows to be the same"):
        shop.restore(manifest, **chosen)
    assert PAYMENTS not in shop.cluster.configs
    assert shop.restore(manifest, parts=frozenset({Part.TOPICS}), topics=frozenset({PAYMENTS})).exit_code == 0
    assert shop.restore(manifest, **chosen, accept_positions=True).exit_code == 0
    # The leader epoch was of the log that is gone.
    assert shop.state["groups"][GROUP][SECOND] == CommittedPosition(5, None, "note")


def test_a_topic_that_was_made_anew_is_another_log() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.drop(ORDERS)
    shop.cluster.create(ORDERS)
    shop.cluster.write(FIRST, *(b"x" for _ in range(20)))
    shop.cluster.commit(GROUP, {FIRST: 20})
    assert flags(shop.plan(manifest, replace=True)) == ["--accept-positions"]
    assert flags(shop.plan(manifest, replace=True, accept_positions=True)) == []


def test_positions_below_what_is_left_of_a_log_are_put_at_its_start() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.logs[FIRST].delete_before(6)
    plan = shop.plan(manifest, replace=True)
    assert flags(plan) == []
    assert any("1 positions are put at the log start" in note for note in plan.document["warnings"])
    assert shop.restore(manifest, replace=True).exit_code == 0
    assert shop.state["groups"][IDLE] == {FIRST: CommittedPosition(6)}


def test_a_backup_of_groups_alone_is_judged_by_the_topics_of_one_before_it() -> None:
    shop = Shop()
    shop.back_up([Part.TOPICS])
    manifest = shop.back_up([Part.GROUPS])
    shop.cluster.commit(GROUP, {FIRST: 1})
    assert flags(shop.plan(manifest, replace=True)) == []
    lonely = Shop()
    manifest = lonely.back_up([Part.GROUPS])
    assert flags(lonely.plan(manifest, replace=True)) == ["--accept-positions"]


def test_groups_with_members_are_refused_before_anything_is_written() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    shop.cluster.join(GROUP)
    before = shop.state
    with pytest.raises(RefusedError, match=f"1 groups have members.*{GROUP}") as caught:
        shop.restore(manifest, accept_positions=True)
    assert "--skip-active" in caught.value.hint
    assert shop.state == before
    report = shop.restore(manifest, accept_positions=True, skip_active=True)
    assert report.exit_code is ExitCode.VERIFICATION
    assert report.document["differs"] == [f"groups: group {GROUP}: it has members, so that it stays where it is"]
    assert shop.state["groups"] == {IDLE: {FIRST: CommittedPosition(4)}}


def test_a_group_that_joins_meanwhile_stops_the_run_and_is_not_written() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    shop.service.source.on_next("create_topic", lambda: shop.cluster.join(GROUP))
    with pytest.raises(StoppedError, match="stopped at restore-groups: 1 groups have members"):
        shop.restore(manifest, accept_positions=True)
    assert shop.cluster.committed == {}
    shop.cluster.leave(GROUP)
    assert shop.resume().exit_code is ExitCode.DONE


def test_a_plan_is_stale_when_a_group_has_moved() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.commit(GROUP, {FIRST: 2})
    service = shop.operator()
    plan = service.restoring.plan(shop.request(manifest, replace=True))
    shop.cluster.commit(GROUP, {FIRST: 3})
    with pytest.raises(StalePlanError, match="has changed since the restore was planned"):
        service.restoring.run(plan, shop.watcher)
    assert shop.run.phase is Phase.REFUSED
    assert shop.state["groups"][GROUP][FIRST].offset == 3


def test_a_plan_is_stale_when_a_config_has_moved_between_two_steps() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.configs[PAYMENTS].update({"retention.ms": "7"})
    shop.cluster.acls.discard(DENIED)

    def somebody() -> None:
        shop.cluster.acls.discard(next(acl for acl in sorted(ALLOWED) if acl.principal == APPLICATION))

    shop.service.source.on_next("alter_topic_configs", somebody)
    with pytest.raises(StoppedError, match="stopped at restore-acls: taipei has changed since"):
        shop.restore(manifest, replace=True)
    assert shop.abort().exit_code is ExitCode.DONE
    assert shop.cluster.configs[PAYMENTS]["retention.ms"] == "7"


def test_what_somebody_committed_meanwhile_is_neither_overwritten_nor_undone() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.commit(GROUP, {FIRST: 2, SECOND: 2})
    shop.cluster.commit(IDLE, {FIRST: 1})
    shop.service.source.on_next("acls", lambda: None, lambda: None, lambda: None, _gone)
    with pytest.raises(StoppedError, match="restore-acls"):
        shop.restore(manifest, replace=True)
    assert shop.state["groups"][IDLE][FIRST].offset == 4
    shop.cluster.commit(GROUP, {FIRST: 7})
    report = shop.abort()
    assert report.exit_code is ExitCode.DONE
    assert shop.state["groups"][GROUP][FIRST].offset == 7
    assert shop.state["groups"][IDLE][FIRST].offset == 1
    assert report.document["undone"]["restore-groups"] == {"restored": 1, "kept": [GROUP]}
    assert f"stays of restore-groups: ['{GROUP}']" in report_text(report.document)


def cut_off_before_any_position() -> Shop:
    """A run whose positions are on record, and none of them committed: the broker went away."""
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    shop.service.source.on_next("commit_positions", _gone, _gone)
    with pytest.raises(StoppedError, match="stopped at restore-groups: 2 of 2 groups were not written"):
        shop.restore(manifest, accept_positions=True)
    return shop


def test_a_resumed_run_does_not_overwrite_what_somebody_has_committed() -> None:
    shop = cut_off_before_any_position()
    shop.cluster.commit(GROUP, {FIRST: 3})
    with pytest.raises(StoppedError, match=f"1 positions have changed since .*: {GROUP} on {FIRST}"):
        shop.resume()
    assert shop.state["groups"] == {GROUP: {FIRST: CommittedPosition(3)}}


def test_a_resumed_run_writes_no_group_while_one_has_members() -> None:
    shop = cut_off_before_any_position()
    shop.cluster.join(GROUP)
    with pytest.raises(StoppedError, match="1 groups have members in taipei"):
        shop.resume()
    assert shop.cluster.committed == {}


def test_undoing_leaves_positions_that_were_not_restored() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.committed[GROUP] = {SECOND: 8}
    shop.cluster.acls.discard(DENIED)
    before = shop.state
    shop.service.source.on_next("create_acls", _gone)
    with pytest.raises(StoppedError, match="restore-acls"):
        shop.restore(manifest, parts=frozenset({Part.GROUPS, Part.ACLS}), topics=frozenset({ORDERS}))
    assert shop.state["groups"][GROUP][FIRST].offset == 10
    assert shop.abort().exit_code is ExitCode.DONE
    assert shop.state == before


def test_undoing_leaves_a_config_that_somebody_has_set_since() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.configs[PAYMENTS]["retention.ms"] = "7"
    shop.cluster.acls.discard(DENIED)

    def somebody() -> None:
        shop.cluster.configs[PAYMENTS]["retention.ms"] = "9"
        _gone()

    shop.service.source.on_next("create_acls", somebody)
    with pytest.raises(StoppedError, match="restore-acls"):
        shop.restore(manifest, replace=True)
    report = shop.abort()
    assert shop.cluster.configs[PAYMENTS]["retention.ms"] == "9"
    assert report.document["undone"]["restore-topics"]["kept"] == [f"retention.ms of {PAYMENTS}"]


def _gone() -> None:
    raise UnreachableError("the broker is gone")


def test_a_run_is_undone_also_while_the_backups_are_dark() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    shop.service.source.on_next("create_acls", _gone)
    with pytest.raises(StoppedError):
        shop.restore(manifest, accept_positions=True)
    for bucket in shop.service.buckets.values():
        bucket.is_dark = True
    assert shop.abort().exit_code is ExitCode.DONE
    assert shop.cluster.committed == {}


def test_groups_that_read_on_after_the_restore_are_where_they_belong() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()

    def at_work() -> None:
        shop.cluster.join(GROUP)
        shop.cluster.commit(GROUP, {FIRST: 12})

    shop.service.source.on_next("create_acls", at_work)
    assert shop.restore(manifest, accept_positions=True).exit_code is ExitCode.DONE


def test_a_group_that_is_set_back_after_the_restore_is_a_difference() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    shop.service.source.on_next("create_acls", lambda: shop.cluster.commit(GROUP, {FIRST: 1}))
    report = shop.restore(manifest, accept_positions=True)
    assert report.exit_code is ExitCode.VERIFICATION
    assert report.document["differs"] == [f"groups: group {GROUP} on {FIRST}: is at 1, not 10"]


def test_a_rebuilt_cluster_is_named_and_accepted() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    shop.cluster.cluster_id = "cluster-new"
    with pytest.raises(RefusedError, match="has id cluster-new") as caught:
        shop.plan(manifest)
    assert "put the new id into drkit.yaml" in caught.value.hint
    shop.configure_cluster("cluster-new")
    plan = shop.plan(manifest)
    assert flags(plan) == ["--accept-other-cluster", "--accept-positions"]
    assert "ANOTHER CLUSTER: cluster-new, the backup is of cluster-1" in restore_plan_text(plan.document)
    assert any("the mirror knows" in note for note in plan.document["warnings"])
    accepted = {"accept_other_cluster": True, "accept_positions": True}
    assert shop.restore(manifest, **accepted).exit_code is ExitCode.DONE
    # Topic ids may agree by accident of a test: on another cluster no log is the same.
    shop.cluster.commit(GROUP, {FIRST: 0})
    assert flags(shop.plan(manifest, replace=True)) == ["--accept-other-cluster", "--accept-positions"]


def test_topics_that_drkit_may_not_see_are_not_taken_for_missing() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.acls.add(Acl("topic", PAYMENTS, "literal", "User:drkit", "*", "describe", "deny"))
    with pytest.raises(AuthError, match=f"drkit may not describe 1 topics.*{PAYMENTS}"):
        shop.plan(manifest)


def test_a_fence_is_no_part_of_a_region() -> None:
    shop = Shop()
    shop.service.world.regions[SOURCE].fence.put_producers()
    fenced = frozenset(shop.cluster.acls)
    manifest = shop.back_up()
    shop.service.world.regions[SOURCE].fence.lift_producers()
    assert any(acl.permission == "deny" and acl.principal == APPLICATION for acl in fenced)
    shop.lose_everything()
    plan = shop.plan(manifest, accept_positions=True)
    assert any("are a fence of drkit's" in note for note in plan.document["warnings"])
    assert shop.restore(manifest, accept_positions=True).exit_code is ExitCode.DONE
    assert shop.cluster.acls == ALLOWED | {DENIED}


def test_denials_are_made_first() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    made = [text for text in changes(shop.plan(manifest)) if text.startswith(("DENY", "ALLOW"))]
    assert made[0].startswith("DENY")
    assert len(made) == len(ALLOWED) + 1


def test_users_are_left_to_do_by_hand() -> None:
    shop = Shop()
    shop.cluster.users = {
        "orders": ScramUser("orders", {"SCRAM-SHA-512": 4096}),
        "b": ScramUser("b", {"SCRAM-SHA-256": 1}),
    }
    shop.cluster.acls.add(Acl("cluster", "kafka-cluster", "literal", "User:drkit", "*", "all", "allow"))
    manifest = shop.back_up()
    del shop.cluster.users["orders"]
    by_hand = shop.plan(manifest).document["by_hand"]
    assert by_hand == ["SCRAM user orders (SCRAM-SHA-512): make it with its secret, which no backup has"]


def test_internal_topics_are_restored_only_where_they_are_named() -> None:
    shop = Shop()
    name = "mm2-offset-syncs.tokyo.internal"
    shop.cluster.create(name)
    manifest = shop.back_up()
    shop.cluster.drop(name)
    plan = shop.plan(manifest)
    assert changes(plan) == []
    assert any(name in note for note in plan.document["warnings"])
    named = {"parts": frozenset({Part.TOPICS}), "topics": frozenset({name})}
    assert shop.restore(manifest, **named).exit_code is ExitCode.DONE
    assert name in shop.cluster.configs


def test_more_replicas_than_brokers_are_refused_with_the_flag_that_lifts_it() -> None:
    shop = Shop()
    manifest = shop.back_up_with(lambda topic: topic.name == PAYMENTS, replicas=3)
    shop.lose_everything()
    plan = shop.plan(manifest, accept_positions=True)
    assert flags(plan) == ["--replication-factor 1"]
    report = shop.restore(manifest, accept_positions=True, replication_factor=1)
    assert report.exit_code is ExitCode.DONE


def test_partitions_are_added_with_replace_and_never_taken_away() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.drop(PAYMENTS)
    shop.cluster.create(PAYMENTS, 1, {"retention.ms": "1000", "cleanup.policy": "delete"})
    shop.cluster.add_partitions(ORDERS, 3)
    only = {"parts": frozenset({Part.TOPICS})}
    stays = {one["what"]: one["flag"] for one in shop.plan(manifest, **only).document["stays"]}
    assert stays == {f"topic {ORDERS}": None, f"topic {PAYMENTS}": "--replace"}
    assert shop.restore(manifest, **only, replace=True).exit_code is ExitCode.VERIFICATION
    assert TopicPartition(PAYMENTS, 1) in shop.cluster.logs
    assert TopicPartition(ORDERS, 2) in shop.cluster.logs


def test_a_backup_without_what_was_asked_for() -> None:
    shop = Shop()
    manifest = shop.back_up([Part.TOPICS, Part.ACLS])
    assert shop.plan(manifest).document["parts"] == ["topics", "acls"]
    with pytest.raises(RefusedError, match=r"does not have groups \(not asked for when it was taken\)"):
        shop.plan(manifest, parts=frozenset({Part.GROUPS}))
    with pytest.raises(RefusedError, match="has no topic shop-nothing"):
        shop.plan(manifest, parts=frozenset({Part.TOPICS}), topics=frozenset({"shop-nothing"}))
    with pytest.raises(UsageError, match="the latest backup of which region"):
        shop.operator().restoring.plan(RestoreRequest("latest"))
    assert shop.operator().restoring.plan(RestoreRequest("latest", region=SOURCE)).source == SOURCE
    with pytest.raises(UsageError, match="'mars' is not a region"):
        shop.plan(manifest, target="mars")


def test_schemas_without_a_registry_are_refused() -> None:
    shop = Shop()
    manifest = shop.back_up()
    world = shop.service.world
    ports = replace(world.regions[SOURCE], registry=None, registry_writer=None)
    shop.service.world = replace(world, regions={**world.regions, SOURCE: ports})
    with pytest.raises(RefusedError, match="schema_registry is missing"):
        shop.plan(manifest)


def test_a_schema_that_is_another_one_stays() -> None:
    shop = Shop()
    manifest = shop.back_up()
    one = shop.registry.content.versions[0]
    shop.registry.content = RegistryInventory(
        (replace(one, schema='"int"', schema_id=9),), "FULL", {one.subject: "NONE"}
    )
    report = shop.restore(manifest, replace=True)
    assert report.exit_code is ExitCode.VERIFICATION
    assert report.document["differs"] == [f"schemas: schema {one.subject} version 1: is another one (id 9)"]


def test_nothing_is_restored_beside_an_unfinished_run() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    shop.service.source.on_next("create_acls", _gone)
    with pytest.raises(StoppedError):
        shop.restore(manifest, accept_positions=True)
    with pytest.raises(RefusedError, match="is unfinished"):
        shop.plan(manifest)
    unfinished = shop.operator().unfinished_run(None)
    assert unfinished.summary.startswith(f"restores backup {manifest.backup_id} to {SOURCE}")
    assert unfinished.if_source_dies == "stop"
    listed = shop.operator().list_runs()
    assert listed["runs"][0]["backup_id"] == manifest.backup_id
    assert "restore" in runs_text(listed)


def test_a_disaster_move_takes_the_place_of_a_restore() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.cluster.commit(GROUP, {FIRST: 2})
    shop.service.checkpoint(GROUP, FIRST, 10, downstream=10)
    shop.service.source.on_next("acls", lambda: None, lambda: None, lambda: None, _gone)
    with pytest.raises(StoppedError):
        shop.restore(manifest, replace=True)
    shop.service.source.is_dark = True
    plan = shop.operator().plan(Request("failover", TARGET, mode="disaster", supersede=True, accept_loss="unknown"))
    assert plan.supersedes == shop.run.run_id
    assert any("is given up, and what it restored stays" in warning for warning in plan.warnings)


def test_into_the_other_region_positions_go_through_the_translation() -> None:
    shop = Shop()
    service = shop.service
    service.target.cluster.create(PAYMENTS, 2, {"retention.ms": "1000", "cleanup.policy": "delete"})
    # What the mirror had carried before these ten makes the two logs differ in their offsets.
    service.carry(SECOND)
    manifest = shop.back_up()
    service.target.cluster.committed.clear()
    only = {"target": TARGET, "parts": frozenset({Part.GROUPS})}
    plan = shop.plan(manifest, **only)
    assert flags(plan) == []
    assert shop.restore(manifest, **only).exit_code is ExitCode.DONE
    cluster = service.target.cluster
    assert {p: cluster.position(GROUP, p) for p in cluster.committed[GROUP]} == {
        FIRST: CommittedPosition(10),
        SECOND: CommittedPosition(5, None, "note"),
    }
    assert cluster.committed[IDLE] == {FIRST: 4}
    assert CANARY not in cluster.committed


def test_what_the_other_region_does_not_know_is_refused_until_it_is_accepted() -> None:
    shop = Shop()
    manifest = shop.back_up()
    only = {"target": TARGET, "parts": frozenset({Part.GROUPS})}
    plan = shop.plan(manifest, **only)
    assert flags(plan) == ["--accept-replay unknown"]
    report = shop.restore(manifest, **only, accept_replay="unknown")
    assert report.exit_code is ExitCode.VERIFICATION
    assert any(str(SECOND) in text and "not placed" in text for text in report.document["differs"])
    assert shop.service.target.cluster.committed[IDLE] == {FIRST: 4}


def test_a_restore_is_shown_with_its_own_figures() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.lose_everything()
    report = shop.restore(manifest, accept_positions=True)
    document = report.document
    assert document["schema"] == "drkit.restore-run/1"
    assert not {"rto_seconds", "records_lost", "offsets", "objectives"} & document.keys()
    assert document["made"] == {
        "create_topic": 3,
        "register_schema": 1,
        "set_compatibility": 2,
        "set_positions": 3,
        "create_acl": 5,
    }
    assert shop.operator().show_run(document["run_id"]) == document
    assert document["accepted"]["backup_id"] == manifest.backup_id
