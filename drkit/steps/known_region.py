"""What is known of a region's topics and ACLs: as it is now, or, where it does not answer, as it was stored last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from drkit.backup.manifest import Manifest
from drkit.backup.survey import survey
from drkit.domain.inventory import Inventory, Part
from drkit.domain.kafka import Acl, PartitionDescription, TopicDescription
from drkit.errors import DrkitError, RefusedError
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.snapshot import newest_snapshot
from drkit.steps.world import World

_STORED_PARTS: Final = (Part.TOPICS, Part.ACLS)


@dataclass(frozen=True, slots=True)
class KnownRegion:
    """A region, with the time at which it was like that (None: now), and where that was read.

    ``missing``: parts that could not be read, and why.
    """

    inventory: Inventory
    as_of: datetime | None
    where: str
    missing: Mapping[Part, str] = field(default_factory=dict)


def as_it_is(world: World, region: str, parts: Collection[Part]) -> KnownRegion:
    """A region now. Raises as ``survey``: ``RefusedError`` for another cluster, ``UnreachableError`` for silence."""
    ports = world.regions[region]
    wanted = [part for part in parts if part is not Part.SCHEMAS or ports.registry is not None]
    found = survey(ports, wanted, cluster_id=world.settings.regions[region].cluster.cluster_id)
    return KnownRegion(found.inventory, None, "the cluster", found.missing)


def as_it_was(world: World, region: str, parts: Collection[Part] = _STORED_PARTS) -> KnownRegion:
    """A region as the newest of its snapshots and backups has it.

    What is older than the move that made it the primary is not used: what counted then was the other region's. Raises
    ``RefusedError`` with the reasons where there is none.
    """
    since = _primary_since(world, region)
    found: list[KnownRegion] = []
    reasons: list[str] = []
    looks: tuple[Callable[[], KnownRegion | None], ...] = (
        lambda: _snapshot(world, region),
        lambda: _backup(world, region, parts),
    )
    for look in looks:
        try:
            known = look()
        except DrkitError as error:
            reasons.append(error.message)
            continue
        if known is None:
            continue
        if since is not None and known.as_of is not None and known.as_of < since:
            reasons.append(f"the newest {known.where} is from before the last move")
        else:
            found.append(known)
    if not found:
        why = f": {'; '.join(reasons)}" if reasons else ""
        raise RefusedError(f"there is no snapshot and no backup of {region}'s topics and ACLs{why}")
    return max(found, key=lambda known: known.as_of or datetime.min.replace(tzinfo=UTC))


def _primary_since(world: World, region: str) -> datetime | None:
    epoch = LineageRecord(world.store).read().newest_in_force
    return datetime.fromisoformat(epoch.cut_at) if epoch is not None and epoch.target == region else None


def _snapshot(world: World, region: str) -> KnownRegion | None:
    document = newest_snapshot(world, region)
    if document is None:
        return None
    try:
        inventory = Inventory(
            region,
            world.settings.regions[region].cluster.cluster_id,
            topics={name: _topic(one) for name, one in document["topics"].items()},
            acls=frozenset(Acl(**one) for one in document["acls"]),
        )
    except (KeyError, TypeError) as error:
        raise RefusedError(f"the newest snapshot of {region} cannot be read: {error!r}") from error
    return KnownRegion(inventory, datetime.fromisoformat(document["taken_at"]), "snapshot")


def _topic(document: Mapping[str, Any]) -> TopicDescription:
    partitions = tuple(
        PartitionDescription(one["partition"], one["leader"], tuple(one["replicas"]), tuple(one["in_sync"]))
        for one in document["partitions"]
    )
    return TopicDescription(document["name"], document["topic_id"], partitions, dict(document["configs"]))


def _backup(world: World, region: str, parts: Collection[Part]) -> KnownRegion | None:
    manifest: Manifest | None = world.vault.newest(region, Part.ACLS)
    if manifest is None or manifest.cluster_id != world.settings.regions[region].cluster.cluster_id:
        return None
    inventory = world.vault.load(manifest, parts)
    return KnownRegion(inventory, manifest.taken_at, f"backup {manifest.backup_id}", manifest.missing)
