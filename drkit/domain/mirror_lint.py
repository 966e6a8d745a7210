"""Known traps in the configuration of MM2's connectors, found without asking anybody.

The same lint looks at what drkit renders and at what runs. Facts are those of Kafka 4.3.1 (``MirrorConnectorConfig``
and ``MirrorSourceConnector`` of ``connect/mirror``, ``Worker.baseProducerConfigs`` of ``connect/runtime``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from drkit.domain.name_pattern import fault, literal_prefix

_PACKAGE = "org.apache.kafka.connect.mirror."
SOURCE_CLASS = _PACKAGE + "MirrorSourceConnector"
CHECKPOINT_CLASS = _PACKAGE + "MirrorCheckpointConnector"
HEARTBEAT_CLASS = _PACKAGE + "MirrorHeartbeatConnector"
IDENTITY_POLICY = _PACKAGE + "IdentityReplicationPolicy"
_BYTES = "org.apache.kafka.connect.converters.ByteArrayConverter"


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Records or positions would be lost, repeated or mangled."""
    WARNING = "warning"
    """The setting does not do what it seems to."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One trap. ``key`` is the setting, empty for the connector as a whole."""

    severity: Severity
    connector: str
    key: str
    message: str


@dataclass(frozen=True, slots=True)
class LiveConnector:
    """A connector's configuration.

    ``is_enabled`` is false for one that is stopped or paused. ``worker_alias`` is the alias of the cluster that its
    worker keeps its own topics on; empty if that is not known.
    """

    name: str
    config: Mapping[str, str]
    is_enabled: bool = True
    worker_alias: str = ""

    @property
    def flow(self) -> tuple[str, str]:
        """Source and target alias."""
        return self.config.get("source.cluster.alias", "source"), self.config.get("target.cluster.alias", "target")

    @property
    def carries_records(self) -> bool:
        """Whether it is an enabled source connector."""
        enabled = self.is_enabled and self.config.get("enabled", "true") == "true"
        return enabled and _class(self.config) == SOURCE_CLASS


def lint(connectors: Iterable[LiveConnector]) -> tuple[Finding, ...]:
    """Every trap in these connectors, of both regions where both are known."""
    everything = tuple(connectors)
    findings = [*_loops(everything)]
    for connector in everything:
        kind = _class(connector.config)
        if kind == SOURCE_CLASS:
            findings.extend(_source(connector))
        elif kind == CHECKPOINT_CLASS:
            findings.extend(_checkpoint(connector))
        elif kind == HEARTBEAT_CLASS:
            findings.extend(_heartbeat(connector))
    return tuple(findings)


def is_identity(config: Mapping[str, str]) -> bool:
    """Whether topics keep their names."""
    return config.get("replication.policy.class") == IDENTITY_POLICY


def topic_findings(connector: LiveConnector, topics: Iterable[str]) -> Iterator[Finding]:
    """Traps that only the names of the mirrored topics show."""
    source, target = connector.flow
    separator = connector.config.get("replication.policy.separator", ".")
    for topic in topics:
        if is_identity(connector.config) and topic.endswith("heartbeats"):
            message = f"MM2 takes {topic} for heartbeats and calls it {source}{separator}{topic} on {target}"
            yield Finding(Severity.ERROR, connector.name, "topics", message)
        elif not is_identity(connector.config) and topic.split(separator)[0] == target and separator in topic:
            message = f"MM2 takes {topic} for one that came from {target} and does not mirror it"
            yield Finding(Severity.ERROR, connector.name, "topics", message)


def _class(config: Mapping[str, str]) -> str:
    name = config.get("connector.class", "")
    return name if "." in name else _PACKAGE + name


def _loops(connectors: tuple[LiveConnector, ...]) -> Iterator[Finding]:
    carrying = [connector for connector in connectors if connector.carries_records]
    flows = {connector.flow: connector for connector in carrying}
    for connector in carrying:
        source, target = connector.flow
        other = flows.get((target, source))
        if other and (is_identity(connector.config) or is_identity(other.config)):
            message = f"{other.name} mirrors the other way: under the identity policy records go round for ever"
            yield Finding(Severity.ERROR, connector.name, "", message)
        if source == target:
            message = "source and target have the same alias"
            yield Finding(Severity.ERROR, connector.name, "source.cluster.alias", message)


