"""Finds the service as an application does: by its name in DNS."""

from __future__ import annotations

from typing import Any

import dns.exception
import dns.resolver

from drkit.sandbox.layout import REGIONS
from drkit.sandbox.workload.settings import WorkloadSettings


def locate(settings: WorkloadSettings) -> str | None:
    """The region that DNS points at now; None while there is no answer."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [settings.dns_host]
    resolver.port = settings.dns_port
    try:
        answer = resolver.resolve(settings.bootstrap_name, settings.record_type, lifetime=1.0)
    except dns.exception.DNSException:
        return None
    found = {rdata.to_text().strip('"') for rdata in answer}
    for region, client in settings.clients.items():
        bootstrap = client["bootstrap.servers"]
        if found & {bootstrap, bootstrap.rpartition(":")[0]}:
            return region
    return None


def client_settings(settings: WorkloadSettings, region: str, **more: Any) -> dict[str, Any]:
    """An application's librdkafka settings for a region; keyword underscores stand for dots."""
    return {
        **settings.clients[region],
        "log_level": 0,
        "socket.timeout.ms": 5000,
        **{name.replace("_", "."): value for name, value in more.items()},
    }


def region_index(region: str) -> int:
    """The region's number in the ledger."""
    return REGIONS.index(region)
