"""A backup and the region that it is restored to, as the steps of one restore see them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from drkit.backup.manifest import Manifest
from drkit.backup.vault import Vault
from drkit.config.parity_rules import fence_scope
from drkit.domain.checks import listed
from drkit.domain.inventory import GroupInventory, Inventory, Part
from drkit.domain.kafka import Acl, LogRange, TopicDescription, TopicPartition
from drkit.domain.lag import NO_RECORD
from drkit.domain.naming import printable
from drkit.domain.objectives import Accepted, Forecast, Limits, Refused, hold_against
from drkit.domain.positions import GroupPosition, replay_amount
from drkit.domain.provisioning import AddPartitions, CreateTopic
from drkit.domain.restoration import Refusal, Restoration, not_restored, restore_acls
from drkit.domain.restore_request import RestoreRequest
from drkit.domain.restored_positions import NO_LOG, Placement, in_place, restore_groups, translated
from drkit.domain.restored_schemas import restore_schemas
from drkit.domain.restored_topics import restore_topics
from drkit.errors import AuthError, RefusedError
from drkit.ports import RegistryReader, RegistryWriter
from drkit.steps.world import RegionPorts, World
from drkit.verification.positions import Translator

_LISTED = (Part.USERS, Part.CONNECTORS, Part.REDIRECTS)
"""What is shown of a backup, and left to others."""


@dataclass
class RestoreView:
    """Plans each part from what the region has at that moment.

    ``source``: the region that was backed up. ``find``: reads the manifest, which only planning needs: undoing does not
    depend on the backup's bucket. ``rename``: topic in the backup to topic in the region. ``translator``: of the flow
    between the two; asked for where the region is not the backup's own.
    """

    world: World
    vault: Vault
    find: Callable[[], Manifest]
    source: str
    target: str
    request: RestoreRequest
    translator: Callable[[], Translator]
    rename: Callable[[str], str] = str
    _backup: dict[Part, Inventory] = field(default_factory=dict)

    @cached_property
    def manifest(self) -> Manifest:
        """The backup's manifest."""
        return self.find()

    @property
    def ports(self) -> RegionPorts:
        """The region that is restored to."""
        return self.world.regions[self.target]

    @property
    def is_elsewhere(self) -> bool:
        """Whether the region is not the one that the backup was taken of."""
        return self.source != self.target

    @property
    def is_other_cluster(self) -> bool:
        """Whether the cluster of the backup's region is another one now, by the configuration."""
        configured = self.world.settings.regions[self.source].cluster.cluster_id
        return self.manifest.cluster_id != configured

    @property
    def registry(self) -> tuple[RegistryReader, RegistryWriter]:
        """The region's schema registry. Raises ``RefusedError`` where none is configured."""
        reader, writer = self.ports.registry, self.ports.registry_writer
        if reader is None or writer is None:
            raise RefusedError(
                f"regions.{self.target}.schema_registry is missing: schemas cannot be restored",
                hint="add its URL to drkit.yaml, or leave schemas out: --only topics --only groups --only acls",
            )
        return reader, writer

    def takes(self, part: Part) -> bool:
        """Whether a part is restored."""
        return part in self.request.choice.parts

    def backup(self, part: Part) -> Inventory:
        """The backup with this part, or without it if it does not have it."""
        if part not in self._backup:
            self._backup[part] = self.vault.load(self.manifest, [part])
        return self._backup[part]

    def topics(self) -> Restoration:
        """Topics."""
        held = self.backup(Part.TOPICS).topics
        if held is None or not self.takes(Part.TOPICS):
            return Restoration()
        renamed = {self.rename(name): replace(topic, name=self.rename(name)) for name, topic in held.items()}
        choice = replace(
            self.request.choice, topics=frozenset(self.rename(name) for name in self.request.choice.topics)
        )
        reader = self.ports.reader
        brokers, live = len(reader.describe_cluster().brokers), reader.topics()
        found = restore_topics(renamed, live, choice, brokers=brokers, internal=self._connect_topics)
        self._require_seen(change.name for change in found.changes if isinstance(change, CreateTopic))
        return found

    def acls(self) -> Restoration:
        """ACLs. MM2 renames the topics of literal ones in the same way (``MirrorSourceConnector.targetAclBinding``)."""
        held = self.backup(Part.ACLS).acls
        if held is None or not self.takes(Part.ACLS):
            return Restoration()
        scope = fence_scope(self.world.settings, self.source)
        return restore_acls(frozenset(map(self._renamed, held)), self.ports.reader.acls(), scope)

    def schemas(self) -> Restoration:
        """Schemas."""
        held = self.backup(Part.SCHEMAS).schemas
        if held is None or not self.takes(Part.SCHEMAS):
            return Restoration()
        return restore_schemas(held, self.registry[0].read(), self.request.choice)

    def groups(self, topics: Restoration | None = None) -> Restoration:
        """Groups. ``topics``: what is about to be made, while it is not there yet."""
        held = self._groups
        if not held or not self.takes(Part.GROUPS):
            return Restoration()
        refusals: tuple[Refusal, ...] = ()
        if self.is_elsewhere:
            rows = self._translated(held)
            placements, refusals = translated(held, rows), self._replay(rows)
        else:
            placements = self._in_place(held, topics or Restoration())
        live = self.ports.inventory.group_inventory(sorted(held))
        found = restore_groups(held, placements, live, self.request.choice)
        return replace(found, refusals=found.refusals + refusals)

    def others(self) -> Restoration:
        """What the backup has and is left to others."""
        backup = self.vault.load(self.manifest, _LISTED)
        live = Inventory(self.target, "")
        if backup.users:
            try:
                live = replace(live, users=self.ports.inventory.scram_users())
            except (RefusedError, AuthError) as error:
                found = not_restored(backup, live)
                unknown = f"the users of {self.target} are not known: {error.message}"
                return replace(found, notes=(*found.notes, unknown))
        return not_restored(backup, live)

    def require_held(self) -> None:
        """Raise ``RefusedError`` for topics and groups that were named and are not in the backup."""
        choice = self.request.choice
        for part, named in ((Part.TOPICS, choice.topics), (Part.GROUPS, choice.groups)):
            held: Collection[str] = getattr(self.backup(part), part.value) or ()
            missing = sorted(named - set(held)) if self.takes(part) else []
            if missing:
                raise RefusedError(
                    f"backup {self.manifest.backup_id} has no {part.value[:-1]} {missing[0]}",
                    hint=f"drkit backup show {self.manifest.backup_id} shows what it has",
                )

    def _require_seen(self, missing: Iterable[str]) -> None:
        """Raise ``AuthError`` for topics that may be there, and that drkit may not describe."""
        hidden = sorted(self.ports.reader.hidden_topics(list(missing)))
        if hidden:
            raise AuthError(
                f"drkit may not describe {len(hidden)} topics in {self.target}, so that nobody knows whether they are "
                f"there: {printable(listed(hidden))}",
                hint="allow drkit's principal to describe every topic, or make it a super user",
            )

    @cached_property
    def _groups(self) -> Mapping[str, GroupInventory]:
        """The chosen groups, with the chosen positions."""
        choice, elsewhere = self.request.choice, self.is_elsewhere
        named, own = choice.groups, self.world.settings.canary_group
        return {
            name: replace(group, positions={p: at for p, at in group.positions.items() if self._takes_position(p)})
            for name, group in (self.backup(Part.GROUPS).groups or {}).items()
            if (name in named if named else name != own and (not elsewhere or self.world.groups.matches(name)))
        }

    def _takes_position(self, partition: TopicPartition) -> bool:
        in_scope = not self.is_elsewhere or self.world.topics.matches(partition.topic)
        return in_scope and self.request.choice.takes_topic(partition.topic)

    def _in_place(self, groups: Mapping[str, GroupInventory], topics: Restoration) -> list[Placement]:
        partitions = {p for group in groups.values() for p in group.positions}
        live = self.ports.reader.topics()
        there = {p for topic in live.values() for p in topic.topic_partitions} & partitions
        logs: dict[TopicPartition, LogRange] = dict(self.ports.reader.log_ranges(sorted(there)))
        logs.update({p: NO_LOG for p in _made(topics) if p not in logs})
        return in_place(
            groups,
            {name: topic.topic_id for name, topic in self._backed_up_topics.items()},
            {name: topic.topic_id for name, topic in live.items()},
            logs,
            same_cluster=not self.is_other_cluster,
        )

    @cached_property
    def _backed_up_topics(self) -> Mapping[str, TopicDescription]:
        """Topics when the groups were backed up. Ids are never used again: one of before is one of then if it still is.

        A backup of groups alone is so judged by the topics of one before it.
        """
        for manifest in [self.manifest, *reversed(self.vault.manifests(self.source))]:
            is_of_then = manifest.taken_at <= self.manifest.taken_at and manifest.cluster_id == self.manifest.cluster_id
            if Part.TOPICS in manifest.parts and is_of_then:
                return self.vault.load(manifest, [Part.TOPICS]).topics or {}
        return {}

    def _translated(self, groups: Mapping[str, GroupInventory]) -> list[GroupPosition]:
        committed = {
            name: {p: position.offset for p, position in group.positions.items()}
            for name, group in groups.items()
            if group.positions
        }
        return self.translator().translate(committed)

    def _replay(self, rows: Iterable[GroupPosition]) -> tuple[Refusal, ...]:
        objectives = self.world.settings.objectives
        limits = Limits(objectives.rpo_records, objectives.rpo_seconds, objectives.replay_records)
        forecast = Forecast(NO_RECORD, 0.0, replay_amount(list(rows)))
        found = hold_against(forecast, limits, Accepted(replay=self.request.accept_replay))
        if not isinstance(found, Refused):
            return ()
        return tuple(Refusal(reason, flag) for reason, flag in zip(found.reasons, found.flags, strict=True))

    def _renamed(self, acl: Acl) -> Acl:
        if not self.is_elsewhere or (acl.resource_type, acl.pattern_type) != ("topic", "literal"):
            return acl
        return acl if acl.resource_name == "*" else replace(acl, resource_name=self.rename(acl.resource_name))

    @property
    def _connect_topics(self) -> frozenset[str]:
        regions = self.world.settings.regions.values()
        connects = [region.connect for region in regions if region.connect is not None]
        names = {name for connect in connects for name in (connect.offsets_topic, connect.status_topic)}
        # Heartbeats are the mirror's, too; its copies carry the alias of the other side.
        heartbeats = {f"{region}.heartbeats" for region in self.world.settings.regions}
        return frozenset(names | heartbeats | {"heartbeats", "connect-configs"})


def digests(ground: Iterable[str]) -> list[str]:
    """What a plan was made from, short enough for a journal."""
    return sorted(hashlib.blake2b(one.encode(), digest_size=8).hexdigest() for one in ground)


def fingerprint(ground: Iterable[str]) -> str:
    """All of it in one digest."""
    return hashlib.sha256("\n".join(sorted(ground)).encode()).hexdigest()


def _made(topics: Restoration) -> Iterable[TopicPartition]:
    for change in topics.changes:
        match change:
            case CreateTopic():
                yield from (TopicPartition(change.name, number) for number in range(change.partitions))
            case AddPartitions():
                yield from (TopicPartition(change.topic, number) for number in range(change.before, change.after))
            case _:
                pass
