"""A region that is backed up, and a restore of it, as drkit's service does it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import replace
from typing import Any

from drkit.backup.manifest import Manifest
from drkit.backup.storing import Storing
from drkit.backup.survey import survey
from drkit.domain.inventory import CommittedPosition, Part, RegistryInventory, SubjectVersion
from drkit.domain.kafka import Acl, TopicDescription, TopicPartition
from drkit.domain.restoration import Choice
from drkit.domain.restore_request import RestoreRequest
from drkit.domain.runs import RunState
from drkit.engine import journal as journals
from drkit.procedures.answers import RunReport
from drkit.procedures.restore_plan import RestorePlan
from drkit.procedures.service import Service
from tests.fakes.kafka import DRKIT
from tests.fakes.move import GROUP, mirrored_service, operator
from tests.fakes.procedure import Watcher
from tests.fakes.registry import FakeRegistry
from tests.fakes.service import APPLICATION, ORDERS, SOURCE, FakeService

PAYMENTS = "shop.staging.payments"
IDLE = "shop.staging.reports"
FIRST, SECOND = TopicPartition(ORDERS, 0), TopicPartition(PAYMENTS, 1)
ALLOWED = frozenset(
    Acl(kind, "shop.staging.", "prefixed", who, "*", "all", "allow")
    for kind in ("topic", "group")
    for who in (APPLICATION, DRKIT)
)
DENIED = Acl("topic", PAYMENTS, "literal", "User:guest", "*", "read", "deny")
SCHEMA = SubjectVersion(f"{ORDERS}-value", 1, 7, "AVRO", '"string"')


class Shop:
    """The primary of a service, with two topics, two groups, ACLs and schemas."""

    def __init__(self) -> None:
        self.service: FakeService = mirrored_service()
        cluster = self.cluster
        cluster.create(PAYMENTS, 2, {"retention.ms": "1000", "cleanup.policy": "delete"})
        cluster.write(SECOND, *(b"%d" % number for number in range(8)))
        cluster.commit_positions(GROUP, {SECOND: CommittedPosition(5, 3, "note")})
        cluster.commit(IDLE, {FIRST: 4})
        cluster.acls |= ALLOWED | {DENIED}
        self.registry = FakeRegistry(RegistryInventory((SCHEMA,), "FULL", {SCHEMA.subject: "NONE"}))
        self._attach()

    @property
    def cluster(self) -> Any:
        """The cluster of the region."""
        return self.service.source.cluster

    def back_up(self, parts: Collection[Part] = tuple(Part)) -> Manifest:
        """A backup of the region as it is."""
        ports = self.service.world.regions[SOURCE]
        storing = Storing(self.service.world.vault, self.service.clock)
        self.service.clock.sleep(60)
        begun = storing.begin(SOURCE, self.cluster.cluster_id, parts)
        found = survey(ports, [part for part in parts if part is not Part.CONNECTORS], cluster_id=begun.cluster_id)
        return storing.commit(begun, found).manifest

    def back_up_with(self, which: Callable[[TopicDescription], bool], *, replicas: int) -> Manifest:
        """A backup in which some topics have more replicas than the cluster has brokers."""
        self.service.clock.sleep(60)
        storing = Storing(self.service.world.vault, self.service.clock)
        begun = storing.begin(SOURCE, self.cluster.cluster_id, tuple(Part))
        found = survey(self.service.world.regions[SOURCE], [*Part], cluster_id=begun.cluster_id)
        described = {
            name: replace(
                topic, partitions=tuple(replace(p, replicas=tuple(range(replicas))) for p in topic.partitions)
            )
            if which(topic)
            else topic
            for name, topic in (found.inventory.topics or {}).items()
        }
        inventory = replace(found.inventory, topics=described)
        return storing.commit(begun, replace(found, inventory=inventory)).manifest

    def configure_cluster(self, cluster_id: str) -> None:
        """The operator puts a new cluster's id into drkit.yaml."""
        world = self.service.world
        region = world.settings.regions[SOURCE]
        region = region.model_copy(update={"cluster": region.cluster.model_copy(update={"cluster_id": cluster_id})})
        settings = world.settings.model_copy(update={"regions": {**world.settings.regions, SOURCE: region}})
        self.service.world = replace(world, settings=settings)

    @property
    def watcher(self) -> Watcher:
        """Somebody who watches."""
        return Watcher()

    def lose_everything(self) -> None:
        """The cluster is there, and empty."""
        cluster = self.cluster
        for topic in list(cluster.configs):
            cluster.drop(topic)
        cluster.committed.clear()
        cluster.beside.clear()
        cluster.acls.clear()
        self.registry.content = RegistryInventory((), "BACKWARD")

    @property
    def state(self) -> dict[str, Any]:
        """What a restore changes."""
        cluster = self.cluster
        return {
            "topics": {name: dict(configs) for name, configs in cluster.configs.items()},
            "partitions": sorted(cluster.logs),
            "acls": set(cluster.acls),
            "groups": {
                group: {p: cluster.position(group, p) for p in sorted(positions)}
                for group, positions in deepcopy(cluster.committed).items()
            },
            "schemas": self.registry.content,
        }

    def request(self, manifest: Manifest, **choice: Any) -> RestoreRequest:
        """What an operator asks for."""
        beside = {key: choice.pop(key) for key in ("target", "accept_replay", "accept_other_cluster") if key in choice}
        return RestoreRequest(manifest.backup_id, choice=Choice(**choice), **beside)

    def plan(self, manifest: Manifest, **choice: Any) -> RestorePlan:
        """A plan, by a process of its own."""
        return self.operator().restoring.plan(self.request(manifest, **choice))

    def restore(self, manifest: Manifest, **choice: Any) -> RunReport:
        """Planned and run."""
        service = self.operator()
        plan = service.restoring.plan(self.request(manifest, **choice))
        plan.require_allowed()
        return service.restoring.run(plan, Watcher())

    def resume(self) -> RunReport:
        """Another process goes on with the newest run."""
        service = self.operator("bob")
        return service.resume(service.unfinished_run(None), Watcher())

    def abort(self) -> RunReport:
        """Another process undoes the newest run."""
        service = self.operator("bob")
        return service.abort(service.unfinished_run(None), Watcher())

    def operator(self, name: str = "carol") -> Service:
        """Somebody at a command line."""
        return operator(self.service, name)

    @property
    def run(self) -> RunState:
        """The newest run as its journal has it."""
        store = self.service.store
        return journals.load(store, journals.run_ids(store)[0])

    def _attach(self) -> None:
        world = self.service.world
        ports = replace(world.regions[SOURCE], registry=self.registry, registry_writer=self.registry)
        self.service.world = replace(world, regions={**world.regions, SOURCE: ports})
