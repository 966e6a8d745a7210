"""Two regions with a flow per replication policy, topics of every kind in each, and the truth about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from drkit import bootstrap
from drkit.config.mirror_templates import flow_of
from drkit.domain.kafka import TopicPartition
from drkit.domain.mode import FailoverMode
from drkit.domain.offsets import Verdict
from drkit.domain.samples import SampleProvider
from drkit.ports import ConnectorState, ReadRange
from drkit.procedures.service import Service
from drkit.sandbox import Fault, Sandbox
from drkit.verification.mirror_evidence import CheckpointPositions
from drkit.verification.record_marks import ALONE_WITHIN, sample_positions
from tests.e2e.world import PRIMARY, STANDBY
from tests.integration.offset_truth import Log, Truth, quantiles
from tests.waiting import eventually

KINDS = ("plain", "compacted", "transactional")
_PARTITIONS = 2
_RECORDS = 80
"""Per round, partition and kind."""
_COMPACTION = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
_GROUPS = 8

Positions = Callable[[], Mapping[TopicPartition, int]]


def topic_of(policy: str, kind: str) -> str:
    """On the source."""
    return f"matrix-{policy}.staging.{kind}"


@dataclass
class Flow:
    """One policy's flow. ``written``: source offset of every acknowledged record, per partition."""

    policy: str
    service: Service
    written: dict[TopicPartition, dict[bytes, int]] = field(default_factory=dict)

    @property
    def partitions(self) -> list[TopicPartition]:
        """Of every kind, on the source."""
        return [TopicPartition(topic_of(self.policy, kind), n) for kind in KINDS for n in range(_PARTITIONS)]

    def on_target(self, partition: TopicPartition) -> TopicPartition:
        """Its copy."""
        names = self.service._readings.names(PRIMARY)
        return TopicPartition(names.on_target(partition.topic), partition.partition)

    def log(self, region: str, partition: TopicPartition) -> Log:
        """A partition's committed records."""
        reader = self.service._world.regions[region].reader
        ends = reader.log_ranges([partition])[partition]
        return [(one.offset, one.value or b"") for one in reader.read([ReadRange(partition, ends.start, ends.end)])]

    def truth(self, partition: TopicPartition) -> Truth:
        """By the contents."""
        copy = self.on_target(partition)
        end = self.service._world.regions[STANDBY].reader.log_ranges([copy])[copy].end
        return Truth(self.written[partition], self.log(STANDBY, copy), end)

    def ends(self) -> dict[TopicPartition, int]:
        """The source's log ends."""
        ranges = self.service._world.regions[PRIMARY].reader.log_ranges(self.partitions)
        return {p: one.end for p, one in ranges.items()}

    def translate(
        self, ends: Mapping[TopicPartition, int], *, alive: bool, samples: SampleProvider | None = None
    ) -> Iterator[tuple[TopicPartition, int, Verdict]]:
        """The verdict on every position; a source that is alive was drained, and of a dead one the mirror stopped."""
        mode = FailoverMode.PLANNED if alive else FailoverMode.DISASTER
        made = self.service._readings.translator(PRIMARY, STANDBY, mode)
        translator = made if alive else replace(made, samples=samples)
        last = max(ends.values())
        committed = {f"{u:06d}": {p: u for p, end in ends.items() if u <= end} for u in range(last + 1)}
        for row in translator.translate(committed, drained_to=ends if alive else None, is_final=not alive):
            yield row.partition, row.upstream, row.verdict

    def samples(self, ends: Mapping[TopicPartition, int]) -> SampleProvider:
        """Of every position, as a watch would have taken them."""
        reader = self.service._world.regions[PRIMARY].reader
        reach = 0 if self.service.settings.replication.exactly_once else ALONE_WITHIN
        positions = [(p, u) for p, end in ends.items() for u in range(end + 1)]
        found = sample_positions(reader, positions, 0, alone_within=reach)
        return lambda positions: {one: found[one] for one in positions if one in found}

    def mm2_positions(self, ends: Mapping[TopicPartition, int]) -> dict[tuple[TopicPartition, int], int]:
        """Where MM2 puts groups all over the logs: its own checkpoints, the log start where it gives none."""
        wanted = {(p, u): f"m-{p}-{u}" for p, end in ends.items() for u in quantiles(end, _GROUPS)}
        for (p, u), group in wanted.items():
            assert not self.service._world.regions[PRIMARY].writer.alter_group_offsets(group, {p: u})
        reader, names = self.service._world.regions[STANDBY].reader, self.service._readings.names(PRIMARY)
        checkpoints = CheckpointPositions(reader, flow_of(self.service.settings, PRIMARY), names.on_source)

        def has_newest() -> bool:
            found = checkpoints.newest()
            return all(wanted[p, end] in found for p, end in ends.items())

        eventually(has_newest, timeout_seconds=120, because="MirrorMaker 2 emits checkpoints of new groups", every=0.5)
        found = checkpoints.newest()
        return {
            (p, u): found[group][p].downstream if p in found.get(group, {}) else 0 for (p, u), group in wanted.items()
        }

    def stop_mirror(self) -> None:
        """As a run does in disaster mode."""
        mirror = self.service._world.mirror_into(STANDBY)
        for name in mirror.connectors:
            mirror.writer.stop(name)
        eventually(
            lambda: all(mirror.reader.status(name).state is ConnectorState.STOPPED for name in mirror.connectors),
            timeout_seconds=60,
            because="a mirror without its source stops",
        )


