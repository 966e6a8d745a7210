"""A region as a value, and what changes make of it; and regions and backups that overlap in part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from drkit.domain.inventory import (
    CommittedPosition,
    GroupInventory,
    GroupType,
    Inventory,
    RegistryInventory,
    SchemaReference,
    SubjectVersion,
)
from drkit.domain.kafka import Acl, GroupState, LogRange, PartitionDescription, TopicDescription, TopicPartition
from drkit.domain.provisioning import (
    AddPartitions,
    Change,
    CreateAcl,
    CreateTopic,
    RegisterSchema,
    SetCompatibility,
    SetConfig,
    SetPositions,
)
from drkit.domain.restoration import Choice, Restoration, restore_acls
from drkit.domain.restored_positions import NO_LOG, in_place, restore_groups
from drkit.domain.restored_schemas import restore_schemas
from drkit.domain.restored_topics import restore_topics

TOPICS = ("orders", "payments", "mm2-offset-syncs.a.internal")
PARTITIONS = tuple(TopicPartition(topic, number) for topic in TOPICS[:2] for number in (0, 1))


def topic(name: str, partitions: int, configs: dict[str, str], topic_id: str = "id-1") -> TopicDescription:
    """A topic on one broker."""
    described = tuple(PartitionDescription(number, 1, (1,), (1,)) for number in range(partitions))
    return TopicDescription(name, topic_id, described, configs)


def _registry(versions: dict[tuple[str, int], str], level: str, levels: dict[str, str]) -> RegistryInventory:
    keys = sorted(versions)

    def made(number: int, subject: str, version: int) -> SubjectVersion:
        imports = (SchemaReference("first", "s0", 1),) if (subject, version) > ("s0", 1) and ("s0", 1) in keys else ()
        return SubjectVersion(subject, version, 10 * number + 1, "AVRO", versions[subject, version], imports)

    return RegistryInventory(tuple(made(number, *key) for number, key in enumerate(keys)), level, levels)


def _some(dice: Random, names: Sequence[Any]) -> list[Any]:
    return [name for name in names if dice.random() < 0.6]


def _group(dice: Random, name: str) -> GroupInventory:
    positions = {
        p: CommittedPosition(dice.randint(0, 3), dice.choice([None, 1]), dice.choice(["", "", "m"]))
        for p in _some(dice, PARTITIONS)
    }
    state = dice.choice([GroupState.EMPTY, GroupState.EMPTY, GroupState.ACTIVE])
    return GroupInventory(name, GroupType.CLASSIC, state, positions=positions)


def _inventory(seed: int) -> Inventory:
    """Two of them have much in common, and differ in any way: names are few, and each is there or not."""
    dice = Random(seed)
    configs = {
        name: {key: dice.choice("12") for key in _some(dice, ["retention.ms", "cleanup.policy"])} for name in TOPICS
    }
    acls = [
        Acl("topic", name, "literal", who, "*", "read", permission)
        for name in TOPICS[:2]
        for who in ("User:a", "User:b")
        for permission in ("allow", "deny")
    ]
    versions = {key: dice.choice("xy") for key in _some(dice, [("s0", 1), ("s0", 2), ("s1", 1), ("s1", 2)])}
    levels = {subject: dice.choice(["FULL", "NONE"]) for subject in _some(dice, ["s0", "s1"])}
    return Inventory(
        "taipei",
        "c",
        topics={
            name: topic(name, dice.randint(1, 2), configs[name], dice.choice(["id-1", "id-2"]))
            for name in _some(dice, TOPICS)
        },
        acls=frozenset(_some(dice, acls)),
        groups={name: _group(dice, name) for name in _some(dice, ["g", "h"])},
        schemas=_registry(versions, dice.choice(["FULL", "NONE"]), levels),
    )


def _logs(seed: int) -> dict[TopicPartition, LogRange]:
    dice = Random(seed)
    starts = {p: dice.choice([0, 0, 1, 2]) for p in PARTITIONS}
    return {p: LogRange(start, start + 2, start + 2) for p, start in starts.items()}


_seeds = st.integers(0, 2**32)
regions: st.SearchStrategy[Inventory] = _seeds.map(_inventory)
"""A region, by the throw of dice: to draw each thing by itself takes Hypothesis seconds."""
ends = _seeds.map(_logs)
choices = st.builds(
    Choice,
    replace=st.booleans(),
    accept_positions=st.booleans(),
    skip_active=st.booleans(),
    replication_factor=st.none() | st.just(1),
)


@dataclass(frozen=True)
class Region:
    """What a plan is made against: an inventory and its logs."""

    inventory: Inventory
    logs: dict[TopicPartition, LogRange]

    def plan(self, backup: Inventory, choice: Choice) -> Restoration:
        """Every part, with groups placed as they will be once the topics are made."""
        live: Any = self.inventory
        topics = restore_topics(backup.topics or {}, live.topics, choice, brokers=3)
        after = applied(self, topics.changes)
        placed = in_place(
            backup.groups or {},
            {name: one.topic_id for name, one in (backup.topics or {}).items()},
            {name: one.topic_id for name, one in live.topics.items()},
            after.known_logs,
            same_cluster=True,
        )
        groups = {name: group for name, group in live.groups.items() if name in (backup.groups or {})}
        assert backup.schemas is not None
        return (
            topics
            + restore_schemas(backup.schemas, live.schemas, choice)
            + restore_groups(backup.groups or {}, placed, groups, choice)
            + restore_acls(backup.acls or frozenset(), live.acls, None)
        )

    @property
    def known_logs(self) -> dict[TopicPartition, LogRange]:
        """Of partitions that are there."""
        topics = self.inventory.topics or {}
        return {p: self.logs.get(p, NO_LOG) for one in topics.values() for p in one.topic_partitions if p in PARTITIONS}


def applied(region: Region, changes: Iterable[Change]) -> Region:
    """The region with these changes."""
    for change in changes:
        region = _applied(region, change)
    return region


def _applied(region: Region, change: Change) -> Region:
    now: Any = region.inventory
    logs = dict(region.logs)
    match change:
        case CreateTopic():
            assert change.name not in now.topics, "a topic that is there is not made"
            made = topic(change.name, change.partitions, dict(change.configs), "id-new")
            now = replace(now, topics={**now.topics, change.name: made})
            logs.update(dict.fromkeys(made.topic_partitions, NO_LOG))
        case AddPartitions():
            found = now.topics[change.topic]
            assert len(found.partitions) == change.before < change.after
            more = topic(change.topic, change.after, dict(found.configs), found.topic_id)
            now = replace(now, topics={**now.topics, change.topic: more})
            logs.update(dict.fromkeys(more.topic_partitions[change.before :], NO_LOG))
        case SetConfig():
            found = now.topics[change.topic]
            assert found.configs.get(change.config) == change.before
            configs = {**found.configs, change.config: change.after}
            now = replace(now, topics={**now.topics, change.topic: replace(found, configs=configs)})
        case CreateAcl():
            now = replace(now, acls=now.acls | {change.acl})
        case SetPositions():
            found = now.groups.get(change.group) or GroupInventory(change.group, GroupType.CLASSIC, GroupState.EMPTY)
            assert found.state is GroupState.EMPTY, "a group with members is not written"
            assert {p: at for p, at in found.positions.items() if p in change.after} == change.before
            positions = {**found.positions, **change.after}
            now = replace(now, groups={**now.groups, change.group: replace(found, positions=positions)})
        case RegisterSchema():
            there = {(one.subject, one.version) for one in now.schemas.versions}
            one = change.version
            assert all((r.subject, r.version) in there for r in one.references), "what it imports comes before it"
            assert (one.subject, one.version) not in there
            versions = (*now.schemas.versions, one)
            now = replace(now, schemas=replace(now.schemas, versions=versions))
        case SetCompatibility():
            if change.subject is None:
                now = replace(now, schemas=replace(now.schemas, compatibility=change.after))
            else:
                levels = {**now.schemas.subject_compatibility, change.subject: change.after}
                now = replace(now, schemas=replace(now.schemas, subject_compatibility=levels))
    return Region(now, logs)


def flat(changes: Iterable[Change]) -> list[Change]:
    """The changes, those of a group partition by partition: so it is that a cluster may make a part of them."""
    found: list[Change] = []
    for change in changes:
        if isinstance(change, SetPositions):
            for p, at in change.after.items():
                before = {p: change.before[p]} if p in change.before else {}
                found.append(SetPositions(change.group, before, {p: at}))
        else:
            found.append(change)
    return found


def things(inventory: Inventory) -> dict[Any, Any]:
    """Everything that is there, each by its name."""
    now: Any = inventory
    return {
        **{("topic", name): len(one.partitions) for name, one in now.topics.items()},
        **{("config", name, key): at for name, one in now.topics.items() for key, at in one.configs.items()},
        **{("acl", acl): True for acl in now.acls},
        **{
            ("position", name, p): (at.offset, at.metadata)
            for name, one in now.groups.items()
            for p, at in one.positions.items()
        },
        **{("schema", one.subject, one.version): one for one in now.schemas.versions},
        **{("level", name): level for name, level in now.schemas.subject_compatibility.items()},
        ("level", None): now.schemas.compatibility,
    }
