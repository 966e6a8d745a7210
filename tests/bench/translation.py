"""Translation of 500 groups on 12 partitions each, on two real regions, beside what any tool needs and the usual tool.

``bare admin calls``: list the offsets of all groups on one side and commit them on the other, all in flight at once:
no tool can do with less. ``kafka-consumer-groups``: one JVM process per group, as runbooks do it.

A *first* translation has read nothing before (``drkit offsets translate``). A *prepared* one is what a failover does
after the cut: the evidence and the records between syncs were read ahead, and only what is new is read (here: nothing).
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from operator import add
from pathlib import Path
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from drkit import bootstrap
from drkit.domain.lag import Exactly
from drkit.domain.mode import FailoverMode
from drkit.domain.positions import GroupPosition, by_group, totals
from drkit.procedures.readings import Readings
from drkit.sandbox import Sandbox
from drkit.steps.group_offsets import commit_groups
from drkit.steps.world import World
from tests.bench.jvm import logged_in, tool
from tests.conftest import protected_sandbox

SOURCE, TARGET = "ap-east-2", "ap-northeast-1"
TOPIC: Final = "genai-demo.staging.bench"
PARTITIONS: Final = 12
GROUPS: Final = 500
SIZES: Final = (GROUPS // 4, GROUPS // 2, GROUPS)
STAGES: Final = (500_000, 1_000_000, 2_000_000)
ROUNDS: Final = 5
JVM_GROUPS: Final = 20
VALUE_BYTES: Final = 100
BLOCK: Final = random.Random(1).randbytes(1 << 20)
"""Values are cut from here: what compresses to nothing would be read in no time, and fill memory when unpacked."""

Say = Callable[[str], None]


def report(say: Say) -> None:
    """Measure, and say the figures."""
    with tempfile.TemporaryDirectory() as directory, protected_sandbox(Path(directory) / "sandbox") as box:
        admins = {name: AdminClient(dict(region.clients["admin"])) for name, region in box.status().regions.items()}
        admins[SOURCE].create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(10)
        found: dict[tuple[int, int], Figures] = {}
        for records, more in zip(STAGES, (STAGES[0], *(two - one for one, two in pairwise(STAGES))), strict=True):
            _write(box, more)
            _commit_anywhere(admins[SOURCE], records // PARTITIONS)
            with bootstrap.open_service(str(box.config)) as service:
                syncs = _mirrored(service._world)
                say(f"\n{records:,} records in {PARTITIONS} partitions, {syncs:,} offset syncs")
                for groups in SIZES:
                    found[syncs, groups] = _measure(service._world, admins, [_group(one) for one in range(groups)], say)
        largest = max(syncs for syncs, _ in found)
        _say_growth(say, "offset syncs", {syncs: one for (syncs, groups), one in found.items() if groups == GROUPS})
        _say_growth(say, "positions", {one.positions: one for (syncs, _), one in found.items() if syncs == largest})
        say(f"\npeak memory of `drkit offsets translate` for {GROUPS} groups: {_peak_megabytes(box)} MB")
        usual, own = _jvm_seconds_per_group(box), found[largest, GROUPS]
        say(f"kafka-consumer-groups: {usual:.2f} s per group ({JVM_GROUPS} groups measured); per group that is")
        for what, seconds in (("a first", own.first), ("a prepared", own.prepared)):
            say(f"  {usual * GROUPS / (seconds + own.apply):.0f} times as long as {what} translation and its apply")


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians in seconds. ``first``: nothing was read before; ``prepared``: as a failover does it after the cut."""

    positions: int
    bare: float
    first: float
    prepared: float
    apply: float


def _measure(world: World, admins: Mapping[str, AdminClient], groups: list[str], say: Say) -> Figures:
    rows: list[GroupPosition] = []
    seconds: dict[str, list[float]] = {"bare": [], "first": [], "prepared": [], "apply": []}
    for _ in range(ROUNDS):
        readings = Readings(world)

        def translate(by: Readings = readings) -> None:
            rows[:] = by.translate(SOURCE, TARGET, FailoverMode.PLANNED, groups, as_if_drained=True)

        seconds["bare"].append(_timed(lambda: _bare(admins, groups)))
        seconds["first"].append(_timed(translate))
        seconds["prepared"].append(_timed(translate))
        seconds["apply"].append(_timed(lambda: commit_groups(world.regions[TARGET].writer, by_group(rows))))
        readings.close()
    found = totals(rows)
    medians = {what: statistics.median(taken) for what, taken in seconds.items()}
    say(
        f"  {found['groups']:4} groups, {found['partitions']:5} positions ({found['exact']} exact): bare admin calls "
        f"{medians['bare']:.2f} s, first translation {medians['first']:.2f} s, prepared {medians['prepared']:.2f} s, "
        f"apply {medians['apply']:.2f} s"
    )
    for what in ("first", "prepared"):
        both = map(add, seconds[what], seconds["apply"])
        ratios = sorted(one / bare for one, bare in zip(both, seconds["bare"], strict=True))
        say(
            f"       {what} and apply: {statistics.median(ratios):.1f} times the bare calls "
            f"({ratios[0]:.1f} to {ratios[-1]:.1f}, {ROUNDS} rounds in turns)"
        )
    return Figures(found["partitions"], **medians)


