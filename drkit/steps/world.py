"""The ports of both regions as a procedure's steps share them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drkit.backup.vault import Vault
from drkit.config.models import Settings
from drkit.domain.cluster_identity import require_known_cluster
from drkit.domain.kafka import TopicPartition
from drkit.domain.scope import NameFilter
from drkit.errors import ConfigError, UsageError
from drkit.ports import (
    Clock,
    ConnectReader,
    ConnectWriter,
    FenceDriver,
    HealthProbe,
    InventoryReader,
    InventoryWriter,
    KafkaReader,
    KafkaWriter,
    ObjectStore,
    RedirectWriter,
    RegistryReader,
    RegistryWriter,
)
from drkit.steps.stand_in import StandIn


@dataclass(frozen=True, slots=True)
class Mirror:
    """The connectors that mirror into a region, on the Kafka Connect cluster there."""

    reader: ConnectReader
    writer: ConnectWriter
    source_connector: str
    """The one that carries records (``MirrorSourceConnector``)."""
    positions: Callable[[], Mapping[TopicPartition, int]]
    """Last replicated upstream offset per source partition, by the connector's own committed offsets."""
    other_connectors: tuple[str, ...] = ()
    """Checkpoints and heartbeats."""

    @property
    def connectors(self) -> tuple[str, ...]:
        """All of them, the one that carries records first."""
        return (self.source_connector, *self.other_connectors)


@dataclass(frozen=True, slots=True)
class RegionPorts:
    """Everything of one region that drkit reads or changes."""

    region: str
    reader: KafkaReader
    health_reader: KafkaReader
    """Reads the same cluster with a shorter deadline: each sample of a dead region waits for it."""
    writer: KafkaWriter
    inventory: InventoryReader
    inventory_writer: InventoryWriter
    fence: FenceDriver
    mirror: Mirror | None
    probes: Sequence[HealthProbe] = ()
    registry: RegistryReader | None = None
    """None where no schema registry is configured."""
    registry_writer: RegistryWriter | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Both regions, the state bucket, the redirect targets and the clock, for one service."""

    settings: Settings
    regions: Mapping[str, RegionPorts]
    store: ObjectStore
    redirects: Sequence[RedirectWriter]
    clock: Clock
    vault: Vault
    """Backups of both regions; where no region has a bucket for them, in the state bucket."""
    stand_in: StandIn | None = None
    """Where a directory stands in for the state bucket: ``store`` is its store then."""

    @property
    def kept_in(self) -> dict[str, str]:
        """What documents say of where the state is kept: nothing for the state bucket."""
        return {} if self.stand_in is None else {"state": self.stand_in.label}

    def require_state(self) -> None:
        """Raise ``RefusedError`` where a directory stands in for the state bucket, and the bucket answers."""
        if self.stand_in is not None:
            self.stand_in.require_needed()

    @property
    def topics(self) -> NameFilter:
        """The topics that are mirrored."""
        return NameFilter(self.settings.replication.topics, self.settings.replication.topics_exclude)

    @property
    def groups(self) -> NameFilter:
        """The groups whose positions are carried over; drkit's own is not one of them."""
        own = (self.settings.canary_group.replace(".", r"\."),)
        return NameFilter(self.settings.replication.groups, self.settings.replication.groups_exclude + own)

    def require_region(self, region: str) -> None:
        """Raise ``UsageError`` for what is no region of the service."""
        regions = self.settings.regions
        if region not in regions:
            raise UsageError(f"{region!r} is not a region of this service", hint=f"regions: {', '.join(regions)}")

    def require_known_cluster(self, region: str, reader: KafkaReader | None = None) -> str:
        """The id that a region's cluster tells. Raises ``RefusedError`` where it is not the configured one.

        ``reader``: asked instead of the region's own.
        """
        found = (reader or self.regions[region].reader).describe_cluster().cluster_id
        require_known_cluster(region, found, self.settings.regions[region].cluster.cluster_id)
        return found

    def mirror_into(self, region: str) -> Mirror:
        """The mirror that writes into a region. Raises ``ConfigError`` if none is configured."""
        mirror = self.regions[region].mirror
        if mirror is None:
            raise ConfigError(
                f"regions.{region}.connect is missing: drkit has to stop the mirror that runs there",
                hint="add the URL of the Kafka Connect cluster in that region",
            )
        return mirror
