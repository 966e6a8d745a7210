"""Two Kafka regions with their mirrors, a simulated AWS and a DNS server on one machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from enum import StrEnum
from pathlib import Path
from typing import Final

from drkit.errors import RefusedError, StoppedError
from drkit.sandbox import readiness
from drkit.sandbox.directory import Directory, Identity, Request, new_identity, write_atomically
from drkit.sandbox.jars import check_version
from drkit.sandbox.launch import (
    AWS,
    DNS,
    Launcher,
    broker_of,
    client_settings,
    mirror_of,
    process_endpoints,
    refuse_taken_ports,
    taken_ports,
)
from drkit.sandbox.layout import PRIMARY, REGIONS, Layout
from drkit.sandbox.processes import Processes, ProcessState
from drkit.sandbox.provisioning import (
    BOOTSTRAP_NAME,
    BUCKETS,
    canary_topic,
    create_buckets,
    create_topics,
    create_zone,
    service_topics,
)
from drkit.sandbox.settings_file import settings_text
from drkit.sandbox.status import RegionStatus, SandboxStatus

Progress = Callable[[str], None]

_EFFECT_SECONDS: Final = 15.0


def silent(line: str) -> None:
    """Progress that nobody watches."""


class Fault(StrEnum):
    """What can be done to a process."""

    KILL = "kill"
    FREEZE = "freeze"
    THAW = "thaw"
    START = "start"
    DESTROY = "destroy"
    """Killed, and all that it stored is gone: of a region as a whole."""


class Sandbox:
    """The sandbox in a directory, whether it exists yet or not.

    Everything but the directory is for a new one; None means the default (127.31, 4.3.1, staging, an address per region
    where this machine has them, a mirror with exactly-once support) or what is there.
    """

    def __init__(
        self,
        directory: Path,
        subnet: str | None = None,
        kafka_version: str | None = None,
        environment: str | None = None,
        *,
        single_address: bool | None = None,
        port_base: int | None = None,
        exactly_once: bool | None = None,
    ) -> None:
        self._directory = Directory(directory)
        self._request = Request(subnet, kafka_version, environment, single_address, port_base, exactly_once)
        self._processes = Processes(self._directory.root)

    @property
    def root(self) -> Path:
        """The sandbox's directory."""
        return self._directory.root

    @property
    def config(self) -> Path:
        """The ``drkit.yaml`` that fits it."""
        return self._directory.config

    @property
    def environment(self) -> str:
        """The environment of the service in it. Raises ``RefusedError`` where there is no sandbox."""
        return self._identity().environment

    @property
    def processes(self) -> Processes:
        """Its processes; whatever is started through it ends with the sandbox."""
        return self._processes

    def up(self, progress: Progress = silent) -> SandboxStatus:
        """Start what does not run, and wait until brokers, Connect, AWS and DNS answer and hold what they should.

        On a running sandbox it changes nothing; what is dead is started again on its data, what is frozen goes on.

        Raises ``UsageError`` for a wrong request, ``RefusedError`` when a port is taken, the directory is somebody
        else's or the sandbox there is another one, ``StoppedError`` when a process does not start: what has started
        stays, for another ``up`` or a ``down``.
        """
        if self._request.kafka_version is not None:
            check_version(self._request.kafka_version)
        new_identity(self._request)
        self._directory.check_path()
        with self._directory.exclusive(progress):
            identity = self._settle_identity()
            launcher = Launcher(self._directory, identity, self._processes, progress)
            launcher.ensure(list(process_endpoints(identity.layout)))
            launcher.wait([AWS])
            zone_id = self._provision_aws(identity)
            launcher.wait([broker_of(region) for region in REGIONS])
            self._provision_topics(identity)
            launcher.wait([DNS, *(mirror_of(region) for region in REGIONS)])
            self._wait_for_record(identity)
            if not self.config.exists():
                write_atomically(self.config, settings_text(identity, self._directory, zone_id))
            return self._status(identity)

    def down(self, *, keep: bool = False, progress: Progress = silent) -> None:
        """End every process; then remove the data, unless it is to be kept for another ``up``. Idempotent."""
        if not self.root.exists() and not self._processes.find():
            return
        self._directory.refuse_foreign()
        with self._directory.exclusive(progress):
            ended = self._processes.find()
            self._processes.kill()
            identity = self._directory.identity()
            if identity:
                self._await_free_ports(ended, identity.layout)
            if not keep:
                self._directory.clear()

    def status(self) -> SandboxStatus:
        """What it is and does now. Raises ``RefusedError`` where there is none."""
        return self._status(self._identity())

    def fault(self, action: Fault, region: str, what: str = "all", progress: Progress = silent) -> None:
        """Do something to a region's ``broker``, ``mirror`` or ``all`` and wait until it has happened. Idempotent.

        ``kill``: SIGKILL, and the port is closed. ``freeze``: SIGSTOP. ``thaw``: SIGCONT. ``start``: started again on
        the same data (or let go on), and it answers. ``destroy``: of a whole region; what starts there next is an empty
        cluster with another id, which drkit.yaml does not have. ``aws`` and ``dns`` stand for regions with one process.
        Raises ``RefusedError`` for what cannot be done, such as freezing a dead process.
        """
        names = _targets(region, what)
        with self._directory.exclusive(progress):
            identity = self._identity()
            match action:
                case Fault.KILL:
                    ended = self._processes.find()
                    self._processes.kill(names)
                    self._await_free_ports(ended.keys() & set(names), identity.layout)
                case Fault.DESTROY:
                    self._destroy(identity, region, names)
                case Fault.START:
                    self._start(identity, names, progress)
                case Fault.FREEZE | Fault.THAW:
                    self._switch(action, names)

    def _settle_identity(self) -> Identity:
        identity = self._directory.identity()
        if identity is None:
            self._directory.refuse_foreign()
            identity = new_identity(self._request)
            # Processes of a sandbox that was here before, if its directory was deleted under them.
            self._processes.kill()
            refuse_taken_ports(identity.layout, process_endpoints(identity.layout))
            self._directory.create(identity)
        for name in ("subnet", "kafka_version", "environment", "single_address", "port_base", "exactly_once"):
            wanted, present = getattr(self._request, name), getattr(identity, name)
            if wanted is not None and wanted != present:
                raise RefusedError(
                    f"the sandbox in {self.root} has {name} {present}, not {wanted}",
                    hint=f"end it first: drkit sandbox down --dir {self.root}",
                )
        return identity

    def _identity(self) -> Identity:
        identity = self._directory.identity()
        if identity is None:
            raise RefusedError(f"there is no sandbox in {self.root}", hint="drkit sandbox up starts one")
        return identity

    def _provision_aws(self, identity: Identity) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            create_buckets(identity.layout.aws_url, BUCKETS)
            return create_zone(identity.layout)
        except (BotoCoreError, ClientError) as error:
            raise StoppedError(
                f"the simulated AWS could not be set up: {error}", hint=f"see {self._directory.log(AWS)}"
            ) from error

    def _provision_topics(self, identity: Identity) -> None:
        for region in REGIONS:
            topics = canary_topic(identity.environment)
            if region == PRIMARY:
                topics |= service_topics(identity.environment)
            create_topics(client_settings(identity.layout, self._directory, region, "admin"), topics)

    def _wait_for_record(self, identity: Identity) -> None:
        layout = identity.layout
        _eventually(
            lambda: readiness.dns_has(layout.dns, BOOTSTRAP_NAME, layout.record_type),
            f"the DNS server at {layout.dns} has no {layout.record_type} record {BOOTSTRAP_NAME}",
        )

    def _status(self, identity: Identity) -> SandboxStatus:
        layout = identity.layout
        processes = self._processes.status(process_endpoints(layout))
        return SandboxStatus(
            config=self.config,
            layout=layout,
            bootstrap_name=BOOTSTRAP_NAME,
            regions={
                region.name: RegionStatus(
                    bootstrap=str(region.broker),
                    connect_url=region.connect_url,
                    clients={
                        user: client_settings(layout, self._directory, region.name, user) for user in ("admin", "app")
                    },
                    processes={
                        "broker": processes[broker_of(region.name)],
                        "mirror": processes[mirror_of(region.name)],
                    },
                )
                for region in layout.regions
            },
            services={name: processes[name] for name in (AWS, DNS)},
        )

    def _await_free_ports(self, names: Collection[str], layout: Layout) -> None:
        listeners = [name for name in names if name in process_endpoints(layout)]
        _eventually(
            lambda: not taken_ports(layout, listeners), f"{' and '.join(listeners)} killed, and a port still in use"
        )

    def _destroy(self, identity: Identity, region: str, names: Collection[str]) -> None:
        if names != [broker_of(region), mirror_of(region)]:
            raise RefusedError("a region is destroyed as a whole", hint=f"drkit sandbox fault destroy {PRIMARY} all")
        ended = self._processes.find()
        self._processes.kill(names)
        self._await_free_ports(ended.keys() & set(names), identity.layout)
        self._directory.lose_cluster(identity, region)

    def _start(self, identity: Identity, names: Collection[str], progress: Progress) -> None:
        for region in REGIONS:
            broker = broker_of(region)
            if mirror_of(region) in names and broker not in names:
                state = self._processes.status([broker])[broker].state
                if state is not ProcessState.RUNNING:
                    raise RefusedError(
                        f"the mirror of {region} cannot start: its broker is {state}",
                        hint=f"drkit sandbox fault start {region} all",
                    )
        launcher = Launcher(self._directory, identity, self._processes, progress)
        launcher.ensure(names)
        launcher.wait(names)

    def _switch(self, action: Fault, names: Collection[str]) -> None:
        dead = [name for name, status in self._processes.status(names).items() if status.state is ProcessState.DEAD]
        if dead:
            raise RefusedError(
                f"{' and '.join(dead)} cannot {action}: not alive", hint="drkit sandbox fault start brings it back"
            )
        for name in names:
            (self._processes.freeze if action is Fault.FREEZE else self._processes.thaw)(name)


def _targets(region: str, what: str) -> list[str]:
    if region in (AWS, DNS) and what == "all":
        return [region]
    if region in REGIONS and what in ("broker", "mirror", "all"):
        return [broker_of(region), mirror_of(region)] if what == "all" else [f"{region}/{what}"]
    raise RefusedError(
        f"there is no {what} in {region}",
        hint=f"regions: {', '.join(REGIONS)} (broker, mirror, all), {AWS} and {DNS} (all)",
    )


def _eventually(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + _EFFECT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise StoppedError(f"{complaint}, after {_EFFECT_SECONDS:.0f} s", hint="drkit sandbox status shows more")
        time.sleep(0.05)
