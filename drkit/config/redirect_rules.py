"""Rules for redirect targets: values that Route 53 and resolvers will take, for exactly the configured regions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from drkit.config.models import IamAuth, MtlsAuth, Route53Target, Settings
from drkit.config.yaml_text import Path

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NAME_SERVER = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
_ZONE_ID = re.compile(r"[A-Z0-9]{1,32}")
_TXT_BYTES: Final = 255
_NAME_CHARACTERS: Final = 253
_SLOW_TTL_SECONDS: Final = 60

Finding = tuple[Path, str, bool]
"""Path, message, and whether it is an error (else a warning)."""


def redirect_rules(settings: Settings) -> Iterator[Finding]:
    """Apply every rule to every target."""
    seen: dict[tuple[str, str, str], int] = {}
    for index, target in enumerate(settings.redirect):
        path: Path = ("redirect", index)
        key = (target.zone_id, canonical_name(target.name), target.type)
        if seen.setdefault(key, index) != index:
            yield (*path, "name"), f"is the same record as redirect[{seen[key]}]", True
        yield from _record(target, path)
        yield from _values(settings, target, path)
        yield from _tls(settings, target, path)
    if not settings.redirect:
        yield ("redirect",), "is empty: nothing tells clients where the service is after a failover", False


def canonical_name(name: str) -> str:
    """Lower case, without the trailing dot."""
    return name.lower().removesuffix(".")


def _record(target: Route53Target, path: Path) -> Iterator[Finding]:
    if not _ZONE_ID.fullmatch(target.zone_id):
        yield (*path, "zone_id"), f"{target.zone_id!r} is no id of a hosted zone: give it without /hostedzone/", True
    wrong = [key for key in ("zone_name", "name") if not _is_host_name(getattr(target, key))]
    for key in wrong:
        yield (*path, key), f"{getattr(target, key)!r} is no domain name", True
    zone, name = canonical_name(target.zone_name), canonical_name(target.name)
    if not wrong and name != zone and not name.endswith(f".{zone}"):
        yield (*path, "name"), f"{target.name} is not inside the zone {target.zone_name}", True
    elif target.type == "CNAME" and name == zone:
        yield (*path, "type"), "a zone's own name cannot be a CNAME", True
    if target.ttl_seconds > _SLOW_TTL_SECONDS:
        yield (*path, "ttl_seconds"), f"resolvers may answer with the old value for {target.ttl_seconds} s", False
    for index, server in enumerate(target.nameservers):
        if not _NAME_SERVER.fullmatch(server):
            yield (*path, "nameservers", index), f"{server!r} is not host or host:port", True


def _values(settings: Settings, target: Route53Target, path: Path) -> Iterator[Finding]:
    path = (*path, "values")
    for region in settings.regions:
        if region not in target.values:
            yield path, f"has no values for {region}", True
    for region, values in target.values.items():
        if region not in settings.regions:
            yield (*path, region), f"{region} is not one of the regions {', '.join(settings.regions)}", True
        if not values:
            yield (*path, region), "is empty: a redirect never deletes a record", True
        if len(set(values)) < len(values):
            yield (*path, region), "has a value twice", True
        if target.type == "CNAME" and len(values) > 1:
            yield (*path, region), "a CNAME has one value", True
        for index, value in enumerate(values):
            reason = _fault(target.type, value)
            if reason:
                yield (*path, region, index), f"{value!r} {reason}", True
    distinct = {frozenset(map(canonical_name, values)) for values in target.values.values()}
    if len(target.values) > 1 and len(distinct) < len(target.values):
        yield path, "are the same for two regions: the redirect would change nothing", True


def _fault(kind: str, value: str) -> str | None:
    if kind == "A":
        try:
            IPv4Address(value)
        except AddressValueError:
            return "is no IPv4 address"
        return None
    if kind == "CNAME":
        return None if _is_host_name(value) else "is no host name"
    if not value or len(value) > _TXT_BYTES or not (value.isascii() and value.isprintable()):
        return f"must be 1 to {_TXT_BYTES} printable ASCII characters"
    return "is written without quotes" if value[0] == value[-1] == '"' else None


def _is_host_name(text: str) -> bool:
    return len(canonical_name(text)) <= _NAME_CHARACTERS and bool(_HOST_NAME.fullmatch(text))


def _tls(settings: Settings, target: Route53Target, path: Path) -> Iterator[Finding]:
    """Broker certificates are made out to the brokers' own names, not to the record's."""
    secured = [
        name
        for name, region in settings.regions.items()
        if region.cluster.tls.enabled or isinstance(region.cluster.auth, IamAuth | MtlsAuth)
    ]
    if secured and target.type != "TXT":
        message = (
            f"brokers of {' and '.join(secured)} use TLS: a client that bootstraps from {target.name} refuses their "
            "certificate unless it holds that name; a TXT record with the bootstrap servers has no such limit"
        )
        yield (*path, "type"), message, False
