"""Starting the processes of a sandbox and waiting until each of them answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

import psutil

from drkit.errors import RefusedError
from drkit.sandbox import readiness
from drkit.sandbox.directory import Directory, Identity
from drkit.sandbox.jars import resolve
from drkit.sandbox.kafka_processes import ARCHIVER, KafkaProcesses, formatter_of
from drkit.sandbox.layout import Endpoint, Layout
from drkit.sandbox.processes import Processes, ProcessSpec, ProcessState, is_alive, start_failure
from drkit.sandbox.status import ClientSettings

Progress = Callable[[str], None]

AWS: Final = "aws"
DNS: Final = "dns"

_START_SECONDS: Final = 90.0
_RELEASE_SECONDS: Final = 2.0
"""The threads of a killed process may hold its sockets for a moment after the process is gone."""
_POLL_SECONDS: Final = 0.05


def broker_of(region: str) -> str:
    """The name of a region's broker process."""
    return f"{region}/broker"


def mirror_of(region: str) -> str:
    """The name of a region's Connect worker."""
    return f"{region}/mirror"


def process_endpoints(layout: Layout) -> dict[str, tuple[Endpoint, ...]]:
    """Every process of a sandbox, in the order in which they are started, with what it listens on."""
    endpoints: dict[str, tuple[Endpoint, ...]] = {AWS: (layout.aws,), DNS: (layout.dns,)}
    endpoints |= {broker_of(region.name): (region.broker, region.controller) for region in layout.regions}
    return endpoints | {mirror_of(region.name): (region.connect,) for region in layout.regions}


def client_settings(layout: Layout, directory: Directory, region: str, user: str) -> ClientSettings:
    """Librdkafka settings of a user on a region's cluster."""
    return {
        "bootstrap.servers": str(layout.region(region).broker),
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": directory.password(user),
    }


def taken_ports(layout: Layout, names: Collection[str]) -> list[tuple[str, Endpoint]]:
    """Process and endpoint of everything on which one of these processes could not listen now."""
    endpoints = process_endpoints(layout)
    return [(name, endpoint) for name in names for endpoint in endpoints[name] if not _is_free(name, endpoint)]


def _is_free(name: str, endpoint: Endpoint) -> bool:
    return readiness.can_listen(endpoint) and (name != DNS or readiness.can_listen(endpoint, datagrams=True))


def refuse_taken_ports(layout: Layout, names: Collection[str]) -> None:
    """Raise ``RefusedError`` when something else listens where these processes, which do not run, are to listen."""
    deadline = time.monotonic() + _RELEASE_SECONDS
    while taken := taken_ports(layout, names):
        if time.monotonic() > deadline:
            name, endpoint = taken[0]
            raise RefusedError(
                f"port {endpoint.port} on {endpoint.host}, which {name} needs, is taken{readiness.holder_of(endpoint)}",
                hint="end that process, or choose another --subnet (with --single-address also --port-base)",
            )
        time.sleep(_POLL_SECONDS)


class Launcher:
    """Starts processes of one sandbox. Nothing that runs already is started again."""

    def __init__(self, directory: Directory, identity: Identity, processes: Processes, progress: Progress) -> None:
        self._directory = directory
        self._identity = identity
        self._layout = identity.layout
        self._processes = processes
        self._progress = progress
        self._started: dict[str, tuple[ProcessSpec, psutil.Process]] = {}
        self._begun = time.monotonic()

    def ensure(self, names: Collection[str]) -> None:
        """Start what is dead of these processes, and let go on what is frozen; does not wait until they answer.

        Raises ``RefusedError``, before anything is started, when a port is taken by something else.
        """
        # A killed `drkit sandbox up` may have left one of these behind, and nobody waits for it any more.
        self._processes.kill([ARCHIVER, *(formatter_of(region.name) for region in self._layout.regions)])
        states = self._processes.status(names)
        dead = [name for name in names if states[name].state is ProcessState.DEAD]
        refuse_taken_ports(self._layout, dead)
        for name in names:
            if states[name].state is ProcessState.STOPPED:
                self._processes.thaw(name)
        for name in dead:
            if name in (AWS, DNS):
                self._start(self._python_spec(name))
        self._start_java([name for name in dead if name not in (AWS, DNS)])

    def wait(self, names: Collection[str]) -> None:
        """Wait until these processes answer. Raises ``StoppedError`` for one that ends or does not answer in time."""
        pending = {name: self._question(name) for name in names}
        deadline = time.monotonic() + _START_SECONDS
        while pending:
            for name, answers in list(pending.items()):
                if answers():
                    del pending[name]
                    self._progress(f"{name} answers ({time.monotonic() - self._begun:.1f} s)")
                elif name in self._started and not is_alive(self._started[name][1]):
                    raise start_failure(self._started[name][0])
            if pending and time.monotonic() > deadline:
                raise self._silence(next(iter(pending)))
            time.sleep(_POLL_SECONDS if pending else 0)

    def _silence(self, name: str) -> Exception:
        spec = ProcessSpec(name, (), self._directory.log(name), {})
        return start_failure(spec, f"did not answer within {_START_SECONDS:.0f} s")

    def _question(self, name: str) -> Callable[[], bool]:
        if name == AWS:
            return partial(readiness.http_answers, f"{self._layout.aws_url}/moto-api/")
        if name == DNS:
            return partial(readiness.dns_responds, self._layout.dns)
        region, what = name.split("/")
        if what == "broker":
            return partial(readiness.broker_answers, client_settings(self._layout, self._directory, region, "admin"))
        return partial(readiness.worker_is_ready, self._layout.region(region).connect_url)

    def _start(self, spec: ProcessSpec) -> None:
        self._started[spec.name] = (spec, self._processes.start(spec))

    def _python_spec(self, name: str) -> ProcessSpec:
        endpoint = self._layout.aws if name == AWS else self._layout.dns
        module, last = (
            ("aws_server", str(self._directory.aws / "requests.jsonl"))
            if name == AWS
            else ("dns_server", self._layout.aws_url)
        )
        # -P: the sandbox's directory, in which the process runs, is no place to import modules from.
        interpreter = (sys.executable, "-P", *self._processes.python_marks(name))
        program = ("-m", f"drkit.sandbox.{module}", endpoint.host, str(endpoint.port), last)
        return ProcessSpec(name, interpreter + program, self._directory.log(name), {})

    def _start_java(self, names: Collection[str]) -> None:
        if not names:
            return
        runtime = resolve(self._identity.kafka_version, self._progress)
        kafka = KafkaProcesses(self._directory, self._identity, runtime, self._processes)
        brokers = [region for region in self._layout.regions if broker_of(region.name) in names]
        kafka.prepare(self._progress)
        kafka.format(brokers)
        for region in brokers:
            self._start(kafka.broker(region))
        for region in self._layout.regions:
            if mirror_of(region.name) in names:
                self._start(kafka.worker(region))
