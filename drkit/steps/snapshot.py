"""Snapshot: the source's topics, ACLs, group offsets and log ends, kept outside both clusters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from drkit.backup.position_log import PositionLog
from drkit.domain.kafka import GroupState, TopicPartition
from drkit.domain.partition_tree import from_tree, to_tree
from drkit.domain.scope import partitions_in_scope
from drkit.engine.step import Evidence, RunContext, Step
from drkit.errors import RefusedError
from drkit.ports import PreconditionFailed
from drkit.steps.fence_consumers import committed_in_scope
from drkit.steps.source_backup import SourceBackup
from drkit.steps.world import World

_SCHEMA = "drkit.snapshot/1"


class TakeSnapshot(Step[None]):
    """Planned mode: everything that a return may need is stored before anything is changed."""

    name = "snapshot"

    def __init__(self, world: World, source: str) -> None:
        self._world = world
        self._reader = world.regions[source].reader
        self._evidence: Evidence = {}

    def describe(self, context: RunContext) -> str:
        """Say what is stored."""
        return f"store {context.source}'s topics, ACLs, group offsets and log ends"

    def observe(self, context: RunContext) -> None:
        """Nothing: a snapshot is of now."""

    def is_satisfied(self, context: RunContext, observation: None) -> bool:
        """Never: a snapshot is of now."""
        return False

    def apply(self, context: RunContext, observation: None) -> None:
        """Read the source and store it under a key of its own."""
        taken_at = self._world.clock.now()
        topics = self._reader.topics()
        groups = {name: group for name, group in self._reader.groups().items() if self._world.groups.matches(name)}
        ranges = self._reader.log_ranges(partitions_in_scope(topics.values(), self._world.topics))
        committed = committed_in_scope(self._world, self._reader)
        document = {
            "schema": _SCHEMA,
            "region": context.source,
            "run_id": context.run_id,
            "taken_at": taken_at.isoformat(),
            "topics": {name: asdict(topic) for name, topic in sorted(topics.items())},
            "acls": [asdict(acl) for acl in sorted(self._reader.acls())],
            "log_ends": to_tree({p: log.end for p, log in ranges.items()}),
            "committed": {group: to_tree(offsets) for group, offsets in sorted(committed.items())},
            "foreign_groups": sorted(self._world.groups.select(self._reader.foreign_groups())),
        }
        key = self._store(context.source, taken_at, json.dumps(document, sort_keys=True).encode())
        self._evidence = {
            "key": key,
            "taken_at": taken_at.isoformat(),
            "topics": len(topics),
            "groups": len(committed),
            "active_groups": sorted(name for name, group in groups.items() if group.state is GroupState.ACTIVE),
        }

    def _store(self, region: str, taken_at: datetime, body: bytes) -> str:
        while True:
            key = f"snapshots/{region}/{taken_at:%Y%m%dt%H%M%S.%fz}.json"
            try:
                self._world.store.create(key, body)
            except PreconditionFailed:
                # Another one of the same instant, as clocks stand still and go back: nothing is overwritten.
                taken_at += timedelta(microseconds=1)
            else:
                return key

    def confirm(self, context: RunContext) -> Evidence:
        """Where it is and what it holds."""
        return self._evidence


class ReadSnapshot(Step[Mapping[str, Any] | None]):
    """Disaster mode: what was seen last of the source, by snapshot, watch and backup, with its age.

    None is reported, and nothing depends on it. Health was checked right before: ``looked_at`` is when the source was
    known not to answer.
    """

    name = "snapshot"
    is_effect = False

    def __init__(self, world: World, source: str, watched: PositionLog, backup: SourceBackup) -> None:
        self._world = world
        self._source = source
        self._watched = watched
        self._backup = backup

    def describe(self, context: RunContext) -> str:
        """Say what is read."""
        return f"read what was seen last of {context.source}: by snapshot, watch and backup"

    def observe(self, context: RunContext) -> Mapping[str, Any] | None:
        """The newest snapshot, if there is any."""
        return newest_snapshot(self._world, self._source)

    def is_satisfied(self, context: RunContext, observation: Mapping[str, Any] | None) -> bool:
        """Reading is all."""
        return True

    def confirm(self, context: RunContext) -> Evidence:
        """How old it is."""
        snapshot, now = self.observe(context), self._world.clock.now()
        looked = {
            "looked_at": now.isoformat(),
            "watch": self._of_watch(now),
            "backup": self._backup.document(now),
        }
        if snapshot is None:
            return {"found": False, **looked}
        age = now - datetime.fromisoformat(snapshot["taken_at"])
        return {
            **looked,
            "found": True,
            "taken_at": snapshot["taken_at"],
            "age_seconds": round(age.total_seconds(), 3),
            "groups": len(snapshot["committed"]),
        }

    def _of_watch(self, now: datetime) -> Mapping[str, Any] | None:
        known = self._watched.newest()
        if known is None:
            return None
        at = datetime.fromtimestamp(known.as_of_ms / 1000, UTC)
        return {
            "seen_at": at.isoformat(),
            "age_seconds": round((now - at).total_seconds(), 3),
            "groups": len(known.groups),
            "logs": len(known.logs),
        }


def newest_snapshot(world: World, region: str) -> Mapping[str, Any] | None:
    """The newest snapshot of a region, or None. Raises ``RefusedError`` if it cannot be read."""
    keys = sorted(world.store.list(f"snapshots/{region}/"))
    stored = world.store.get(keys[-1]) if keys else None
    if stored is None:
        return None
    try:
        document: Mapping[str, Any] = json.loads(stored.body)
        if document["schema"] != _SCHEMA or document["region"] != region:
            raise RefusedError(f"{stored.key} is not a snapshot of {region} that this drkit can read")
        datetime.fromisoformat(document["taken_at"])
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"the snapshot {stored.key} cannot be read: {error!r}", hint="move it away") from error
    return document


def snapshot_positions(snapshot: Mapping[str, Any]) -> dict[str, dict[TopicPartition, int]]:
    """The committed offsets in a snapshot, per group."""
    return {group: from_tree(tree) for group, tree in snapshot["committed"].items()}
