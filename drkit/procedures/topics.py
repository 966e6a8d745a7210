"""``topics``: the topics of the environment held against the catalogue, and those that are missing made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from drkit.domain.change_state import replication_factor
from drkit.domain.kafka import TopicDescription
from drkit.domain.naming import printable
from drkit.domain.topic_catalogue import TopicFinding, TopicState, WantedTopic, collisions, hold_against
from drkit.errors import RefusedError
from drkit.ports import Progress
from drkit.procedures.parity import Alone
from drkit.steps.provision import Provisioner
from drkit.steps.world import RegionPorts, World


@dataclass(frozen=True, slots=True)
class HeldTopics:
    """The topics of one region held against the catalogue. ``made``: those that were just made; None: not tried."""

    region: str
    environment: str
    findings: tuple[TopicFinding, ...]
    notes: tuple[str, ...] = ()
    made: tuple[str, ...] | None = None

    @property
    def missing(self) -> tuple[WantedTopic, ...]:
        """What is to be made."""
        return tuple(one.wanted for one in self.findings if one.state is TopicState.MISSING and one.wanted)

    @property
    def is_as_wanted(self) -> bool:
        """Whether everything in the catalogue is there, and like that."""
        return all(one.state in (TopicState.AS_WANTED, TopicState.UNLISTED) for one in self.findings)

    @property
    def document(self) -> dict[str, Any]:
        """``drkit.topics/1``."""
        return {
            "schema": "drkit.topics/1",
            "region": self.region,
            "environment": self.environment,
            "as_wanted": self.is_as_wanted,
            "topics": [_to_json(one) for one in self.findings],
            "notes": list(self.notes),
            "made": None if self.made is None else list(self.made),
        }


@dataclass(frozen=True, slots=True)
class TopicCatalogue:
    """Holds one region against a catalogue, and makes what is missing there. Nothing that is there is changed."""

    world: World
    primary: Callable[[], str]
    alone: Alone

    def hold(self, wanted: Sequence[WantedTopic], region: str | None) -> HeldTopics:
        """Look at a region (None: the primary). Writes nothing.

        Raises ``UsageError`` for an unknown region, ``RefusedError`` for another cluster than the configured one, and,
        all at once, for names that the cluster would not tell from those of its topics.
        """
        primary = self.primary()
        region = region or primary
        ports = self._ports(region)
        settings = self.world.settings
        topics = ports.reader.topics()
        alike = [f"{name} and {printable(other)}" for name, other in collisions((t.name for t in wanted), topics)]
        if alike:
            raise RefusedError(
                f"{region} has topics that Kafka would not tell from those of the catalogue, as it makes no difference "
                f"of . and _: {'; '.join(alike)}",
                hint="rename the topic in the catalogue",
            )
        findings = hold_against(wanted, topics, settings.topic_prefix, [settings.canary_topic])
        notes: tuple[str, ...] = ()
        if region != primary and self.world.regions[region].mirror is not None:
            notes = (f"{region} is the standby: the mirror makes the primary's topics there by itself",)
        return HeldTopics(region, settings.environment, tuple(findings), notes)

    def create(self, held: HeldTopics, progress: Progress) -> HeldTopics:
        """Make what is missing, and look again. Safe to repeat; what is there is left as it is.

        Raises ``StalePlanError`` if somebody has made one of them differently since, ``RefusedError`` where there are
        too few brokers, or beside an unfinished run.
        """
        ports = self._ports(held.region)
        self._require_brokers(held.region, ports, held.missing)
        timeout = self.world.settings.timeouts.request_seconds
        provisioner = Provisioner(ports.reader, ports.writer, ports.inventory_writer, self.world.clock, timeout)
        with self.alone("topics", progress):
            self._ports(held.region)
            made = provisioner.apply([topic.change for topic in held.missing], progress)
        made.require_complete(held.region)
        wanted = [one.wanted for one in held.findings if one.wanted is not None]
        after = self.hold(wanted, held.region)
        names = tuple(topic.name for topic in held.missing if topic.change in made.made)
        return HeldTopics(after.region, after.environment, after.findings, after.notes, names)

    def _ports(self, region: str) -> RegionPorts:
        self.world.require_region(region)
        self.world.require_known_cluster(region)
        return self.world.regions[region]

    def _require_brokers(self, region: str, ports: RegionPorts, wanted: Sequence[WantedTopic]) -> None:
        brokers = len(ports.reader.describe_cluster().brokers)
        too_many = [f"{one.name} ({one.replication_factor})" for one in wanted if one.replication_factor > brokers]
        if too_many:
            raise RefusedError(
                f"{region} has {brokers} brokers, fewer than replicas are wanted of {', '.join(too_many)}",
                hint="nothing was made; lower replication_factor for this environment in the catalogue",
            )


def _to_json(finding: TopicFinding) -> dict[str, Any]:
    wanted, found = finding.wanted, finding.found
    return {
        "name": finding.name,
        "state": finding.state.value,
        "differences": list(finding.differences),
        "wanted": None
        if wanted is None
        else _shape(wanted.partitions, wanted.replication_factor, dict(wanted.configs)),
        "found": None if found is None else _found(found),
    }


def _found(topic: TopicDescription) -> dict[str, Any]:
    return _shape(len(topic.partitions), replication_factor(topic), dict(topic.configs))


def _shape(partitions: int, replicas: int, configs: dict[str, str]) -> dict[str, Any]:
    return {"partitions": partitions, "replication_factor": replicas, "configs": configs}
