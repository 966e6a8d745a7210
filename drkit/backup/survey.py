"""Reading a live region, part by part: a part that cannot be read is missing, with the reason, and no other with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from drkit.domain.cluster_identity import require_known_cluster
from drkit.domain.connector_config import without_secrets
from drkit.domain.inventory import (
    ConnectorInventory,
    GroupInventory,
    GroupType,
    Inventory,
    LogInventory,
    Part,
    RedirectInventory,
)
from drkit.domain.kafka import GroupState, TopicPartition
from drkit.engine.calls import at_once, attempt
from drkit.errors import DrkitError, RefusedError, UnreachableError
from drkit.ports import ConnectReader, InventoryReader, KafkaReader, RedirectTarget, RegistryReader

_FOREIGN: Final = {"share": GroupType.SHARE, "streams": GroupType.STREAMS}
"""Protocol types of groups (``GroupType`` of Kafka, KIP-932 and KIP-1071)."""


class HasConnect(Protocol):
    """The mirror into a region, whose connectors are backed up."""

    @property
    def reader(self) -> ConnectReader:
        """Kafka Connect there."""


class Region(Protocol):
    """What is read of a region (``drkit.steps.world.RegionPorts``)."""

    @property
    def region(self) -> str:
        """Its name."""

    @property
    def reader(self) -> KafkaReader:
        """Its cluster."""

    @property
    def inventory(self) -> InventoryReader:
        """Its cluster."""

    @property
    def mirror(self) -> HasConnect | None:
        """Kafka Connect, where the region has it."""

    @property
    def registry(self) -> RegistryReader | None:
        """The schema registry, where one is configured."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What was read. ``errors``: parts that could not be, or may lack something, and why."""

    inventory: Inventory
    errors: Mapping[Part, DrkitError] = field(default_factory=dict)

    @property
    def missing(self) -> dict[Part, str]:
        """The reasons, in words."""
        return {part: error.message for part, error in self.errors.items()}

    def has(self, part: Part) -> bool:
        """Whether the part was read."""
        return getattr(self.inventory, part.value) is not None


def parts_of(region: Region, redirects: Sequence[RedirectTarget]) -> tuple[Part, ...]:
    """The parts that a region has: no connectors without Kafka Connect, and no schemas without a registry."""
    lacking = set()
    if region.mirror is None:
        lacking.add(Part.CONNECTORS)
    if region.registry is None:
        lacking.add(Part.SCHEMAS)
    if not redirects:
        lacking.add(Part.REDIRECTS)
    return tuple(part for part in Part if part not in lacking)


def survey(
    region: Region, parts: Collection[Part], *, cluster_id: str, redirects: Sequence[RedirectTarget] = ()
) -> Surveyed:
    """Read these parts of a region, side by side.

    Raises ``RefusedError`` for another cluster than ``cluster_id``, and what ``describe_cluster`` raises: without
    knowing which cluster it is, nothing of it is worth keeping.
    """
    found = region.reader.describe_cluster().cluster_id
    require_known_cluster(region.region, found, cluster_id)
    reading = _Reading(region, redirects)
    wanted = [part for part in Part if part in parts]
    inventory, errors = Inventory(region.region, cluster_id), {}
    for part, value in zip(wanted, at_once(lambda part: attempt(reading.part, part), wanted), strict=True):
        if isinstance(value, DrkitError):
            errors[part] = value
        else:
            inventory = replace(inventory, **{part.value: value})  # type: ignore[arg-type]
    return Surveyed(inventory, errors)


@dataclass(frozen=True, slots=True)
class _Reading:
    region: Region
    redirects: Sequence[RedirectTarget]

    def part(self, part: Part) -> object:
        """One part, as ``Inventory`` has it."""
        readers: Mapping[Part, Callable[[], object]] = {
            Part.TOPICS: self.region.reader.topics,
            Part.ACLS: self.region.reader.acls,
            Part.USERS: self.region.inventory.scram_users,
            Part.GROUPS: self._groups,
            Part.LOGS: self._logs,
            Part.CONNECTORS: self._connectors,
            Part.REDIRECTS: self._redirects,
            Part.SCHEMAS: self._schemas,
        }
        return readers[part]()

    def _groups(self) -> Mapping[str, GroupInventory]:
        """Share and Streams groups are named, with their type if it is known: they keep their positions elsewhere."""
        found = dict(self.region.inventory.group_inventory())
        for name, protocol in self.region.reader.foreign_groups().items():
            found.setdefault(name, GroupInventory(name, _FOREIGN.get(protocol, GroupType.UNKNOWN), GroupState.UNKNOWN))
        return {name: found[name] for name in sorted(found)}

    def _logs(self) -> Mapping[TopicPartition, LogInventory]:
        try:
            return self._logs_now()
        except UnreachableError:
            raise
        except RefusedError:
            # A topic may have been removed, or made again, between two of the requests.
            return self._logs_now()

    def _logs_now(self) -> Mapping[TopicPartition, LogInventory]:
        topics = self.region.reader.describe_topics()
        partitions = [p for topic in topics.values() for p in topic.topic_partitions]
        # Times first: what is seen of the ends is at least as new.
        times = self.region.inventory.log_times(partitions)
        ranges = self.region.reader.log_ranges(partitions)
        return {p: LogInventory(ranges[p], times[p].oldest_ms, times[p].newest_ms) for p in partitions}

    def _connectors(self) -> Mapping[str, ConnectorInventory]:
        if self.region.mirror is None:
            raise RefusedError(f"regions.{self.region.region}.connect is missing", hint="add the URL of Kafka Connect")
        connect = self.region.mirror.reader
        return {
            name: ConnectorInventory(
                name, status.state.value, without_secrets(connect.config(name)), connect.connector_offsets(name)
            )
            for name, status in sorted(connect.connectors().items())
        }

    def _redirects(self) -> Mapping[str, RedirectInventory]:
        observed = [(target.name, target.observe()) for target in self.redirects]
        return {name: RedirectInventory(name, tuple(one.values), one.ttl_seconds) for name, one in observed}

    def _schemas(self) -> object:
        if self.region.registry is None:
            raise RefusedError(
                f"regions.{self.region.region}.schema_registry is missing", hint="add the URL of the schema registry"
            )
        return self.region.registry.read()