class MatrixService:
    """A sandbox, a flow per policy, and producers of every kind of topic."""

    def __init__(self, directory: Path, box: Sandbox, policies: tuple[str, ...]) -> None:
        self.box = box
        self._stack = ExitStack()
        status = box.up()
        self.clients: dict[str, Any] = {region: one.clients["admin"] for region, one in status.regions.items()}
        for region in self.clients:
            self.configure_brokers(region, {"log.cleaner.backoff.ms": "100"})
        self._admin = AdminClient(dict(self.clients[PRIMARY]))
        self.flows = {policy: self._flow(directory, policy) for policy in policies}
        quick = {**self.clients[PRIMARY], "linger.ms": 2, "log_level": 0}
        self._plain = Producer({**quick, "enable.idempotence": True})
        self._transactional = Producer({**quick, "transactional.id": "matrix"})
        self._transactional.init_transactions(20)
        self._number = self._round = 0
        self._started_ms = int(time.time() * 1000)

    def close(self) -> None:
        """Leave the sandbox as it is."""
        self._stack.close()

    def start_mirrors(self) -> None:
        """Make every flow's connectors, and wait until they run."""
        for flow in self.flows.values():
            flow.service.mm2_apply(None, resume=True, progress=lambda _: None)

    def configure_brokers(self, region: str, configs: Mapping[str, str]) -> None:
        """Set dynamic configs of the only broker."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in configs.items()
        ]
        admin = AdminClient(dict(self.clients[region]))
        for future in admin.incremental_alter_configs(
            [ConfigResource(ResourceType.BROKER, "1", incremental_configs=entries)]
        ).values():
            future.result(20)

    def write(self) -> None:
        """One round: some records into every topic, and a few aborted ones into the transactional."""
        self._round += 1
        for flow in self.flows.values():
            for kind in ("plain", "compacted"):
                for number in range(_RECORDS):
                    # Every fourth key is never written again, so that what stays lies among what goes.
                    key = b"%d" % (self._number if number % 4 == 0 else number)
                    for partition in range(_PARTITIONS):
                        where = TopicPartition(topic_of(flow.policy, kind), partition)
                        self._produce(self._plain, flow, where, key if kind == "compacted" else None)
            for number in range(_RECORDS // 10):
                self._transaction(flow, is_aborted=number % 4 == 3)
        assert self._plain.flush(20) == 0

    def _transaction(self, flow: Flow, *, is_aborted: bool) -> None:
        self._transactional.begin_transaction()
        for partition in range(_PARTITIONS):
            for _ in range(5):
                self._produce(
                    self._transactional, flow, TopicPartition(topic_of(flow.policy, "transactional"), partition), None
                )
        if is_aborted:
            self._transactional.flush(20)
            self._transactional.abort_transaction(20)
        else:
            self._transactional.commit_transaction(20)

    def _produce(self, producer: Producer, flow: Flow, partition: TopicPartition, key: bytes | None) -> None:
        self._number += 1
        content = b"%08d" % self._number

        def acknowledged(error: object, message: Any) -> None:
            assert error is None, error
            flow.written.setdefault(partition, {})[content] = message.offset()

        # A log's segments roll by the records' time: only what is in an older one is compacted.
        at_ms = self._started_ms + 1000 * self._round
        producer.produce(partition.topic, content, key, partition.partition, on_delivery=acknowledged, timestamp=at_ms)
        producer.poll(0)

    def await_mirrored(self) -> None:
        """Until the mirror has committed the newest record of each partition: with it, whatever is before it."""
        for flow in self.flows.values():
            newest = {partition: flow.log(PRIMARY, partition)[-1][0] for partition in flow.partitions}
            positions = flow.service._world.mirror_into(STANDBY).positions

            def is_through(p: Positions = positions, n: Mapping[TopicPartition, int] = newest) -> bool:
                found = p()
                return all(found.get(partition, -1) >= offset for partition, offset in n.items())

            eventually(is_through, timeout_seconds=90, because=f"{flow.policy} is mirrored to the end", every=0.3)

    def await_compacted(self, region: str) -> None:
        """Until the cleaner has made holes in every compacted topic of the region."""
        for flow in self.flows.values():
            for partition in flow.partitions:
                if partition.topic.endswith("compacted"):
                    there = partition if region == PRIMARY else flow.on_target(partition)

                    def has_holes(f: Flow = flow, p: TopicPartition = there) -> bool:
                        log = f.log(region, p)
                        return log[-1][0] + 1 > len(log) + _RECORDS // 2

                    eventually(has_holes, timeout_seconds=60, because=f"{there} at {region} is compacted", every=0.5)

    def rest(self) -> None:
        """No compaction from here on: what is read stays as it is."""
        for region in self.clients:
            self.configure_brokers(region, {"log.cleaner.backoff.ms": "3600000"})

    def kill_mirror(self) -> None:
        """SIGKILL the worker, start it again, and wait until the connectors run."""
        self.box.fault(Fault.KILL, STANDBY, "mirror")
        self.box.fault(Fault.START, STANDBY, "mirror")
        self.start_mirrors()

    def _flow(self, directory: Path, policy: str) -> Flow:
        document = yaml.safe_load(self.box.config.read_text())
        document["project"] = f"matrix-{policy}"
        document["state"]["prefix"] = policy
        document["replication"] |= {"policy": policy, "topics": [rf"matrix-{policy}\.staging\..*"]}
        path = directory / f"{policy}.yaml"
        path.write_text(yaml.safe_dump(document))
        topics = [
            NewTopic(
                topic_of(policy, kind),
                num_partitions=_PARTITIONS,
                replication_factor=1,
                config=_COMPACTION if kind == "compacted" else {},
            )
            for kind in KINDS
        ]
        for future in self._admin.create_topics(topics).values():
            future.result(20)
        return Flow(policy, self._stack.enter_context(bootstrap.open_service(str(path))))
