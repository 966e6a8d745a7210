"""Backups of a region with 200 topics of 6 partitions, 300 ACLs and up to 500 groups on 12 partitions each.

A *first* backup finds an empty bucket; a *repeat* finds nothing changed. Both buckets are simulated S3 on this machine.
``JVM tools``: ``kafka-topics --describe`` and ``kafka-consumer-groups --describe --all-groups``, which read the same
topics and groups, and store nothing. Last of all the cluster is destroyed, and the backup restored into an empty one,
planned, proved and on record; ``bare admin calls`` made the same before, unseen and unproved.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from drkit import bootstrap
from drkit.backup.vault import Replica, Vault
from drkit.domain.inventory import Part
from drkit.domain.restoration import Choice
from drkit.domain.restore_request import RestoreRequest
from drkit.ports import ObjectStore, StoredObject
from drkit.procedures.backups import Backups
from drkit.sandbox import Fault, Sandbox
from drkit.steps.world import World
from tests.bench.jvm import logged_in, tool
from tests.conftest import free_subnet
from tests.e2e.world import name_the_new_cluster
from tests.fakes.procedure import Watcher

REGION: Final = "ap-east-2"
TOPICS: Final = 200
PARTITIONS: Final = 6
ACLS: Final = 300
GROUPS: Final = 500
POSITIONS: Final = 12
SIZES: Final = (GROUPS // 4, GROUPS // 2, GROUPS)
ROUNDS: Final = 3
_SECONDS: Final = 60.0

Say = Callable[[str], None]


@dataclass
class CountedStore:
    """An object store below a prefix of its own, and what is asked of it."""

    store: ObjectStore
    prefix: str
    calls: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    read_bytes: int = 0

    def get(self, key: str) -> StoredObject | None:
        self.calls["get"] += 1
        found = self.store.get(self.prefix + key)
        self.read_bytes += 0 if found is None else len(found.body)
        return found

    def create(self, key: str, body: bytes) -> str:
        self.calls["put"] += 1
        self.sent_bytes += len(body)
        return self.store.create(self.prefix + key, body)

    def replace(self, key: str, body: bytes, etag: str) -> str:
        self.calls["put"] += 1
        self.sent_bytes += len(body)
        return self.store.replace(self.prefix + key, body, etag)

    def delete(self, key: str) -> None:
        self.calls["delete"] += 1
        self.store.delete(self.prefix + key)

    def list(self, prefix: str) -> Iterable[str]:
        self.calls["list"] += 1
        return [key.removeprefix(self.prefix) for key in self.store.list(self.prefix + prefix)]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one call: seconds, requests by kind in all buckets, and bytes to and from them."""

    seconds: float
    calls: Mapping[str, int]
    sent_bytes: int
    read_bytes: int

    @property
    def text(self) -> str:
        """As it is said."""
        requests = ", ".join(f"{count} {call}" for call, count in sorted(self.calls.items()))
        return f"{requests}; {self.sent_bytes:,} bytes sent, {self.read_bytes:,} read"


def report(say: Say) -> None:
    """Measure, and say the figures."""
    with tempfile.TemporaryDirectory() as directory, _sandbox(Path(directory)) as box:
        bare_seconds = _say_backups(box, say)
        _say_tools(box, say)
        _say_restore(box, bare_seconds, say)


def _say_backups(box: Sandbox, say: Say) -> float:
    """Seconds that bare admin calls took to make all of it, until each partition answered for its log."""
    admin = AdminClient(dict(box.status().regions[REGION].clients["admin"]))
    there = 0
    seconds: dict[int, float] = {}
    with bootstrap.open_service(str(box.config)) as service:
        reader = service._world.regions[REGION].reader
        started = time.perf_counter()
        _fill(admin)
        reader.log_ranges([p for topic in reader.topics().values() for p in topic.topic_partitions])
        bare_seconds = time.perf_counter() - started
        for groups in SIZES:
            started = time.perf_counter()
            _commit(admin, range(there, groups))
            bare_seconds += time.perf_counter() - started
            there = groups
            seconds[groups] = _measure(service._world, groups, say)
    for groups, taken in seconds.items():
        times = taken / seconds[SIZES[0]]
        say(f"  {groups} groups ({groups / SIZES[0]:.0f} times): a first backup of groups takes {times:.1f} times")
    return bare_seconds


def _measure(world: World, groups: int, say: Say) -> float:
    """Seconds that a first backup of groups alone takes."""
    found: dict[str, list[Figures]] = {}
    rows = 0
    for _ in range(ROUNDS):
        counted, stores = _with_counted_vault(world, f"bench-{uuid.uuid4().hex}/")
        backups = Backups(counted, lambda: REGION, lambda: None)
        for what, run in (
            ("first", lambda backups=backups: backups.run()),
            ("repeat", lambda backups=backups: backups.run()),
            ("verify --read-all", lambda backups=backups: backups.verify(share=1.0)),
        ):
            found.setdefault(what, []).append(_counted(stores, run))
        manifest = counted.vault.find("latest")
        rows = sum(part.rows for part in manifest.parts.values())
    say(f"\n{groups} groups: {rows:,} rows in {ROUNDS} rounds")
    for what, figures in found.items():
        taken = statistics.median(one.seconds for one in figures)
        slowest = max(one.seconds for one in figures)
        say(f"  {what:18} {taken:5.2f} s (at most {slowest:.2f}), {rows / taken:8,.0f} rows/s; {figures[-1].text}")
    return statistics.median(_groups_alone(world) for _ in range(ROUNDS))


