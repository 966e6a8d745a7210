"""One direction of mirroring, and what everything that belongs to it is called."""

from __future__ import annotations

from dataclasses import dataclass

OFFSET_SYNCS_HORIZON_MS = 14 * 24 * 3600 * 1000
"""How long no offset sync may be compacted away: a group that lags by less is placed exactly."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Mirroring of one service from ``source`` to ``target``; a region's name is also MM2's alias of its cluster.

    The names of MM2's own topics depend on the policy's separator (``DefaultReplicationPolicy``, KIP-949); the
    offset syncs are kept on the target, so that they outlive the source (KIP-716).
    """

    project: str
    environment: str
    source: str
    target: str
    separator: str = "."

    @property
    def label(self) -> str:
        """``source->target``, as MM2 writes it."""
        return f"{self.source}->{self.target}"

    @property
    def source_connector(self) -> str:
        """The connector that carries records. Its name is part of its offsets' key: it must never change."""
        return f"{self._prefix}.source"

    @property
    def checkpoint_connector(self) -> str:
        """The connector that emits checkpoints of group offsets."""
        return f"{self._prefix}.checkpoint"

    @property
    def heartbeat_connector(self) -> str:
        """The connector that writes heartbeats into the source, for the flow to carry over."""
        return f"{self._prefix}.heartbeat"

    @property
    def connectors(self) -> tuple[str, str, str]:
        """All three, the one that carries records first."""
        return self.source_connector, self.checkpoint_connector, self.heartbeat_connector

    @property
    def offset_syncs_topic(self) -> str:
        """On the target: pairs of upstream and downstream offsets (``MirrorSourceConfig.offsetSyncsTopic``)."""
        return f"mm2-offset-syncs{self.separator}{self.source}{self.separator}internal"

    @property
    def checkpoints_topic(self) -> str:
        """On the target: translated group offsets (``ReplicationPolicy.checkpointsTopic``)."""
        return f"{self.source}{self.separator}checkpoints{self.separator}internal"

    @property
    def heartbeats_topic(self) -> str:
        """On the source: where the heartbeats are written."""
        return "heartbeats"

    @property
    def mirrored_heartbeats_topic(self) -> str:
        """On the target: the carried heartbeats, renamed under every policy (``looksLikeHeartbeat``)."""
        return f"{self.source}{self.separator}heartbeats"

    @property
    def heartbeat_offsets_topic(self) -> str:
        """On the source: Connect's offsets of the heartbeat connector, which must be where its records go."""
        return f"mm2-heartbeat-offsets.{self.target}.internal"

    @property
    def _prefix(self) -> str:
        return f"{self.project}.{self.environment}.{self.source}.{self.target}"


@dataclass(frozen=True, slots=True)
class InternalTopic:
    """A topic that must exist before the connectors do, and the configs that matter.

    A client that auto-creates one of them would give it the broker's defaults, ``cleanup.policy=delete`` among them.
    """

    region: str
    name: str
    configs: tuple[tuple[str, str], ...]
    partitions: int = 1
    is_enforced: bool = True
    """Whether its configs are put right where it exists; else they count when it is made."""


def internal_topics(flow: Flow) -> tuple[InternalTopic, ...]:
    """What ``mm2 apply`` makes sure of, source first."""
    compact = (("cleanup.policy", "compact"),)
    # MM2 makes the topic compacted and nothing else; held off, compaction leaves every sync of the horizon.
    syncs = (*compact, ("min.compaction.lag.ms", str(OFFSET_SYNCS_HORIZON_MS)))
    return (
        InternalTopic(flow.source, flow.heartbeats_topic, compact, is_enforced=False),
        InternalTopic(flow.source, flow.heartbeat_offsets_topic, compact),
        InternalTopic(flow.target, flow.offset_syncs_topic, syncs),
        InternalTopic(flow.target, flow.checkpoints_topic, compact),
    )
