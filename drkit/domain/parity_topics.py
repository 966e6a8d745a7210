"""Topics and their configs on both sides: what a mirror leaves different, and in which direction it matters. Pure.

MM2 carries topic configs over but for those that ``DefaultConfigPropertyFilter`` excludes, and looks for them only
every ``sync.topic.configs.interval.seconds``; it adds partitions and takes none away; the replication factor is what
its own configuration says. A config that a topic does not have has the broker's default, which drkit does not know.

Nothing is set in the direction in which it takes something away: retention and message size are only raised.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from drkit.domain.change_state import Topics, replication_factor
from drkit.domain.kafka import TopicDescription
from drkit.domain.naming import TopicNames, printable
from drkit.domain.parity_finding import Finding, Kind, Severity
from drkit.domain.provisioning import AddPartitions, SetConfig
from drkit.domain.scope import NameFilter

_DEFAULT: Final = "the broker's default"
_UNLIMITED: Final = "-1"
_MAY_BE_UNLIMITED: Final = ("retention.ms", "retention.bytes")
"""``TopicConfig`` of Kafka."""
_MIN_INSYNC: Final = "min.insync.replicas"
_CLEANUP: Final = "cleanup.policy"
_UNCLEAN: Final = "unclean.leader.election.enable"
_NEVER_COMPARED: Final = NameFilter((r"(follower|leader)\.replication\.throttled\.replicas",))
"""Names replicas by broker ids, which are each cluster's own."""
_FOR_A_PERSON: Final[Mapping[str, str]] = {
    _CLEANUP: "it decides which records are removed",
    "message.timestamp.type": "on a topic that is mirrored into it replaces the records' own timestamps",
    "message.timestamp.before.max.ms": "on a topic that is mirrored into it refuses old records",
    "message.timestamp.after.max.ms": "on a topic that is mirrored into it may refuse records",
    "message.timestamp.difference.max.ms": "on a topic that is mirrored into it refuses old records",
}


@dataclass(frozen=True, slots=True)
class _Floor:
    """A number that may be higher on the target, and not lower."""

    kind: Kind
    severity: Severity
    why: str


_FLOORS: Final[Mapping[str, _Floor]] = {
    _MIN_INSYNC: _Floor(
        Kind.MIN_INSYNC_REPLICAS,
        Severity.PROBLEM,
        "an acknowledged record could be lost with a broker; MM2 never sets it",
    ),
    "max.message.bytes": _Floor(
        Kind.MESSAGE_SIZE, Severity.PROBLEM, "large records would be refused, the mirror's as well"
    ),
    "retention.ms": _Floor(Kind.RETENTION, Severity.NOTE, "records would be gone sooner"),
    "retention.bytes": _Floor(Kind.RETENTION, Severity.NOTE, "records would be gone sooner"),
    "delete.retention.ms": _Floor(Kind.RETENTION, Severity.NOTE, "tombstones would be gone sooner"),
}


def compare_topics(names: TopicNames, scope: NameFilter, source: Topics, target: Topics) -> list[Finding]:
    """What differs of the source's topics in scope and their copies."""
    findings: list[Finding] = []
    for name in scope.select(source):
        copy = target.get(names.on_target(name))
        if copy is None:
            findings.append(_missing(names.on_target(name), len(source[name].partitions)))
        else:
            findings += [*_size(source[name], copy), *_configs(source[name], copy)]
    return findings


def _missing(name: str, partitions: int) -> Finding:
    return Finding(
        kind=Kind.TOPIC,
        severity=Severity.PROBLEM,
        resource=f"topic {printable(name)}",
        source=f"{partitions} partitions",
        target="missing",
        why="it is not mirrored (yet)",
        person="the mirror makes it within replication.refresh_seconds: drkit mm2 status says why it does not",
    )


