"""What a backup holds of a region, as plain values: topics, ACLs, users, groups, logs, connectors, redirects, schemas.

Names come from brokers and registries and are untrusted text, as in ``drkit.domain.kafka``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from drkit.domain.kafka import Acl, GroupState, LogRange, TopicDescription, TopicPartition


class Part(StrEnum):
    """One part of a region that is backed up, and restored, by itself."""

    TOPICS = "topics"
    ACLS = "acls"
    USERS = "users"
    GROUPS = "groups"
    LOGS = "logs"
    CONNECTORS = "connectors"
    REDIRECTS = "redirects"
    SCHEMAS = "schemas"


class GroupType(StrEnum):
    """Kinds of groups (``GroupType`` of Kafka; KIP-848, KIP-932, KIP-1071)."""

    CLASSIC = "classic"
    CONSUMER = "consumer"
    SHARE = "share"
    STREAMS = "streams"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ScramUser:
    """A SCRAM user, without its secrets: mechanism (``SCRAM-SHA-512``) to iterations (KIP-554)."""

    name: str
    mechanisms: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CommittedPosition:
    """A group's committed offset on one partition, with what the consumer committed beside it.

    ``leader_epoch``: of the last record that was consumed (KIP-320); None where there is none.
    """

    offset: int
    leader_epoch: int | None = None
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One member of a group, as the coordinator describes it."""

    client_id: str
    host: str


@dataclass(frozen=True, slots=True)
class GroupInventory:
    """A consumer group: what it is, who is in it, and where it is. ``assignor``: the partition assignor in force."""

    group: str
    group_type: GroupType
    state: GroupState
    assignor: str = ""
    members: tuple[GroupMember, ...] = ()
    positions: Mapping[TopicPartition, CommittedPosition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogInventory:
    """A partition's log: its ends, and the timestamps of its oldest record and of the newest by timestamp, in ms.

    A timestamp is None where the log has no record, or its records have none.
    """

    range: LogRange
    oldest_ms: int | None = None
    newest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectorInventory:
    """A connector of Kafka Connect. ``offsets``: as its REST interface gives them (KIP-875), in a fixed order.

    Values of its configuration that may be secrets are redacted, unless they are references that a worker resolves.
    """

    name: str
    state: str
    config: Mapping[str, str]
    offsets: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class RedirectInventory:
    """What a redirect target (a record set) held: sorted values and TTL; no values where there was none."""

    name: str
    values: tuple[str, ...]
    ttl_seconds: int


@dataclass(frozen=True, slots=True, order=True)
class SchemaReference:
    """A schema that another one imports: by which name, and which version of which subject."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class SubjectVersion:
    """One version of a subject in a schema registry, with the id that records carry. ``schema_type``: AVRO, ..."""

    subject: str
    version: int
    schema_id: int
    schema_type: str
    schema: str
    references: tuple[SchemaReference, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryInventory:
    """A schema registry: every version, and the compatibility levels that were set.

    ``compatibility``: the registry's own; ``subject_compatibility``: only subjects that have one of their own.
    """

    versions: tuple[SubjectVersion, ...]
    compatibility: str
    subject_compatibility: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inventory:
    """A region, part by part, as it was at one time. A part that is None was not looked at, or could not be read."""

    region: str
    cluster_id: str
    topics: Mapping[str, TopicDescription] | None = None
    acls: frozenset[Acl] | None = None
    users: Mapping[str, ScramUser] | None = None
    groups: Mapping[str, GroupInventory] | None = None
    logs: Mapping[TopicPartition, LogInventory] | None = None
    connectors: Mapping[str, ConnectorInventory] | None = None
    redirects: Mapping[str, RedirectInventory] | None = None
    schemas: RegistryInventory | None = None
