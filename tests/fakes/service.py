"""A service in two regions in memory: what steps get, with the real fences on the fakes of the ports."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

from drkit.adapters.kafka.acl_fence import AclFence
from drkit.backup.position_log import PositionLog
from drkit.backup.vault import Replica, Vault
from drkit.config.mirror_templates import flow_of
from drkit.config.models import Settings
from drkit.domain.fence import FenceScope
from drkit.domain.kafka import TopicPartition
from drkit.domain.naming import TopicNames
from drkit.engine.step import Evidence, Mode, RunContext
from drkit.ports import RedirectWriter
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.source_backup import SourceBackup
from drkit.steps.source_loss import SourceLoss
from drkit.steps.world import Mirror, RegionPorts, World
from drkit.verification.mirror_evidence import ConnectOffsets, SyncHistory
from drkit.verification.positions import Translator
from tests.fakes.aws import FakeObjectStore, FakeRedirect
from tests.fakes.clock import FakeClock
from tests.fakes.connect import FakeConnect
from tests.fakes.kafka import DRKIT, FakeCluster, FakeKafka
from tests.fakes.machine import Machine
from tests.fakes.registry import FakeRegistry

SOURCE, TARGET = "taipei", "tokyo"
APPLICATION = "User:orders"
OFFSETS_TOPIC = "connect-offsets"
ORDERS = "shop.staging.orders"
RUN_ID = "20260101t000000z-failover-1"


class FakeService:
    """``shop`` in staging: taipei is primary, and mirrored into tokyo, where drkit watches and acts.

    ``has_registries``: each region has a schema registry.
    """

    def __init__(self, settings: Settings, *, has_registries: bool = False) -> None:
        self.settings = settings
        self.registries = {name: FakeRegistry() for name in settings.regions} if has_registries else {}
        self.clock = Machine(FakeClock())
        self.source = _region(settings, SOURCE)
        self.target = _region(settings, TARGET)
        self.connect = FakeConnect(self.target.cluster.cluster_id)
        self.store = FakeObjectStore()
        self.redirect = FakeRedirect("kafka.example.internal A", {SOURCE: ("1",), TARGET: ("2",)}, at=SOURCE)
        self.record = LineageRecord(self.store)
        self.names = TopicNames(settings.replication.policy, SOURCE)
        self.flow = flow_of(settings, SOURCE)
        for topic in (OFFSETS_TOPIC, self.flow.offset_syncs_topic, self.flow.checkpoints_topic):
            self.target.cluster.create(topic)
        for name in self.flow.connectors:
            self.connect.put(name, {"connector.class": "MirrorSourceConnector"})
        self._carried: dict[TopicPartition, int] = {}
        redirects: list[RedirectWriter] = [self.redirect]
        self.buckets = {region: FakeObjectStore() for region in (SOURCE, TARGET)}
        self.world = World(
            settings,
            {r.region: self._ports(r) for r in (self.source, self.target)},
            self.store,
            redirects,
            self.clock,
            Vault([Replica(region, store) for region, store in self.buckets.items()]),
        )

    @property
    def mirror(self) -> Mirror:
        """The mirror into the target."""
        return self.world.mirror_into(TARGET)

    def context(self, mode: Mode = Mode.PLANNED, **evidence: Evidence) -> RunContext:
        """A run from source to target; keywords are earlier steps, with underscores for hyphens."""
        found = {step.replace("_", "-"): given for step, given in evidence.items()}
        return RunContext(RUN_ID, mode, SOURCE, TARGET, found, lambda _: None)

    def topic(self, name: str = ORDERS, partitions: int = 1) -> TopicPartition:
        """A topic on both sides; its first partition."""
        self.source.cluster.create(name, partitions)
        self.target.cluster.create(self.names.on_target(name), partitions)
        return TopicPartition(name, 0)

    def write(self, partition: TopicPartition, count: int) -> None:
        """Applications write to the source."""
        end = self.source.cluster.logs[partition].end
        self.source.cluster.write(partition, *(b"%d" % (end + number) for number in range(count)))

    def carry(self, partition: TopicPartition) -> None:
        """The mirror carries over what was committed, with an offset sync for the first record of it."""
        copy = TopicPartition(self.names.on_target(partition.topic), partition.partition)
        log, copies = self.source.cluster.logs[partition], self.target.cluster.logs[copy]
        records = list(log.read(self._carried.get(partition, -1) + 1, log.end, committed=True))
        if not records:
            return
        for place, record in enumerate(records):
            offset = copies.append(record.value, key=record.key, at_ms=record.timestamp_ms)
            if place == 0:
                self.sync(partition, record.offset, offset)
        self._carried[partition] = records[-1].offset
        self.put_position(partition, records[-1].offset)

    def sync(self, partition: TopicPartition, upstream: int, downstream: int, *, at_ms: int = 0) -> None:
        """MM2 writes an offset sync."""
        key, value = (
            _name(partition.topic) + struct.pack(">i", partition.partition),
            struct.pack(">qq", upstream, downstream),
        )
        self.target.cluster.logs[TopicPartition(self.flow.offset_syncs_topic, 0)].append(value, key=key, at_ms=at_ms)

    def checkpoint(
        self, group: str, partition: TopicPartition, upstream: int, *, downstream: int = 0, at_ms: int = 0
    ) -> None:
        """MM2 writes a checkpoint; ``partition`` has the target's topic."""
        key = _name(group) + _name(partition.topic) + struct.pack(">i", partition.partition)
        value = struct.pack(">hqq", 0, upstream, downstream) + _name("")
        self.target.cluster.logs[TopicPartition(self.flow.checkpoints_topic, 0)].append(value, key=key, at_ms=at_ms)

    def put_position(self, partition: TopicPartition, offset: int | None, *, connector: str | None = None) -> None:
        """Kafka Connect writes how far the mirror came."""
        where = {"cluster": SOURCE, "partition": partition.partition, "topic": partition.topic}
        key = json.dumps([connector or self.flow.source_connector, where]).encode()
        value = None if offset is None else json.dumps({"offset": offset}).encode()
        self.target.cluster.logs[TopicPartition(OFFSETS_TOPIC, 0)].append(value, key=key)

    def translator(self, *, is_source_alive: bool = True) -> Translator:
        """As a run has it."""
        history = SyncHistory(self.target, self.flow.offset_syncs_topic)
        alive = self.source if is_source_alive else None
        return Translator(self.target, history, self.mirror.positions, self.names.on_target, alive, exactly_once=True)

    @property
    def loss(self) -> SourceLoss:
        """What is lost with the source, by what was seen of it."""
        return SourceLoss(self.world, SOURCE, PositionLog(self.store, SOURCE), self.backup)

    @property
    def backup(self) -> SourceBackup:
        """What the newest backup of the source has."""
        return SourceBackup(self.world, SOURCE)

    def while_waiting(self, happening: Callable[[], object]) -> None:
        """What others do whenever drkit waits."""
        self.clock.during_sleep.append(happening)

    def stored(self, key: str) -> Any:
        """A stored document."""
        return json.loads(self.store.objects[key])

    def _ports(self, kafka: FakeKafka) -> RegionPorts:
        scope = FenceScope(
            topic_prefix=self.settings.topic_prefix,
            canary_group=self.settings.canary_group,
            applications=(APPLICATION,),
            own=DRKIT,
            open_by_default=True,
        )
        fence = AclFence(kafka, kafka, self.store, scope)
        positions = ConnectOffsets(self.target, OFFSETS_TOPIC, self.flow.source_connector).read
        source, *others = self.flow.connectors
        mirror = Mirror(self.connect, self.connect, source, positions, tuple(others))
        into_target = mirror if kafka is self.target else None
        registry = self.registries.get(kafka.region)
        return RegionPorts(kafka.region, kafka, kafka, kafka, kafka, kafka, fence, into_target, (), registry, registry)


def _region(settings: Settings, name: str) -> FakeKafka:
    cluster = FakeCluster(settings.regions[name].cluster.cluster_id)
    cluster.create(settings.canary_topic)
    return FakeKafka(name, cluster)


def _name(text: str) -> bytes:
    return struct.pack(">h", len(text.encode())) + text.encode()


def offsets(tree: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """The figures of a tree of topics and partitions."""
    return [figure for partitions in tree.values() for figure in partitions.values()]
