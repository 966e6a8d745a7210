"""Brokers of a cluster are restarted one after the other while drkit asks it: every question is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, ElectionType, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.reader import ConfluentReader
from drkit.adapters.kafka.writer import ConfluentWriter
from drkit.domain.kafka import TopicPartition as Position
from tests.integration.three_brokers import NODES, three_brokers
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.long, pytest.mark.timeout(300)]


GROUPS = 40
MOVED = [f"moved-{number}" for number in range(20)]


def test_every_question_is_answered_while_brokers_are_restarted(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with three_brokers(tmp_path) as cluster:
        names = [f"shop-{number}" for number in range(GROUPS)]
        fill(cluster.bootstrap, "orders", names)
        command = [sys.executable, "-m", "tests.integration.asking", cluster.bootstrap, "orders", *names]
        asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            for offset, node in enumerate(NODES, start=1):
                cluster.restart(node)
                assert positions_behind_a_move(cluster.bootstrap, offset) == dict.fromkeys(MOVED, offset)
            told, _ = asking.communicate(timeout=120)
        finally:
            asking.kill()
        assert asking.returncode == 0, "the client library has ended the process"
        found = json.loads(told)
        record_property("slowest_seconds", found["slowest_seconds"])
        assert not found["others"], "\n".join(found["others"])
        assert min(found["answered"].values()) > 10


def positions_behind_a_move(bootstrap: str, offset: int) -> dict[str, int]:
    """What groups have committed, as drkit reads it right after their coordinators have moved.

    A coordinator that takes over does not know for up to half a second that the last commits are replicated.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap})
    connection = Connection(
        "here", {"bootstrap.servers": bootstrap, "security.protocol": "PLAINTEXT"}, PATIENCE_SECONDS
    )
    reader, writer, at = ConfluentReader(connection), ConfluentWriter(connection), Position("orders", 0)
    reader.committed_offsets(MOVED)
    with ThreadPoolExecutor(len(MOVED)) as pool:
        failed = [*pool.map(lambda group: list(writer.alter_group_offsets(group, {at: offset})), MOVED)]
    assert failed == [[]] * len(MOVED)
    # Those that the restart has moved go back. An election that is not needed is no failure.
    admin.elect_leaders(ElectionType.PREFERRED).result(30)
    return {group: found[at] for group, found in reader.committed_offsets(MOVED, stable=True).items()}


def fill(bootstrap: str, topic: str, groups: list[str]) -> None:
    """A topic on all brokers with records in each partition, and groups with positions."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 6, 3)])[topic].result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for number in range(30):
        producer.produce(topic, b"%d" % number, partition=number % 6)
    assert producer.flush(30) == 0
    for group in groups:
        committed = partial(commit, admin, group, TopicPartition(topic, 0, 1))
        eventually(committed, timeout_seconds=PATIENCE_SECONDS, because=f"{group} commits")


def commit(admin: AdminClient, group: str, position: TopicPartition) -> bool:
    """Commit for a group; its coordinator may be one that has just been made."""
    asked = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [position])])
    return all(made.error is None for made in asked[group].result(30).topic_partitions)
