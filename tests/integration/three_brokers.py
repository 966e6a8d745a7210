"""A cluster of three brokers with replicas on all of them, as a managed one is: leaders and coordinators move in it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from drkit.sandbox.directory import DEFAULT_KAFKA, Request, new_identity
from drkit.sandbox.jars import JavaRuntime, resolve
from drkit.sandbox.layout import STANDBY, Endpoint
from drkit.sandbox.processes import Processes, ProcessSpec
from drkit.sandbox.readiness import accepts_connections, broker_answers
from tests.conftest import free_subnet
from tests.waiting import eventually

NODES: Final = (1, 2, 3)
_JVM: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx300m", "-XX:-UsePerfData")


class ThreeBrokers:
    """Three nodes, each broker and controller; no authentication."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._subnet = free_subnet()
        self._runtime: JavaRuntime = resolve(DEFAULT_KAFKA, lambda _: None)
        self._processes = Processes(root)
        self._cluster_id = new_identity(Request()).cluster_ids[STANDBY]

    @property
    def bootstrap(self) -> str:
        """Every broker."""
        return ",".join(str(self._broker(node)) for node in NODES)

    def up(self) -> None:
        """Format and start all."""
        self._processes.run(
            [self._java(f"format-{node}", "kafka.tools.StorageTool", *self._format(node)) for node in NODES]
        )
        for node in NODES:
            self._start(node)
        for node in NODES:
            self._await(node)

    def down(self) -> None:
        """Kill all."""
        self._processes.kill()

    def restart(self, node: int) -> None:
        """As a managed cluster is patched: the broker hands its partitions over, ends, and comes back."""
        (process,) = self._processes.find()[self._name(node)]
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        self._start(node)
        self._await(node)

    def _broker(self, node: int) -> Endpoint:
        return Endpoint(f"{self._subnet}.9.{node}", 9092)

    def _controller(self, node: int) -> Endpoint:
        return Endpoint(f"{self._subnet}.9.{node}", 9093)

    def _name(self, node: int) -> str:
        return f"broker-{node}"

    def _await(self, node: int) -> None:
        settings = {"bootstrap.servers": str(self._broker(node)), "security.protocol": "PLAINTEXT"}
        eventually(
            lambda: accepts_connections(self._broker(node)) and broker_answers(settings),
            timeout_seconds=60,
            because=f"broker {node} answers",
        )

    def _start(self, node: int) -> None:
        self._processes.start(self._java(self._name(node), "kafka.Kafka", str(self._properties(node))))

    def _format(self, node: int) -> tuple[str, ...]:
        return ("format", "--cluster-id", self._cluster_id, "--config", str(self._properties(node)))

    def _properties(self, node: int) -> Path:
        voters = ",".join(f"{one}@{self._controller(one)}" for one in NODES)
        settings = {
            "process.roles": "broker,controller",
            "node.id": str(node),
            "controller.quorum.voters": voters,
            "listeners": f"CLIENT://{self._broker(node)},CONTROLLER://{self._controller(node)}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "CLIENT",
            "log.dirs": str(self._root / f"data-{node}"),
            "auto.create.topics.enable": "false",
            "default.replication.factor": "3",
            "min.insync.replicas": "2",
            "offsets.topic.replication.factor": "3",
            "offsets.topic.num.partitions": "9",
            "transaction.state.log.replication.factor": "3",
            "transaction.state.log.num.partitions": "3",
            "group.initial.rebalance.delay.ms": "0",
            "log.cleaner.dedupe.buffer.size": str(16 << 20),
            # Leaders go back to where they were when a test says so.
            "auto.leader.rebalance.enable": "false",
        }
        path = self._root / f"broker-{node}.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return path

    def _java(self, name: str, main_class: str, *arguments: str) -> ProcessSpec:
        temporary = self._root / "tmp"
        temporary.mkdir(exist_ok=True)
        command = (
            str(self._runtime.java),
            *_JVM,
            f"-Djava.io.tmpdir={temporary}",
            *self._processes.java_marks(name),
            main_class,
            *arguments,
        )
        environment = {"CLASSPATH": self._runtime.class_path, "JAVA_HOME": str(self._runtime.home)}
        return ProcessSpec(name, command, self._root / f"{name}.log", environment)


@contextmanager
def three_brokers(root: Path) -> Iterator[ThreeBrokers]:
    """A running cluster."""
    cluster = ThreeBrokers(root)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
