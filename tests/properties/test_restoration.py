"""What a restore does to any region: it removes nothing, and what it was asked for is there at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.inventory import Inventory
from drkit.domain.kafka import GroupState
from drkit.domain.restoration import Choice
from drkit.domain.restored_topics import is_internal
from tests.properties.restore_model import Region, applied, choices, ends, flat, regions, things


@given(backup=regions, live=regions, logs=ends, choice=choices)
def test_nothing_is_removed_and_without_replace_nothing_is_touched(
    backup: Inventory, live: Inventory, logs: Any, choice: Choice
) -> None:
    region = Region(live, logs)
    after = things(applied(region, region.plan(backup, choice).changes).inventory)
    before = things(live)
    assert before.keys() <= after.keys()
    if not choice.replace:
        is_new = not live.schemas.versions and not live.schemas.subject_compatibility  # type: ignore[union-attr]
        touched = {key for key, value in before.items() if after[key] != value}
        assert touched <= ({("level", None)} if is_new else set())


@given(backup=regions, live=regions, logs=ends, choice=choices)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    backup: Inventory, live: Inventory, logs: Any, choice: Choice
) -> None:
    region = Region(live, logs)
    plan = region.plan(backup, choice)
    after = applied(region, plan.changes)
    again = after.plan(backup, choice)
    assert again.changes == ()
    assert [one for one in again.stays if one not in plan.stays] == []


@given(backup=regions, live=regions, logs=ends, choice=choices, data=st.data())
def test_it_goes_on_from_wherever_it_was_cut_off(
    backup: Inventory, live: Inventory, logs: Any, choice: Choice, data: st.DataObject
) -> None:
    region = Region(live, logs)
    plan = region.plan(backup, choice)
    done = flat(plan.changes)
    cut_off = applied(region, done[: data.draw(st.integers(0, len(done)))])
    rest = cut_off.plan(backup, choice)
    assert things(applied(cut_off, rest.changes).inventory) == things(applied(region, plan.changes).inventory)


@given(backup=regions, live=regions, logs=ends, choice=choices)
def test_what_does_not_become_as_in_the_backup_is_said(
    backup: Inventory, live: Inventory, logs: Any, choice: Choice
) -> None:
    region = Region(live, logs)
    plan = region.plan(backup, choice)
    after = things(applied(region, plan.changes).inventory)
    missing = {
        key
        for key, value in things(backup).items()
        if after.get(key) != value and not (key[0] in ("topic", "config") and is_internal(key[1]))
    }
    if not plan.stays:
        # Groups with members forbid the plan; positions below what is left of a log are raised to it.
        refused = {name for name, group in (live.groups or {}).items() if group.state is GroupState.ACTIVE}
        said = {key for key in missing if key[0] == "position" and (key[1] in refused or plan.notes)}
        assert missing == said
        if any(key[1] in refused for key in said if after.get(key) is None):
            assert plan.refusals


@given(backup=regions, live=regions, logs=ends)
def test_into_an_empty_region_everything_is_restored(backup: Inventory, live: Inventory, logs: Any) -> None:
    assert live.schemas is not None
    registry = replace(live.schemas, versions=(), subject_compatibility={})
    empty = replace(live, topics={}, acls=frozenset(), groups={}, schemas=registry)
    region = Region(empty, {})
    plan = region.plan(backup, Choice(accept_positions=True))
    after = things(applied(region, plan.changes).inventory)
    lost = {key: value for key, value in things(backup).items() if after.get(key) != value}
    topics = {name for name in backup.topics or {} if not is_internal(name)}
    assert all(
        (key[0] in ("topic", "config") and is_internal(key[1]))
        or (key[0] == "position" and key[2].topic not in topics)
        or (key[0] == "position" and key[2].partition >= after["topic", key[2].topic])
        for key in lost
    )


@given(backup=regions, live=regions, logs=ends, choice=choices)
def test_a_position_of_another_log_is_written_only_if_that_was_accepted(
    backup: Inventory, live: Inventory, logs: Any, choice: Choice
) -> None:
    region = Region(live, logs)
    plan = region.plan(backup, choice)
    topics = applied(region, plan.changes).inventory.topics or {}
    for change in plan.changes:
        for p, at in getattr(change, "after", {}).items() if hasattr(change, "group") else ():
            log = applied(region, plan.changes).known_logs[p]
            is_same = (backup.topics or {}).get(p.topic) is not None and (
                (backup.topics or {})[p.topic].topic_id == topics[p.topic].topic_id
            )
            if not is_same:
                assert at.leader_epoch is None
            if not (is_same and log.start <= at.offset <= log.end) and not at.offset == log.start == 0:
                assert choice.accept_positions or any(one.flag == "--accept-positions" for one in plan.refusals)