def _size(source: TopicDescription, copy: TopicDescription) -> Iterator[Finding]:
    resource = f"topic {printable(copy.name)}"
    before, after = len(copy.partitions), len(source.partitions)
    if before != after:
        more = before > after
        yield Finding(
            kind=Kind.PARTITIONS,
            severity=Severity.NOTE if more else Severity.PROBLEM,
            resource=resource,
            source=f"{after} partitions",
            target=f"{before} partitions",
            why="keys go to other partitions" if more else "some partitions are not mirrored, or their keys move",
            change=None if more else AddPartitions(copy.name, before, after),
            person="partitions cannot be taken away: raise the source's, or make the topic anew" if more else "",
        )
    here, there = replication_factor(source), replication_factor(copy)
    if there < here:
        yield Finding(
            kind=Kind.REPLICATION_FACTOR,
            severity=Severity.NOTE,
            resource=resource,
            source=f"{here} replicas",
            target=f"{there} replicas",
            why="it bears the loss of fewer brokers; MM2 takes it from replication.factor",
            person="which brokers take replicas is for a person: kafka-reassign-partitions",
        )


def _configs(source: TopicDescription, copy: TopicDescription) -> Iterator[Finding]:
    for config in sorted(source.configs.keys() | copy.configs.keys()):
        here, there = source.configs.get(config), copy.configs.get(config)
        if here == there or _NEVER_COMPARED.matches(config):
            continue
        floor = _FLOORS.get(config)
        kind = floor.kind if floor else Kind.CONFIG
        if floor and here is not None and there is not None and _is_at_least(config, there, here):
            # More than on the source is what somebody chose for this side; only one of them can stop applications.
            if config != _MIN_INSYNC:
                continue
            yield _finding(
                kind, Severity.NOTE, source, copy, config, "writes need more replicas", "it is set higher here"
            )
            continue
        severity = floor.severity if floor and here is not None else Severity.NOTE
        why = floor.why if floor else "the topic behaves differently"
        if config == _CLEANUP:
            severity, why = Severity.PROBLEM, "other records are removed"
        person = _person(source, copy, config)
        yield _finding(kind, severity, source, copy, config, why, person)


def _finding(
    kind: Kind, severity: Severity, source: TopicDescription, copy: TopicDescription, config: str, why: str, person: str
) -> Finding:
    here, there = source.configs.get(config), copy.configs.get(config)
    return Finding(
        kind=kind,
        severity=severity,
        resource=printable(f"{config} of {copy.name}"),
        source=printable(here or _DEFAULT),
        target=printable(there or _DEFAULT),
        why=why,
        change=None if person or here is None else SetConfig(copy.name, config, there, here),
        person=person,
    )


def _person(source: TopicDescription, copy: TopicDescription, config: str) -> str:
    """Why a person has to decide about a config; empty where the source's value may be set on the copy."""
    here = source.configs.get(config)
    if here is None:
        return "the source has its broker's default, which drkit does not know: set it on both sides"
    if config in _FLOORS:
        return _why_not_raised(source, copy, config, here)
    if config == _UNCLEAN:
        return "" if here == "false" else "it trades acknowledged records for availability"
    # The mirror would have overwritten a value of the target's own: somebody has seen to it that it does not.
    own = "the target has a value of its own" if config in copy.configs else ""
    return _FOR_A_PERSON.get(config, own)


def _why_not_raised(source: TopicDescription, copy: TopicDescription, config: str, wanted: str) -> str:
    if math.isnan(_number(config, wanted)):
        return "it is no number"
    return _why_not_in_sync(source, copy, wanted) if config == _MIN_INSYNC else ""


def _why_not_in_sync(source: TopicDescription, copy: TopicDescription, wanted: str) -> str:
    """Kafka refuses writes with acks=all (``NotEnoughReplicasException``) while fewer replicas are in sync."""
    replicas, in_sync = replication_factor(copy), min((len(p.in_sync) for p in copy.partitions), default=0)
    spare = replication_factor(source) - int(wanted)
    if replicas < int(wanted) or (replicas == int(wanted) and spare > 0):
        return f"with {replicas} replicas, the loss of one broker would stop writes"
    if in_sync < int(wanted):
        return f"only {in_sync} replicas are in sync now: writes would stop at once"
    return ""


def _is_at_least(config: str, there: str, here: str) -> bool:
    return _number(config, there) >= _number(config, here)


def _number(config: str, value: str) -> float:
    """The value; NaN, which is at least nothing, for what is none."""
    if value == _UNLIMITED and config in _MAY_BE_UNLIMITED:
        return math.inf
    return int(value) if value.isdecimal() else math.nan