def _say_growth(say: Say, of: str, figures: Mapping[int, Figures]) -> None:
    say(f"\ngrowth with {of}")
    smallest = min(figures)
    for size, one in sorted(figures.items()):
        base = figures[smallest]
        say(
            f"  {size:6,} ({size / smallest:3.1f} times): "
            f"first {one.first:.2f} s ({one.first / base.first:.1f} times), "
            f"prepared {one.prepared:.2f} s ({one.prepared / base.prepared:.1f} times), "
            f"apply {one.apply:.2f} s ({one.apply / base.apply:.1f} times)"
        )


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _write(box: Sandbox, records: int) -> None:
    settings = {**box.status().regions[SOURCE].clients["app"], "linger.ms": 20, "compression.type": "lz4"}
    producer = Producer(settings)
    for number in range(records):
        start = number * 7919 % (len(BLOCK) - VALUE_BYTES)
        while True:
            try:
                producer.produce(TOPIC, BLOCK[start : start + VALUE_BYTES], partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("not everything was written")


def _group(number: int) -> str:
    return f"genai-demo.staging.bench-{number:03}"


def _commit_anywhere(admin: AdminClient, end: int) -> None:
    chance = random.Random(end)
    asked = []
    for number in range(GROUPS):
        positions = [TopicPartition(TOPIC, p, chance.randrange(end)) for p in range(PARTITIONS)]
        asked += admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(_group(number), positions)]).values()
    for future in asked:
        future.result(30)


def _mirrored(world: World) -> int:
    """Wait until everything is; the number of offset syncs."""
    readings = Readings(world)
    deadline = time.monotonic() + 300
    try:
        while (left := readings.mirror_lag(SOURCE, TARGET, FailoverMode.PLANNED).records) != Exactly(0):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the mirror does not catch up: {left}")
            time.sleep(1)
        pairs = readings.translator(SOURCE, TARGET, FailoverMode.PLANNED).history.read()
        return sum(len(anchors) for partition, anchors in pairs.items() if partition.topic == TOPIC)
    finally:
        readings.close()


def _bare(admins: Mapping[str, AdminClient], groups: list[str]) -> None:
    listed = [
        admins[SOURCE].list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group] for group in groups
    ]
    altered = []
    for group, future in zip(groups, listed, strict=True):
        found: Any = future.result(30)
        positions = [TopicPartition(p.topic, p.partition, p.offset) for p in found.topic_partitions]
        altered.append(
            admins[TARGET].alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, positions)])[group]
        )
    for future in altered:
        future.result(30)


def _peak_megabytes(box: Sandbox) -> int:
    command = [sys.executable, "-m", "drkit", "--config", str(box.config), "offsets", "translate"]
    measure = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    arguments = [*command, "--from", SOURCE, "--to", TARGET, "--output", "json"]
    answer = subprocess.run([sys.executable, "-c", measure, *arguments], check=True, capture_output=True, text=True)
    # In KiB on Linux, in bytes on macOS.
    return int(answer.stdout) // (1 << (20 if sys.platform == "darwin" else 10))


def _jvm_seconds_per_group(box: Sandbox) -> float:
    java, class_path = tool()
    client = box.status().regions[TARGET].clients["admin"]
    with logged_in(client) as properties:
        started = time.perf_counter()
        for number in range(JVM_GROUPS):
            subprocess.run(
                [
                    *(java, "-XX:TieredStopAtLevel=1", "-cp", class_path),
                    "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
                    *("--bootstrap-server", str(client["bootstrap.servers"]), "--command-config", properties),
                    *("--group", _group(number), "--topic", TOPIC),
                    *("--reset-offsets", "--to-offset", "1000", "--execute"),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return (time.perf_counter() - started) / JVM_GROUPS
