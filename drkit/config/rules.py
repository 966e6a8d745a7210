"""Rules between values of ``drkit.yaml``: what each is, alone, allowed to be and together is not.

A rule yields findings with the path of the value that has to change. An error makes the file invalid; a warning is
something that an operator may want and should know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from drkit.config.models import AclFence, Auth, Cluster, Connect, IamAuth, MtlsAuth, NoAuth, PlainAuth, Settings
from drkit.config.protection import SchemaRegistry
from drkit.config.protection_rules import BUCKET, protection_rules
from drkit.config.redirect_rules import redirect_rules
from drkit.config.yaml_text import Path
from drkit.domain.mirror_lint import alias_clash
from drkit.domain.name_pattern import fault, literal_prefix

_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_HOST_PORT = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})")
_LEASE_REQUESTS: Final = 3
"""A holder renews its lease several times before it expires, even when one request takes all of its time."""


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """One finding; ``is_error`` is false for a warning."""

    path: Path
    message: str
    is_error: bool = True


@dataclass(frozen=True, slots=True)
class RuleFindings:
    """Everything the rules found."""

    errors: tuple[RuleFinding, ...]
    warnings: tuple[RuleFinding, ...]


def check(settings: Settings) -> RuleFindings:
    """Apply every rule."""
    found = [finding for rule in _RULES for finding in rule(settings)]
    return RuleFindings(tuple(f for f in found if f.is_error), tuple(f for f in found if not f.is_error))


def principal_of(auth: Auth) -> str | None:
    """The Kafka principal of an identity; None for IAM, which Kafka's ACLs know nothing of."""
    if isinstance(auth, NoAuth):
        return "User:ANONYMOUS"
    if isinstance(auth, MtlsAuth):
        return auth.principal
    return None if isinstance(auth, IamAuth) else f"User:{auth.username}"


def _regions(settings: Settings) -> Iterator[RuleFinding]:
    names = tuple(settings.regions)
    if settings.primary not in settings.regions:
        yield RuleFinding(("primary",), f"{settings.primary} is not one of the regions {', '.join(names)}")
    for name, region in settings.regions.items():
        path: Path = ("regions", name)
        if not _ALIAS.fullmatch(name):
            yield RuleFinding(path, "may hold letters, digits and hyphens only: it is MM2's alias of the cluster")
        yield from _bootstrap(region.cluster, (*path, "cluster", "bootstrap"))
    first, second = (settings.regions[name].cluster for name in names)
    path = ("regions", names[1], "cluster")
    if set(first.bootstrap.split(",")) & set(second.bootstrap.split(",")):
        yield RuleFinding((*path, "bootstrap"), f"names a broker of {names[0]}: source and target must be two clusters")
    if first.cluster_id == second.cluster_id:
        yield RuleFinding((*path, "cluster_id"), f"is that of {names[0]}: source and target must be two clusters")


def _bootstrap(cluster: Cluster, path: Path) -> Iterator[RuleFinding]:
    for address in cluster.bootstrap.split(","):
        match = _HOST_PORT.fullmatch(address)
        if not match or not 0 < int(match[1]) < 65536:
            yield RuleFinding(path, f"{address!r} is not host:port (several are separated by commas, without blanks)")
    if not cluster.cluster_id.strip():
        yield RuleFinding(
            (*path[:-1], "cluster_id"), "is empty: drkit changes nothing on a cluster it cannot recognise"
        )


def _identities(settings: Settings) -> Iterator[RuleFinding]:
    for name, region in settings.regions.items():
        cluster, path = region.cluster, ("regions", name, "cluster")
        for field in ("password", "key_password"):
            own, mirror = getattr(cluster.auth, field, None), getattr(cluster.mirror_auth, field, None)
            if own and own.startswith("connect:"):
                message = "connect: is resolved by Kafka Connect only; drkit needs env:, file: or an ARN"
                yield RuleFinding((*path, "auth", field), message)
            if mirror and not mirror.startswith("connect:"):
                message = "Kafka Connect cannot resolve this: give connect:${file:/path/on/the/worker.properties:key}"
                yield RuleFinding((*path, "mirror_auth", field), message)
        if region.connect and cluster.mirror_auth is None and getattr(cluster.auth, "password", None):
            message = "is missing: drkit mm2 needs the mirror's own identity, with connect: secrets"
            yield RuleFinding((*path, "mirror_auth"), message, is_error=False)
        is_local = all(address.startswith(("127.", "localhost:", "[::1]:")) for address in cluster.bootstrap.split(","))
        if isinstance(cluster.auth, PlainAuth) and not cluster.tls.enabled and not is_local:
            message = "is plain without tls.enabled: true, so that the password travels in clear text"
            yield RuleFinding((*path, "auth", "mechanism"), message, is_error=False)


def _endpoints(settings: Settings) -> Iterator[RuleFinding]:
    for name, region in settings.regions.items():
        path: Path = ("regions", name)
        for index, probe in enumerate(region.health.http):
            yield from _url(probe.url, (*path, "health", "http", index, "url"))
        if region.schema_registry:
            yield from _rest(region.schema_registry, (*path, "schema_registry"))
        connect = region.connect
        if connect is None:
            if settings.replication.driver == "connect":
                standby = name != settings.primary
                message = "is missing: " + (
                    "drkit has to stop the mirror that runs there" if standby else "the way back could not be mirrored"
                )
                yield RuleFinding((*path, "connect"), message, is_error=standby)
            continue
        yield from _rest(connect, (*path, "connect"))
    if settings.aws.endpoint_url:
        yield from _url(settings.aws.endpoint_url, ("aws", "endpoint_url"))


