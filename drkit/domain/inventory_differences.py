"""In what two inventories differ: two backups, or a backup and a live region.

Compared is what a restore can put right and what a client would notice. Not: who leads a partition and who is in sync,
members, states and types of groups (whoever joins a restored one makes its type), leader epochs, offsets of connectors,
and groups that are nowhere. Topic ids are compared on one cluster only: on another one they have to be others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from drkit.domain.inventory import (
    ConnectorInventory,
    GroupInventory,
    Inventory,
    LogInventory,
    Part,
    RedirectInventory,
    RegistryInventory,
    ScramUser,
)
from drkit.domain.kafka import Acl, TopicDescription, TopicPartition

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing (a topic, a group, ...) that is only on one side, or a field of it that differs.

    ``field`` is empty, and one of ``before`` and ``after`` None, where the whole thing is only on one side. A field
    that is None is not set on that side.
    """

    part: Part
    name: str
    field: str
    before: str | None
    after: str | None

    @property
    def text(self) -> str:
        """As reports say it."""
        if not self.field:
            return "only in the second" if self.before is None else "only in the first"
        return f"{self.field}: {_shown(self.before)} and {_shown(self.after)}"


def comparable(before: Inventory, after: Inventory) -> tuple[Part, ...]:
    """The parts that both have."""
    return tuple(
        part for part in Part if getattr(before, part.value) is not None and getattr(after, part.value) is not None
    )


def differences(before: Inventory, after: Inventory, parts: Collection[Part] | None = None) -> list[Difference]:
    """What differs in these parts, as far as both have them; None: all but the ends of logs, which always move."""
    wanted = set(Part) - {Part.LOGS} if parts is None else set(parts)
    ids = before.cluster_id == after.cluster_id
    return sorted(
        (
            one
            for part in comparable(before, after)
            if part in wanted
            for one in _compared(part, _without(part, before, ids), _without(part, after, ids))
        ),
        key=lambda one: (list(Part).index(one.part), one.name, one.field),
    )


def _compared(part: Part, before: Mapping[str, Fields], after: Mapping[str, Fields]) -> Iterator[Difference]:
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield Difference(part, name, "", None if old is None else "there", None if new is None else "there")
            continue
        for field in old.keys() | new.keys():
            if old.get(field) != new.get(field):
                yield Difference(part, name, field, old.get(field), new.get(field))


def things(part: Part, inventory: Inventory) -> Mapping[str, Fields]:
    """What is compared of a part that the inventory has: a topic, a group, ... by name, each with its fields."""
    return _READ[part](getattr(inventory, part.value))


def _without(part: Part, inventory: Inventory, ids: bool) -> Mapping[str, Fields]:
    left_out = {Part.TOPICS: "" if ids else "id", Part.GROUPS: "type"}.get(part, "")
    return {
        name: {key: value for key, value in fields.items() if key != left_out}
        for name, fields in things(part, inventory).items()
    }


def _topics(topics: Mapping[str, TopicDescription]) -> dict[str, Fields]:
    return {
        name: {
            "id": topic.topic_id,
            "partitions": str(len(topic.partitions)),
            "replication factor": str(max((len(one.replicas) for one in topic.partitions), default=0)),
            **{f"config {key}": value for key, value in topic.configs.items()},
        }
        for name, topic in topics.items()
    }


def _acls(acls: Collection[Acl]) -> dict[str, Fields]:
    return {
        f"{a.permission} {a.principal} from {a.host} {a.operation} on {a.resource_type} {a.pattern_type} "
        f"{a.resource_name}": {}
        for a in acls
    }


def _users(users: Mapping[str, ScramUser]) -> dict[str, Fields]:
    return {name: {k: f"{n} iterations" for k, n in user.mechanisms.items()} for name, user in users.items()}


def _groups(groups: Mapping[str, GroupInventory]) -> dict[str, Fields]:
    return {
        name: {
            "type": group.group_type.value,
            **{str(p): _position(one.offset, one.metadata) for p, one in group.positions.items()},
        }
        for name, group in groups.items()
        if group.positions
    }


def _logs(logs: Mapping[TopicPartition, LogInventory]) -> dict[str, Fields]:
    return {str(p): {"start": str(log.range.start), "end": str(log.range.end)} for p, log in logs.items()}


def _connectors(connectors: Mapping[str, ConnectorInventory]) -> dict[str, Fields]:
    return {name: {"state": one.state, **_prefixed("config", one.config)} for name, one in connectors.items()}


def _redirects(redirects: Mapping[str, RedirectInventory]) -> dict[str, Fields]:
    return {name: {"values": ", ".join(one.values), "TTL": f"{one.ttl_seconds} s"} for name, one in redirects.items()}


def _schemas(registry: RegistryInventory) -> dict[str, Fields]:
    versions: dict[str, Fields] = {
        f"{one.subject} version {one.version}": {
            "id": str(one.schema_id),
            "type": one.schema_type,
            "schema": one.schema,
            "references": json.dumps([asdict(reference) for reference in sorted(one.references)]),
        }
        for one in registry.versions
    }
    levels = {"registry": registry.compatibility, **_prefixed("subject", registry.subject_compatibility)}
    return {**versions, "compatibility": levels}


def _position(offset: int, metadata: str) -> str:
    return f"{offset}, metadata {metadata}" if metadata else str(offset)


def _prefixed(prefix: str, values: Mapping[str, str]) -> dict[str, str]:
    return {f"{prefix} {key}": value for key, value in values.items()}


def _shown(value: str | None) -> str:
    return "not set" if value is None else value


_READ: Mapping[Part, Callable[[Any], Mapping[str, Fields]]] = {
    Part.TOPICS: _topics,
    Part.ACLS: _acls,
    Part.USERS: _users,
    Part.GROUPS: _groups,
    Part.LOGS: _logs,
    Part.CONNECTORS: _connectors,
    Part.REDIRECTS: _redirects,
    Part.SCHEMAS: _schemas,
}


def counted(found: Iterable[Difference]) -> dict[str, int]:
    """How many differences there are per part; parts without any are left out."""
    counts: dict[str, int] = {}
    for one in found:
        counts[one.part.value] = counts.get(one.part.value, 0) + 1
    return counts
