"""How brokers and Connect workers are configured and started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from drkit.config.mirror_templates import render_worker
from drkit.config.models import ScramAuth
from drkit.errors import StoppedError
from drkit.sandbox.class_archive import archive_path, prune, write_class_list
from drkit.sandbox.directory import USERS, Directory, Identity, write_atomically
from drkit.sandbox.jars import JavaRuntime
from drkit.sandbox.layout import RegionLayout
from drkit.sandbox.processes import Processes, ProcessSpec

_JVM: Final = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xmx400m",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)
_ARCHIVE_SECONDS: Final = 120.0
_LOGGING: Final = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    # One line per REST request otherwise.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.connect.runtime.rest.RestServer=warn",
)
_SCRAM_LOGIN: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"


ARCHIVER: Final = "class-archive"
"""The one-shot process that makes the class archive."""


def formatter_of(region: str) -> str:
    """The name of the one-shot process that formats a region's storage."""
    return f"{region}/format"


class KafkaProcesses:
    """Commands and properties files of the Java processes of one sandbox."""

    def __init__(self, directory: Directory, identity: Identity, runtime: JavaRuntime, processes: Processes) -> None:
        self._directory = directory
        self._identity = identity
        self._runtime = runtime
        self._processes = processes
        self._archive = archive_path(runtime)

    def prepare(self, progress: Callable[[str], None]) -> None:
        """Make the class archive of this Kafka version if there is none yet; without one, starts are only slower."""
        if self._archive.exists():
            self._archive.touch()
            return
        progress("preparing faster starts (once, about 15 s)")
        class_list, partial = self._directory.root / "classes.txt", self._archive.with_suffix(f".{os.getpid()}.partial")
        try:
            self._archive.parent.mkdir(parents=True, exist_ok=True)
            prune(self._archive.parent)
            write_class_list(class_list)
            command = (
                str(self._runtime.java),
                *_JVM,
                *self._processes.java_marks(ARCHIVER),
                "-Xshare:dump",
                f"-XX:SharedClassListFile={class_list}",
                f"-XX:SharedArchiveFile={partial}",
            )
            self._processes.run([self._spec(ARCHIVER, command)], deadline_seconds=_ARCHIVE_SECONDS)
            partial.replace(self._archive)
        except (OSError, StoppedError) as error:
            progress(f"going on without: {str(error).splitlines()[0]}")
        finally:
            partial.unlink(missing_ok=True)

    def format(self, regions: Iterable[RegionLayout]) -> None:
        """Make the storage of those brokers that have none. Raises ``StoppedError``."""
        missing = [region for region in regions if not self._formatted(region).exists()]
        for region in missing:
            shutil.rmtree(self._storage(region), ignore_errors=True)
        self._processes.run([self._formatter(region) for region in missing])
        for region in missing:
            self._format_arguments(region).unlink()
            self._formatted(region).touch()

    def _formatter(self, region: RegionLayout) -> ProcessSpec:
        """The one-shot process that makes a broker's storage, with the cluster's id and its users in it."""
        scram = (
            text
            for user in USERS
            for text in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={self._directory.password(user)}]")
        )
        cluster_id = self._identity.cluster_ids[region.name]
        lines = ["--cluster-id", cluster_id, "--config", str(self._write_broker_properties(region)), *scram]
        arguments = self._format_arguments(region)
        # StorageTool reads arguments from a file, one a line: passwords never show in the process table.
        write_atomically(arguments, "\n".join(lines) + "\n")
        return self._java(formatter_of(region.name), "kafka.tools.StorageTool", "format", f"@{arguments}")

    def broker(self, region: RegionLayout) -> ProcessSpec:
        """A broker and controller in one."""
        properties = self._write_broker_properties(region)
        return self._java(f"{region.name}/broker", "kafka.Kafka", str(properties))

    def worker(self, region: RegionLayout) -> ProcessSpec:
        """The Connect worker that mirrors into the region."""
        text = render_worker(
            bootstrap=str(region.broker),
            group_id=f"drkit-connect-{region.name}",
            listener=region.connect_url,
            auth=ScramAuth(
                mechanism="scram-sha-512",
                username="mirror",
                password=self._directory.mirror_password,
            ),
            exactly_once=self._identity.exactly_once,
            replication_factor=1,
            secrets_directory=str(self._directory.secrets),
        )
        properties = self._directory.region(region.name) / "worker.properties"
        write_atomically(properties, text)
        return self._java(f"{region.name}/mirror", "org.apache.kafka.connect.cli.ConnectDistributed", str(properties))

    def _storage(self, region: RegionLayout) -> Path:
        return self._directory.region(region.name) / "data"

    def _formatted(self, region: RegionLayout) -> Path:
        return self._directory.region(region.name) / "formatted"

    def _format_arguments(self, region: RegionLayout) -> Path:
        return self._directory.region(region.name) / "format.arguments"

    def _write_broker_properties(self, region: RegionLayout) -> Path:
        home = self._directory.region(region.name)
        home.mkdir(parents=True, exist_ok=True)
        text = broker_properties(region, self._storage(region), admin_password=self._directory.password("admin"))
        path = home / "broker.properties"
        write_atomically(path, text)
        return path

    def _java(self, name: str, main_class: str, *arguments: str) -> ProcessSpec:
        archive = (f"-XX:SharedArchiveFile={self._archive}",) if self._archive.exists() else ()
        marks = self._processes.java_marks(name)
        # Compression codecs unpack their libraries there, and a process that is killed leaves them behind.
        temporary = f"-Djava.io.tmpdir={self._directory.temporary}"
        self._directory.temporary.mkdir(exist_ok=True)
        command = (str(self._runtime.java), *_JVM, *archive, *_LOGGING, temporary, *marks, main_class, *arguments)
        return self._spec(name, command)

    def _spec(self, name: str, command: tuple[str, ...]) -> ProcessSpec:
        environment = {"CLASSPATH": self._runtime.class_path, "JAVA_HOME": str(self._runtime.home)}
        return ProcessSpec(name, command, self._directory.log(name), environment)


def broker_properties(region: RegionLayout, storage: Path, *, admin_password: str) -> str:
    """``server.properties`` of a single node.

    The authorizer is real and, as MSK's, lets everybody do what no ACL speaks of. Only ``admin`` is a super user, and
    ANONYMOUS, which is the broker itself on the controller's listener.
    """
    login = f'{_SCRAM_LOGIN} required username="admin" password="{admin_password}";'
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{region.controller}",
        "listeners": f"CLIENT://{region.broker},CONTROLLER://{region.controller}",
        "advertised.listeners": f"CLIENT://{region.broker}",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        # The transaction coordinator reaches its own broker through the clients' listener.
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": login,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "super.users": "User:admin;User:ANONYMOUS",
        "log.dirs": str(storage),
        "auto.create.topics.enable": "false",
        "num.partitions": "6",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "compression.type": "producer",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        # Few, for a quick start: each is a log with an index of its own.
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A third of the heap by default, and twice that while the log cleaner is reconfigured.
        "log.cleaner.dedupe.buffer.size": str(16 << 20),
        # A killed broker may register again only when its session is over: not after the default 9 s.
        "broker.heartbeat.interval.ms": "1000",
        "broker.session.timeout.ms": "4000",
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())