def _source(connector: LiveConnector) -> Iterator[Finding]:
    config = connector.config
    yield from _topics(connector)
    yield from _producer_cluster(connector, "records", Severity.ERROR)
    yield from _offset_syncs_location(connector)
    yield from _prefixes(connector)
    for role in ("key", "value", "header"):
        key = f"{role}.converter"
        if config.get(key, _BYTES) != _BYTES:
            yield Finding(Severity.ERROR, connector.name, key, f"changes the bytes of records: use {_BYTES}")
        elif key not in config:
            yield Finding(Severity.WARNING, connector.name, key, "is not set: whatever the worker has applies")
    if config.get("sync.topic.acls.enabled", "true") != "false":
        message = "ACL sync is on: it copies DENY, drops ALLOW WRITE, and gives a failed-over service no way to write"
        yield Finding(Severity.ERROR, connector.name, "sync.topic.acls.enabled", message)
    if config.get("emit.offset-syncs.enabled", "true") != "true":
        message = "no offset syncs are written: no position can be translated"
        yield Finding(Severity.ERROR, connector.name, "emit.offset-syncs.enabled", message)
    if config.get("exactly.once.support") != "required":
        message = "not required: after a crash records are repeated, and positions near them are no longer exact"
        yield Finding(Severity.WARNING, connector.name, "exactly.once.support", message)
        if config.get("producer.override.enable.idempotence") != "true":
            message = "Connect switches idempotence off: a retry can write a record twice"
            yield Finding(Severity.WARNING, connector.name, "producer.override.enable.idempotence", message)
    isolation = config.get("source.consumer.isolation.level", config.get("consumer.isolation.level"))
    if isolation != "read_committed":
        message = "records of aborted transactions are mirrored"
        yield Finding(Severity.ERROR, connector.name, "consumer.isolation.level", message)


def _topics(connector: LiveConnector) -> Iterator[Finding]:
    config = connector.config
    separator = config.get("replication.policy.separator", ".")
    for pattern in split_list(config.get("topics", ".*")):
        reason = fault(pattern)
        if reason:
            yield Finding(Severity.ERROR, connector.name, "topics", f"{pattern!r} {reason}")
            continue
        segment, found, _ = literal_prefix(pattern).partition(separator)
        if found and segment in connector.flow:
            yield Finding(Severity.ERROR, connector.name, "topics", alias_clash(segment))


def alias_clash(alias: str) -> str:
    """What is wrong with an alias that is also the first segment of a topic's name."""
    return f"{alias} is an alias and also the first segment of topics: MM2 takes such topics for mirrored ones"


def _offset_syncs_location(connector: LiveConnector) -> Iterator[Finding]:
    if connector.config.get("offset-syncs.topic.location", "source") != "target":
        message = "the offset syncs are on the source: they are lost with it"
        yield Finding(Severity.ERROR, connector.name, "offset-syncs.topic.location", message)


_CLIENT_KEYS = ("bootstrap.servers", "security.", "ssl.", "sasl.", "client.id")


def _prefixes(connector: LiveConnector) -> Iterator[Finding]:
    """Settings under prefixes that do not reach the client they seem meant for."""
    for key in connector.config:
        for prefix in ("source.cluster.", "target.cluster."):
            setting = key.removeprefix(prefix)
            if setting not in (key, "alias") and not setting.startswith(_CLIENT_KEYS):
                message = "has no effect: MM2 keeps bootstrap and security settings only under this prefix"
                yield Finding(Severity.WARNING, connector.name, key, message)
        if key.startswith(("producer.", "target.producer.")) and not key.startswith("producer.override."):
            message = "reaches the producer of offset syncs only; records take producer.override.*"
            yield Finding(Severity.WARNING, connector.name, key, message)


def _checkpoint(connector: LiveConnector) -> Iterator[Finding]:
    yield from _offset_syncs_location(connector)
    if connector.config.get("sync.group.offsets.enabled", "false") != "false":
        message = "MM2 commits group offsets too, conservative ones, and also after the source is lost"
        yield Finding(Severity.ERROR, connector.name, "sync.group.offsets.enabled", message)
    if connector.config.get("emit.checkpoints.enabled", "true") != "true":
        message = "no checkpoints: when the source is lost, committed offsets are known from snapshots only"
        yield Finding(Severity.WARNING, connector.name, "emit.checkpoints.enabled", message)


def _heartbeat(connector: LiveConnector) -> Iterator[Finding]:
    yield from _producer_cluster(connector, "heartbeats", Severity.WARNING)


def _producer_cluster(connector: LiveConnector, what: str, severity: Severity) -> Iterator[Finding]:
    """Connect writes to the worker's bootstrap servers, whatever ``target.cluster.bootstrap.servers`` says."""
    key = "producer.override.bootstrap.servers"
    producer, target = connector.config.get(key), connector.config.get("target.cluster.bootstrap.servers")
    alias = connector.flow[1]
    if producer is None and connector.worker_alias not in ("", alias):
        message = f"is not set: {what} go to {connector.worker_alias}, the worker's own cluster, and not to {alias}"
        yield Finding(severity, connector.name, key, message)
    elif producer is not None and producer != target:
        message = f"{what} go to {producer}, and not to target.cluster.bootstrap.servers"
        yield Finding(severity, connector.name, key, message)


def split_list(value: str) -> tuple[str, ...]:
    """A LIST setting's items (``ConfigDef.parseType``: split at commas, stripped)."""
    return tuple(item.strip() for item in value.split(",")) if value.strip() else ()