def _with_counted_vault(world: World, prefix: str) -> tuple[World, list[CountedStore]]:
    stores = [CountedStore(one.store, prefix) for one in world.vault.replicas]
    vault = Vault([Replica(one.label, store) for one, store in zip(world.vault.replicas, stores, strict=True)])
    return replace(world, vault=vault), stores


def _groups_alone(world: World) -> float:
    started = time.perf_counter()
    world.regions[REGION].inventory.group_inventory()
    return time.perf_counter() - started


def _counted(stores: list[CountedStore], run: Callable[[], object]) -> Figures:
    before = [(Counter(one.calls), one.sent_bytes, one.read_bytes) for one in stores]
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    calls: Counter[str] = Counter()
    for store, (earlier, _, _) in zip(stores, before, strict=True):
        calls += store.calls - earlier
    sent = sum(one.sent_bytes - earlier for one, (_, earlier, _) in zip(stores, before, strict=True))
    read = sum(one.read_bytes - earlier for one, (_, _, earlier) in zip(stores, before, strict=True))
    return Figures(seconds, calls, sent, read)


def _fill(admin: AdminClient) -> None:
    topics = [
        NewTopic(_topic(number), PARTITIONS, 1, config={"retention.ms": str(3_600_000 + number)})
        for number in range(TOPICS)
    ]
    rules = [
        AclBinding(
            *(ResourceType.TOPIC, name, pattern, f"User:{user}", "*"),
            *(AclOperation.ALL, AclPermissionType.ALLOW),
        )
        for name, pattern, user in [
            # The first ACL on a topic hides it from everybody whom none names.
            (_topic(0).rpartition(".")[0], ResourcePatternType.PREFIXED, "drkit"),
            *((_topic(number % TOPICS), ResourcePatternType.LITERAL, f"bench-{number}") for number in range(ACLS - 1)),
        ]
    ]
    made = [*admin.create_topics(topics, request_timeout=_SECONDS).values(), *admin.create_acls(rules).values()]
    for future in made:
        future.result(_SECONDS)


def _commit(admin: AdminClient, numbers: Iterable[int]) -> None:
    asked = []
    for number in numbers:
        first = number % (TOPICS - 1)
        where = [(first + at // PARTITIONS, at % PARTITIONS) for at in range(POSITIONS)]
        positions = [TopicPartition(_topic(topic), partition, number) for topic, partition in where]
        group = ConsumerGroupTopicPartitions(f"genai-demo.staging.bench-{number:03}", positions)
        asked += admin.alter_consumer_group_offsets([group]).values()
    for future in asked:
        future.result(_SECONDS)


def _topic(number: int) -> str:
    return f"genai-demo.staging.bench.{number:03}"


@contextmanager
def _sandbox(directory: Path) -> Iterator[Sandbox]:
    box = Sandbox(directory / "sandbox", free_subnet())
    try:
        box.up()
        yield box
    finally:
        box.down()


def _say_tools(box: Sandbox, say: Say) -> None:
    java, class_path = tool()
    client = box.status().regions[REGION].clients["admin"]
    with logged_in(client) as properties:
        total = 0.0
        for name, arguments in (
            ("org.apache.kafka.tools.TopicCommand", ("--describe",)),
            ("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", ("--describe", "--all-groups")),
        ):
            started = time.perf_counter()
            subprocess.run(
                [
                    *(java, "-XX:TieredStopAtLevel=1", "-cp", class_path, name),
                    *("--bootstrap-server", str(client["bootstrap.servers"]), "--command-config", properties),
                    *arguments,
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            taken = time.perf_counter() - started
            total += taken
            say(f"  JVM tools: {name.rpartition('.')[2]} {' '.join(arguments)}: {taken:.2f} s")
        say(f"  JVM tools: {total:.2f} s for topics and {GROUPS} groups")


def _say_restore(box: Sandbox, bare_seconds: float, say: Say) -> None:
    with bootstrap.open_service(str(box.config)) as service:
        service.backups.run()
    box.fault(Fault.DESTROY, REGION, "all")
    box.fault(Fault.START, REGION, "all")
    name_the_new_cluster(box, REGION)
    with bootstrap.open_service(str(box.config)) as service:
        world, stores = _with_counted_vault(service._world, "")
        restoring = replace(service.restoring, world=world)
        choice = Choice(frozenset({Part.TOPICS, Part.GROUPS, Part.ACLS}), accept_positions=True)
        request = RestoreRequest("latest", region=REGION, choice=choice, accept_other_cluster=True)
        made: dict[str, int] = {}

        def restore() -> None:
            made.update(restoring.run(restoring.plan(request), Watcher()).document["made"])

        figures = _counted(stores, restore)
    rows = sum(made.values())
    say(f"\nrestore into an empty cluster: {', '.join(f'{count} {what}' for what, count in sorted(made.items()))}")
    say(f"  restore            {figures.seconds:5.2f} s, {rows / figures.seconds:8,.0f} rows/s; {figures.text}")
    times = figures.seconds / bare_seconds
    say(f"  bare admin calls   {bare_seconds:5.2f} s for the same by themselves; the restore takes {times:.1f} times")
