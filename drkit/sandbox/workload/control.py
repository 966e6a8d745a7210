"""Starts, stops and reports a sandbox's workload."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from drkit.domain.ledger import Acknowledged, GroupFindings, judge_group, report
from drkit.errors import RefusedError, StoppedError
from drkit.sandbox.processes import ProcessSpec, ProcessState
from drkit.sandbox.provisioning import service_topics
from drkit.sandbox.sandbox import Sandbox
from drkit.sandbox.workload.files import read_acknowledged, read_group
from drkit.sandbox.workload.settings import Group, Phase, WorkloadSettings, load, read_phase, write_phase

_CONSUMER_PROCESSES: Final = 2
_SERVICES: Final = ("billing", "shipping", "loyalty", "search", "audit")
_UNCHANGED_TIMES: Final = 6
_END_SECONDS: Final = 60.0
"""A client of a dead broker takes its time to close."""
_OUTSIDE_PREFIX: Final = 5
"""Every so many groups one has a name outside the service's prefix: groups are named anyhow."""

Progress = Callable[[str], None]


class Workload:
    """The workload of one sandbox. Its processes and files end with the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._directory = sandbox.root / "workload"

    def start(self, *, rate: float = 2000, groups: int = 20) -> None:
        """Start producers and groups; every second group reads slower than is written, on purpose.

        Raises ``RefusedError`` if one runs already.
        """
        if self._running():
            raise RefusedError("the workload runs already", hint="drkit sandbox workload stop")
        status = self._sandbox.status()
        for ledger in self._directory.glob("*.ledger"):
            ledger.unlink()
        topics = tuple(sorted(service_topics(self._sandbox.environment)))
        settings = WorkloadSettings(
            directory=str(self._directory),
            rate=rate,
            topics=topics,
            groups=tuple(_group(number, len(topics), rate, self._sandbox.environment) for number in range(groups)),
            clients={name: dict(region.clients["app"]) for name, region in status.regions.items()},
            dns_host=status.dns.host,
            dns_port=status.dns.port,
            bootstrap_name=status.bootstrap_name,
            record_type=status.layout.record_type,
        )
        path = settings.save()
        write_phase(self._directory, Phase.RUN)
        for name, role, part in self._roles():
            command = (
                sys.executable,
                *self._sandbox.processes.python_marks(name),
                "-m",
                "drkit.sandbox.workload",
                *(str(path), role, str(part), str(_CONSUMER_PROCESSES)),
            )
            log = self._sandbox.root / "logs" / f"{name}.log"
            self._sandbox.processes.start(ProcessSpec(name, command, log, {}))

    def stop(self, *, drain_seconds: float = 60, progress: Progress = lambda _line: None) -> None:
        """End the writes, let every group read to the end for a bounded time, end the groups.

        The wait ends early once nothing is left, or nothing more arrives: records that were lost never will.
        """
        if not self._running():
            return
        write_phase(self._directory, Phase.DRAIN)
        deadline = time.monotonic() + drain_seconds
        left, unchanged = self.report()["lost"], 0
        while left and unchanged < _UNCHANGED_TIMES and time.monotonic() < deadline:
            progress(f"{left} records still to be processed")
            time.sleep(1)
            before, left = left, self.report()["lost"]
            unchanged = unchanged + 1 if left == before else 0
        write_phase(self._directory, Phase.STOP)
        deadline = time.monotonic() + _END_SECONDS
        while self._running():
            if time.monotonic() > deadline:
                self._sandbox.processes.kill([name for name, _, _ in self._roles()])
                raise StoppedError("the workload did not end by itself and was killed", hint="its log says why")
            time.sleep(0.1)

    def report(self) -> dict[str, Any]:
        """``drkit.ledger/1`` as of now. While the workload runs, "lost" includes what groups have not read yet."""
        acknowledged = self.acknowledged()
        document = report(acknowledged, self._findings(acknowledged))
        return {**document, "phase": read_phase(self._directory).value if self._running() else "stopped"}

    def acknowledged(self) -> list[Acknowledged]:
        """Every acknowledged record."""
        topics = self._settings().topics
        ledgers = sorted(self._directory.glob("producer-*.ledger"))
        return [one for path in ledgers for one in read_acknowledged(path, topics)]

    def groups(self) -> frozenset[str]:
        """The groups' names."""
        return frozenset(group.name for group in self._settings().groups)

    def lost(self) -> list[Acknowledged]:
        """Every acknowledged record that one of its groups never processed."""
        findings = self._findings(self.acknowledged())
        return list({one.record: one for found in findings.values() for one in found.lost}.values())

    def _findings(self, acknowledged: Sequence[Acknowledged]) -> dict[str, GroupFindings]:
        settings = self._settings()
        by_topic: dict[str, list[Acknowledged]] = {}
        for one in acknowledged:
            by_topic.setdefault(one.place.topic, []).append(one)
        findings: dict[str, GroupFindings] = {}
        for number, group in enumerate(settings.groups):
            expected = [one for index in group.topics for one in by_topic.get(settings.topics[index], [])]
            events = read_group(self._directory / f"group-{number}.ledger", settings.topics)
            findings[group.name] = judge_group(events, expected)
        return findings

    def _settings(self) -> WorkloadSettings:
        path = self._directory / "settings.json"
        if not path.exists():
            raise RefusedError("no workload was started in this sandbox", hint="drkit sandbox workload start")
        return load(path)

    def _running(self) -> bool:
        found = self._sandbox.processes.status([name for name, _, _ in self._roles()])
        return any(status.state is not ProcessState.DEAD for status in found.values())

    @staticmethod
    def _roles() -> list[tuple[str, str, int]]:
        consumers = [(f"workload-consumers-{part}", "consumers", part) for part in range(_CONSUMER_PROCESSES)]
        return [("workload-producers", "producers", 0), *consumers]


def _group(number: int, topics: int, rate: float, environment: str) -> Group:
    service = _SERVICES[number % len(_SERVICES)]
    prefix = "" if number % _OUTSIDE_PREFIX == 0 else f"genai-demo.{environment}."
    name = f"{prefix}{service}-{number:02}"
    own = (number % topics, (number + 1) % topics)
    # Half of what its topics get: the lag grows for as long as the workload runs.
    limit = rate * len(own) / topics / 2 if number % 2 else None
    return Group(name, own, limit)
