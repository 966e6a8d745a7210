"""Finds the service as an application does: by its name in DNS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import dns.exception
import dns.resolver

from drkit.sandbox.workload.settings import WorkloadSettings

_ANSWER_SECONDS: Final = 1.0
_SOCKET_MS: Final = 5000
"""Requests may wait for a broker under load; a dead one is noticed by its closed connection, not by this."""


@dataclass(frozen=True, slots=True)
class Side:
    """Where the service is: a region, and what its clients connect to."""

    region: str
    bootstrap: str


class Discovery:
    """The service's name in the sandbox's DNS, asked anew each time.

    An A record holds a broker's address, and its port is known; a TXT record holds ``host:port``.
    """

    def __init__(self, settings: WorkloadSettings) -> None:
        self._settings = settings
        self._sides = {
            value: Side(region, str(client["bootstrap.servers"]))
            for region, client in settings.clients.items()
            for value in (_record_value(str(client["bootstrap.servers"]), settings.record_type),)
        }
        self._resolver = dns.resolver.Resolver(configure=False)
        self._resolver.nameservers = [settings.dns_address]
        self._resolver.port = settings.dns_port

    def locate(self) -> Side | None:
        """The side that DNS names now; None while it names none that there is, or does not answer."""
        name, record_type = self._settings.bootstrap_name, self._settings.record_type
        try:
            # Absolute: no search domain of this machine may be tried.
            answer = self._resolver.resolve(f"{name}.", record_type, lifetime=_ANSWER_SECONDS)
        except (dns.exception.DNSException, OSError):
            return None
        found = (record.to_text().strip('"') for record in answer)
        return next((self._sides[value] for value in found if value in self._sides), None)

    def client_settings(self, side: Side, more: dict[str, Any]) -> dict[str, Any]:
        """An application's librdkafka settings for a side."""
        return {
            **self._settings.clients[side.region],
            "log_level": 0,
            "socket.timeout.ms": _SOCKET_MS,
            "socket.connection.setup.timeout.ms": _SOCKET_MS,
            "reconnect.backoff.max.ms": 1000,
            **more,
        }


def _record_value(bootstrap: str, record_type: str) -> str:
    return bootstrap if record_type == "TXT" else bootstrap.rpartition(":")[0]