def _rest(service: Connect | SchemaRegistry, path: Path) -> Iterator[RuleFinding]:
    yield from _url(service.url, (*path, "url"))
    if (service.username is None) != (service.password is None):
        yield RuleFinding(path, "username and password belong together")
    if service.password and service.password.startswith("connect:"):
        yield RuleFinding((*path, "password"), "drkit itself needs this one: give env:, file: or an ARN")


def _url(url: str, path: Path) -> Iterator[RuleFinding]:
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        yield RuleFinding(path, "is not an http:// or https:// URL")
    elif parts.username is not None or parts.password is not None:
        yield RuleFinding(path, "holds credentials, which would be shown in reports: take them out")


def _state(settings: Settings) -> Iterator[RuleFinding]:
    state = settings.state
    if state.region == settings.primary:
        message = "is the primary: a third region, or the standby, can still be read when the primary is lost"
        yield RuleFinding(("state", "region"), message)
    if not BUCKET.fullmatch(state.bucket):
        yield RuleFinding(("state", "bucket"), f"{state.bucket!r} is no name of an S3 bucket")
    if state.prefix.startswith("/") or "//" in state.prefix:
        yield RuleFinding(("state", "prefix"), "must not begin with a slash or hold two in a row: S3 keys are no paths")


def _fence(settings: Settings) -> Iterator[RuleFinding]:
    fence = settings.fence
    if not isinstance(fence, AclFence):
        return
    clusters = {name: region.cluster for name, region in settings.regions.items()}
    on_iam = [name for name, cluster in clusters.items() if isinstance(cluster.auth, IamAuth)]
    if on_iam:
        message = f"acl does not bind IAM identities, and {' and '.join(on_iam)} use IAM: use kind: hook"
        yield RuleFinding(("fence", "kind"), message)
    own = {principal_of(cluster.auth) for cluster in clusters.values()}
    mirror = {principal_of(cluster.mirror_auth) for cluster in clusters.values() if cluster.mirror_auth}
    for index, principal in enumerate(fence.principals):
        path: Path = ("fence", "principals", index)
        if not re.fullmatch(r"User:.+", principal):
            yield RuleFinding(path, f"{principal!r} is no principal: write User:name")
        elif principal == "User:*":
            yield RuleFinding(path, "User:* would stop the mirror and drkit as well: name the applications")
        elif principal in own:
            yield RuleFinding(path, f"{principal} is drkit's own: it could not lift the fence or write its canary")
        elif principal in mirror:
            yield RuleFinding(path, f"{principal} is the mirror's: it must go on writing to the standby")


def _replication(settings: Settings) -> Iterator[RuleFinding]:
    replication = settings.replication
    if not replication.topics:
        yield RuleFinding(("replication", "topics"), "is empty: nothing would be mirrored")
    for field in ("topics", "topics_exclude", "groups", "groups_exclude"):
        for index, pattern in enumerate(getattr(replication, field)):
            reason = fault(pattern)
            # Every group is a sensible choice; every topic never is.
            if reason and not (field == "groups" and reason == fault(".*")):
                yield RuleFinding(("replication", field, index), f"{pattern!r} {reason}")
    for index, pattern in enumerate(replication.topics):
        prefix = literal_prefix(pattern)
        if fault(pattern) is None and not prefix.startswith(settings.topic_prefix):
            message = f"may match topics outside {settings.topic_prefix}, which a fence does not stop"
            escaped = settings.topic_prefix.replace(".", r"\.")
            yield RuleFinding(("replication", "topics", index), f"{message}: begin it with {escaped}")
    separator = replication.separator
    if not separator or not re.fullmatch(r"[A-Za-z0-9._-]+", separator):
        yield RuleFinding(("replication", "separator"), "may hold letters, digits, '.', '_' and '-' only")
    elif (segment := settings.topic_prefix.split(separator)[0]) in settings.regions:
        yield RuleFinding(("regions", segment), alias_clash(segment))


def _timeouts(settings: Settings) -> Iterator[RuleFinding]:
    timeouts = settings.timeouts
    least = _LEASE_REQUESTS * timeouts.request_seconds
    if timeouts.lease_seconds < least:
        message = f"must be at least {_LEASE_REQUESTS} times request_seconds, {least:g}: else a slow answer loses it"
        yield RuleFinding(("timeouts", "lease_seconds"), message)


def _protection(settings: Settings) -> Iterator[RuleFinding]:
    for path, message, is_error in protection_rules(settings):
        yield RuleFinding(path, message, is_error=is_error)


def _redirect(settings: Settings) -> Iterator[RuleFinding]:
    for path, message, is_error in redirect_rules(settings):
        yield RuleFinding(path, message, is_error=is_error)


_RULES: Final = (_regions, _identities, _endpoints, _state, _fence, _replication, _timeouts, _protection, _redirect)
