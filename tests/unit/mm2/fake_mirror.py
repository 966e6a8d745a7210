"""Two clusters and their Connect clusters in memory, as far as installing a mirror goes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from drkit.backup.vault import Vault
from drkit.config.models import Settings
from drkit.domain.kafka import ClusterDescription, PartitionDescription, TopicDescription
from drkit.ports import ConnectorState, ConnectorStatus, FenceDriver, ObjectStore
from drkit.steps.world import Mirror, RegionPorts, World
from tests.fakes.clock import FakeClock

RUNNING = ConnectorState.RUNNING


@dataclass
class FakeCluster:
    """A reader and writer of topics; every change is noted."""

    region: str
    cluster_id: str
    existing: dict[str, dict[str, str]] = field(default_factory=dict)
    changes: list[tuple[object, ...]] = field(default_factory=list)

    def describe_cluster(self) -> ClusterDescription:
        return ClusterDescription(self.cluster_id, 1, {1: "broker:9092"})

    def topics(self) -> Mapping[str, TopicDescription]:
        partition = PartitionDescription(0, 1, (1,), (1,))
        return {name: TopicDescription(name, "", (partition,), configs) for name, configs in self.existing.items()}

    def describe_topics(self, names: Collection[str] | None = None) -> Mapping[str, TopicDescription]:
        return {name: topic for name, topic in self.topics().items() if names is None or name in names}

    def create_topic(self, name: str, *, partitions: int, replication_factor: int, configs: Mapping[str, str]) -> bool:
        self.existing[name] = dict(configs)
        self.changes.append(("create", name, partitions, replication_factor))
        return True

    def alter_topic_configs(self, topic: str, configs: Mapping[str, str]) -> None:
        self.existing[topic].update(configs)
        self.changes.append(("alter", topic, dict(configs)))


@dataclass
class FakeConnect:
    """Connectors that start when they are put, with the tasks that ``tasks_of`` says."""

    kafka_cluster_id: str
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    states: dict[str, ConnectorState] = field(default_factory=dict)
    tasks: dict[str, tuple[ConnectorState, ...]] = field(default_factory=dict)
    changes: list[tuple[str, str]] = field(default_factory=list)
    on_status: Callable[[FakeConnect, str], None] = lambda *_: None

    def cluster_id(self) -> str:
        return self.kafka_cluster_id

    def connectors(self) -> Mapping[str, ConnectorStatus]:
        return {name: self.status(name) for name in self.configs}

    def status(self, name: str) -> ConnectorStatus:
        self.on_status(self, name)
        state = self.states.get(name, ConnectorState.ABSENT)
        return ConnectorStatus(name, state, self.tasks.get(name, ()))

    def config(self, name: str) -> Mapping[str, str]:
        return dict(self.configs.get(name, {}))

    def put(self, name: str, config: Mapping[str, str], *, stopped: bool = False) -> None:
        if name not in self.configs:
            self.states[name] = RUNNING
            self.tasks[name] = () if name.endswith(".checkpoint") else (RUNNING,)
        self.configs[name] = {**config, "name": name}
        self.changes.append(("put", name))

    def resume(self, name: str) -> None:
        self.states[name], self.tasks[name] = RUNNING, (RUNNING,)
        self.changes.append(("resume", name))

    def restart_failed(self, name: str) -> None:
        self.states[name], self.tasks[name] = RUNNING, (RUNNING,)
        self.changes.append(("restart", name))


@dataclass
class FakeMirrorWorld:
    """The world and its parts."""

    settings: Settings
    world: World
    clusters: dict[str, FakeCluster]
    connects: dict[str, FakeConnect]
    clock: FakeClock

    @property
    def changes(self) -> list[tuple[object, ...]]:
        """Everything that was changed anywhere."""
        topics = [change for cluster in self.clusters.values() for change in cluster.changes]
        return topics + [change for connect in self.connects.values() for change in connect.changes]


def fake_world(settings: Settings) -> FakeMirrorWorld:
    clusters = {name: FakeCluster(name, region.cluster.cluster_id) for name, region in settings.regions.items()}
    connects = {name: FakeConnect(region.cluster.cluster_id) for name, region in settings.regions.items()}
    clock = FakeClock()
    regions = {
        name: RegionPorts(
            region=name,
            reader=cast("Any", clusters[name]),
            health_reader=cast("Any", clusters[name]),
            writer=cast("Any", clusters[name]),
            inventory=cast("Any", clusters[name]),
            inventory_writer=cast("Any", clusters[name]),
            fence=cast("FenceDriver", None),
            mirror=Mirror(cast("Any", connects[name]), cast("Any", connects[name]), "unused", dict),
        )
        for name in settings.regions
    }
    world = World(settings, regions, cast("ObjectStore", None), (), clock, Vault(()))
    return FakeMirrorWorld(settings, world, clusters, connects, clock)
