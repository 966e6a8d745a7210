"""What a sandbox is and does, as ``drkit sandbox status`` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drkit.sandbox.layout import Endpoint, Layout
from drkit.sandbox.processes import ProcessState, ProcessStatus

ClientSettings = dict[str, str | int | float | bool]
"""librdkafka settings."""


@dataclass(frozen=True, slots=True)
class RegionStatus:
    """One region. ``clients``: user to librdkafka settings, with the password."""

    bootstrap: str
    connect_url: str
    clients: Mapping[str, ClientSettings]
    processes: Mapping[str, ProcessStatus]


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """One sandbox. ``services``: the processes that belong to no region, ``aws`` and ``dns``."""

    config: Path
    layout: Layout
    bootstrap_name: str
    regions: Mapping[str, RegionStatus]
    services: Mapping[str, ProcessStatus]

    @property
    def aws_endpoint_url(self) -> str:
        """The endpoint of every simulated AWS service."""
        return self.layout.aws_url

    @property
    def dns(self) -> Endpoint:
        """The DNS server, over UDP and TCP."""
        return self.layout.dns

    @property
    def is_running(self) -> bool:
        """Whether every process runs."""
        every = [
            *self.services.values(),
            *(status for region in self.regions.values() for status in region.processes.values()),
        ]
        return all(status.state is ProcessState.RUNNING for status in every)

    def document(self) -> dict[str, Any]:
        """The JSON document ``drkit.sandbox/1``. It holds passwords: of this sandbox, on this machine, only."""
        return {
            "schema": "drkit.sandbox/1",
            "config": str(self.config),
            "aws": {"endpoint_url": self.aws_endpoint_url},
            "dns": {"address": self.dns.host, "port": self.dns.port, "bootstrap_name": self.bootstrap_name},
            "regions": {
                name: {
                    "bootstrap": region.bootstrap,
                    "connect_url": region.connect_url,
                    "clients": {user: dict(settings) for user, settings in region.clients.items()},
                    "processes": {
                        what: {"pid": status.pid, "state": status.state.value}
                        for what, status in region.processes.items()
                    },
                }
                for name, region in self.regions.items()
            },
        }
