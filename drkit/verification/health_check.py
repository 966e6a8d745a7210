"""Takes samples of a region's health: its cluster, partitions, a canary, the mirror into it, its HTTP probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from drkit.domain.health import (
    CanaryConsumed,
    CanaryRefused,
    ClusterAnswered,
    ConnectorHealth,
    Expectation,
    MirrorState,
    PartitionStates,
    ProbeSeen,
    RegionHealth,
    Sample,
    Silent,
    Undetermined,
)
from drkit.domain.health_judgement import combine, judge
from drkit.domain.kafka import PartitionDescription, TopicDescription, TopicPartition
from drkit.domain.lag import upper_bound
from drkit.domain.scope import NameFilter
from drkit.errors import DrkitError, UnreachableError
from drkit.ports import (
    Clock,
    ConnectorState,
    ConnectorStatus,
    ConnectReader,
    HealthProbe,
    KafkaReader,
    KafkaWriter,
    ProbeOutcome,
    ReadRange,
)
from drkit.verification.lag_check import LagCheck
from drkit.verification.tails import read_tails

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How samples are taken and judged."""

    expected: Expectation
    canary_topic: str
    topics: NameFilter
    """The topics whose partitions are looked at."""
    samples: int = 3
    interval_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class MirrorWatch:
    """The mirror into a region.

    ``side_connectors``: checkpoints and heartbeats. ``heartbeats_topic``: the mirrored one, in the region. ``lag``:
    measures what is left; None leaves it out.
    """

    connect: ConnectReader
    source_connector: str
    side_connectors: Sequence[str] = ()
    heartbeats_topic: str | None = None
    lag: LagCheck | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Samples one region.

    ``writer``: for the canary; None (a dry run) leaves it out. A reader with a deadline of its own, shorter than that
    of other calls, keeps the check of a dead region short: each sample waits for it once. ``earlier``: samples that
    were taken a moment ago: one new one that agrees with them is enough.
    """

    reader: KafkaReader
    writer: KafkaWriter | None
    mirror: MirrorWatch | None
    probes: Sequence[HealthProbe]
    clock: Clock
    settings: HealthSettings
    earlier: Sequence[Sample] = ()

    def run(self) -> RegionHealth:
        """Take the samples and judge them. Errors of what is looked at are observations, not raised."""
        samples = [*self.earlier, self._sample(is_last=bool(self.earlier) or self.settings.samples == 1)]
        verdicts = [type(judge(sample, self.settings.expected)) for sample in samples]
        if verdicts[-1] not in verdicts[:-1]:
            # None earlier, or they are of another time.
            samples = samples[-1:]
        for number in range(len(samples), self.settings.samples):
            self.clock.sleep(self.settings.interval_seconds)
            samples.append(self._sample(is_last=number == self.settings.samples - 1))
        verdict = combine([judge(sample, self.settings.expected) for sample in samples])
        return RegionHealth(self.reader.region, self.settings.expected.role, verdict, tuple(samples))

    def _sample(self, *, is_last: bool) -> Sample:
        cluster = self._cluster()
        probes = tuple(
            ProbeSeen(answer.name, answer.status.value, answer.detail)
            for answer in (probe.ask() for probe in self.probes)
        )
        if not isinstance(cluster, ClusterAnswered) or cluster.cluster_id != self.settings.expected.cluster_id:
            # No canary goes to a cluster that is not the configured one.
            return Sample(cluster, probes=probes)
        return Sample(
            cluster=cluster,
            partitions=_seen(self._partitions),
            canary=self._canary(),
            mirror=_seen(partial(self._mirror, self.mirror, is_last=is_last)) if self.mirror else None,
            probes=probes,
        )

    def _cluster(self) -> ClusterAnswered | Silent | Undetermined:
        started = self.clock.monotonic()
        try:
            found = self.reader.describe_cluster()
        except UnreachableError as error:
            return Silent(error.message)
        except DrkitError as error:
            return Undetermined(error.message)
        return ClusterAnswered(found.cluster_id, len(found.brokers), self.clock.monotonic() - started)

    def _partitions(self) -> PartitionStates:
        topics = {name: topic for name, topic in self.reader.topics().items() if self.settings.topics.matches(name)}
        return partition_states(topics)

    def _canary(self) -> CanaryConsumed | CanaryRefused | Undetermined | None:
        if self.writer is None:
            return None
        topic, started = self.settings.canary_topic, self.clock.monotonic()
        value = f"drkit health canary {self.clock.now().isoformat()}".encode()
        try:
            outcome, offset = self.writer.probe_write(topic, value)
            if outcome is ProbeOutcome.REFUSED:
                return CanaryRefused()
            written = ReadRange(TopicPartition(topic, 0), offset, offset + 1)
            consumed = [record.value for record in self.reader.read([written])]
        except DrkitError as error:
            return Undetermined(error.message)
        if consumed != [value]:
            return Undetermined(f"it was written at offset {offset}, and something else was read from there")
        return CanaryConsumed(self.clock.monotonic() - started)

    def _mirror(self, watch: MirrorWatch, *, is_last: bool) -> MirrorState:
        statuses = [(watch.connect.status(watch.source_connector), True)]
        statuses += [(watch.connect.status(name), False) for name in watch.side_connectors]
        connectors = tuple(_connector(status, carries_records=carries) for status, carries in statuses)
        return MirrorState(
            connectors,
            heartbeat_age_seconds=self._heartbeat_age(watch.heartbeats_topic) if watch.heartbeats_topic else None,
            records_left_at_most=_records_left(watch.lag) if watch.lag and is_last else None,
        )

    def _heartbeat_age(self, topic: str) -> float | None:
        only = TopicPartition(topic, 0)
        try:
            if topic not in self.reader.describe_topics([topic]):
                return None
            end = self.reader.log_ranges([only])[only].end
            # MirrorHeartbeatTask gives a record the heartbeat's own time, and MM2 carries it over.
            newest = read_tails(self.reader, {only: end}, 1, lambda record: record.timestamp_ms)[only].items
        except DrkitError:
            # Heartbeats are a comfort: states and positions say whether the mirror works.
            return None
        return max(0.0, self.clock.now().timestamp() - newest[-1] / 1000) if newest else None


def check_all(checks: Sequence[HealthCheck]) -> Mapping[str, RegionHealth]:
    """Run the checks of several regions side by side, so that a dead one costs no more than itself."""
    with ThreadPoolExecutor(max_workers=max(1, len(checks)), thread_name_prefix="health") as pool:
        return {health.region: health for health in pool.map(HealthCheck.run, checks)}


def partition_states(topics: Mapping[str, TopicDescription]) -> PartitionStates:
    """Which partitions are without a leader, below ``min.insync.replicas`` (where a topic sets it), or short of one."""
    found: dict[str, list[TopicPartition]] = {"leaderless": [], "below": [], "under": []}
    total = 0
    for name, topic in sorted(topics.items()):
        required = int(topic.configs.get("min.insync.replicas", "1"))
        for one in topic.partitions:
            total += 1
            kind = _state_of(one, required)
            if kind:
                found[kind].append(TopicPartition(name, one.partition))
    return PartitionStates(total, tuple(found["leaderless"]), tuple(found["below"]), tuple(found["under"]))


def _state_of(partition: PartitionDescription, required: int) -> str | None:
    if partition.leader is None:
        return "leaderless"
    # The broker takes no more than the replica count as the minimum (measured on Kafka 4.3.1).
    if len(partition.in_sync) < min(required, len(partition.replicas)):
        return "below"
    return "under" if partition.is_under_replicated else None


def _seen(look: Callable[[], Seen]) -> Seen | Undetermined:
    try:
        return look()
    except DrkitError as error:
        return Undetermined(error.message)


def _connector(status: ConnectorStatus, *, carries_records: bool) -> ConnectorHealth:
    return ConnectorHealth(
        name=status.name,
        state=status.state.value,
        is_running=status.state is ConnectorState.RUNNING,
        is_absent=status.state is ConnectorState.ABSENT,
        tasks=len(status.task_states),
        failed_tasks=sum(state is ConnectorState.FAILED for state in status.task_states),
        failure=status.trace,
        carries_records=carries_records,
    )


def _records_left(lag: LagCheck) -> int | None:
    try:
        records = lag.run(counting=False).records
    except DrkitError:
        # The source is another region: that it is silent is that region's finding, not this one's.
        return None
    return upper_bound(records)
