"""What a look at a region shows, and the verdicts that can be given on it.

::

    sample ──judge──> verdict ──combine──> the region's verdict ──decide_mode (both regions)──> a mode, or a refusal

``judge`` and ``combine`` are in ``health_judgement``, ``decide_mode`` is in ``mode``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from drkit.domain.kafka import TopicPartition


class Role(StrEnum):
    """A region's role now. A standby is fenced: it refuses the applications' writes and drkit's canary."""

    PRIMARY = "primary"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class ClusterAnswered:
    """The cluster described itself."""

    cluster_id: str
    brokers: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing answered before the deadline, or the connection broke."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undetermined:
    """Something answered, but not with what was asked for: credentials refused, or an error."""

    reason: str


@dataclass(frozen=True, slots=True)
class PartitionStates:
    """The partitions in scope that are not as they should be, of ``total``.

    ``below_min_isr``: fewer in-sync replicas than ``min.insync.replicas`` (where the topic sets it): acks=all fails.
    """

    total: int
    leaderless: tuple[TopicPartition, ...] = ()
    below_min_isr: tuple[TopicPartition, ...] = ()
    under_replicated: tuple[TopicPartition, ...] = ()


@dataclass(frozen=True, slots=True)
class CanaryConsumed:
    """A record was written with acks=all and consumed back; ``seconds`` for both."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CanaryRefused:
    """The broker denied the write: it is alive, and fenced."""


@dataclass(frozen=True, slots=True)
class ConnectorHealth:
    """A connector and its tasks; ``failure`` is the first line of the first task's or the connector's trace."""

    name: str
    state: str
    is_running: bool
    is_absent: bool = False
    tasks: int = 0
    failed_tasks: int = 0
    failure: str = ""
    carries_records: bool = True
    """False for checkpoints and heartbeats: without them records are mirrored nevertheless."""


@dataclass(frozen=True, slots=True)
class MirrorState:
    """The mirror into the region. ``None``: not known (no heartbeats; no source to compare with)."""

    connectors: tuple[ConnectorHealth, ...]
    heartbeat_age_seconds: float | None = None
    records_left_at_most: int | None = None


@dataclass(frozen=True, slots=True)
class ProbeSeen:
    """The answer of an HTTP probe: ``up``, ``down`` or ``unreachable``."""

    name: str
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look at a region showed. ``None``: not looked at (a dry run writes no canary; no mirror runs there)."""

    cluster: ClusterAnswered | Silent | Undetermined
    partitions: PartitionStates | Undetermined | None = None
    canary: CanaryConsumed | CanaryRefused | Undetermined | None = None
    mirror: MirrorState | Undetermined | None = None
    probes: tuple[ProbeSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a region is judged by."""

    role: Role
    cluster_id: str
    canary_seconds: float = 2.0
    """A canary that takes longer is a finding."""
    heartbeat_seconds: float = 30.0
    """Heartbeats are written every few seconds; older ones are a finding."""


class Problem(StrEnum):
    """Everything that a sample can find wrong. ``decide_mode`` knows which of them forbid moving to a region."""

    NO_ANSWER = "no_answer"
    CREDENTIALS = "credentials"
    OTHER_CLUSTER = "other_cluster"
    CONTRADICTION = "contradiction"
    FLAPPING = "flapping"
    PARTITIONS_UNREADABLE = "partitions_unreadable"
    LEADERLESS = "leaderless"
    BELOW_MIN_ISR = "below_min_isr"
    UNDER_REPLICATED = "under_replicated"
    CANARY_FAILED = "canary_failed"
    CANARY_SLOW = "canary_slow"
    PRIMARY_FENCED = "primary_fenced"
    STANDBY_OPEN = "standby_open"
    MIRROR_UNREADABLE = "mirror_unreadable"
    CONNECTOR_MISSING = "connector_missing"
    CONNECTOR_NOT_RUNNING = "connector_not_running"
    NO_TASK = "no_task"
    TASK_FAILED = "task_failed"
    SIDE_CONNECTOR = "side_connector"
    HEARTBEAT_OLD = "heartbeat_old"
    PROBE_DOWN = "probe_down"
    PROBE_SILENT = "probe_silent"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem; ``subject`` tells two of the same kind apart (a connector's or a probe's name)."""

    problem: Problem
    detail: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Healthy:
    """Everything that was looked at is as it should be."""

    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Degraded:
    """The cluster answers, and something is wrong."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nothing of the cluster answers, in any sample."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """It cannot be told whether the region is alive."""

    findings: tuple[Finding, ...]


Verdict = Healthy | Degraded | Unreachable | Unknown


@dataclass(frozen=True, slots=True)
class RegionHealth:
    """A region's verdict, with the samples that it was made from, oldest first."""

    region: str
    role: Role
    verdict: Verdict
    samples: tuple[Sample, ...]

    @property
    def cluster(self) -> ClusterAnswered | None:
        """The newest description of the cluster."""
        return next((s.cluster for s in reversed(self.samples) if isinstance(s.cluster, ClusterAnswered)), None)

    @property
    def mirror(self) -> MirrorState | None:
        """The newest state of the mirror into the region."""
        return next((s.mirror for s in reversed(self.samples) if isinstance(s.mirror, MirrorState)), None)

    @property
    def is_fenced(self) -> bool | None:
        """Whether the newest canary was refused; None if none was tried, or it failed otherwise."""
        for sample in reversed(self.samples):
            if isinstance(sample.canary, CanaryRefused | CanaryConsumed):
                return isinstance(sample.canary, CanaryRefused)
        return None


def verdict_word(verdict: Verdict) -> str:
    """``healthy``, ``degraded``, ``unreachable`` or ``unknown``."""
    return type(verdict).__name__.lower()


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """``{verdict, reasons: [{problem, detail}]}``."""
    reasons = [{"problem": finding.problem.value, "detail": finding.detail} for finding in verdict.findings]
    return {"verdict": verdict_word(verdict), "reasons": reasons}


def health_to_json(health: RegionHealth) -> dict[str, Any]:
    """A region's health as evidence: the verdict with its reasons, and the newest figures (None: not known)."""
    cluster, mirror = health.cluster, health.mirror
    return {
        "region": health.region,
        "role": health.role.value,
        **verdict_to_json(health.verdict),
        "samples": len(health.samples),
        "cluster_id": cluster.cluster_id if cluster else None,
        "brokers": cluster.brokers if cluster else None,
        "fenced": health.is_fenced,
        "heartbeat_age_seconds": mirror.heartbeat_age_seconds if mirror else None,
        "records_left_at_most": mirror.records_left_at_most if mirror else None,
    }
