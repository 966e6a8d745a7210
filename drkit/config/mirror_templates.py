"""MirrorMaker 2's configuration, rendered from the templates of the ``mm2`` directory.

The templates are Java ``.properties`` files, so that each setting stands beside its reason; for Kafka
Connect's REST interface they are read back into a mapping. Secrets never appear: they stay references that the Connect
worker resolves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import drkit
from drkit.config.models import Auth, Cluster, NoAuth, Settings, Tls
from drkit.domain.java_properties import escape_value, parse_properties
from drkit.domain.mirror_flow import Flow
from drkit.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment

_POLICY_CLASSES: Final = {
    "identity": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
    "default": "org.apache.kafka.connect.mirror.DefaultReplicationPolicy",
}


@dataclass(frozen=True, slots=True)
class ClientAccess:
    """How a Java client reaches a cluster: the context of the ``client`` macro."""

    bootstrap: str
    auth: Auth
    tls: Tls

    @classmethod
    def of_mirror(cls, cluster: Cluster) -> ClientAccess:
        """The mirror's own access to a cluster: ``mirror_auth`` and ``mirror_tls`` where given."""
        return cls(cluster.bootstrap, cluster.mirror_auth or cluster.auth, cluster.mirror_tls or cluster.tls)


def flow_of(settings: Settings, source: str) -> Flow:
    """The flow out of a region, into the other one."""
    policy = settings.replication
    return Flow(
        project=settings.project,
        environment=settings.environment,
        source=source,
        target=settings.other(source),
        separator=policy.separator if policy.policy == "default" else ".",
    )


def render_connectors(settings: Settings, flow: Flow) -> Mapping[str, Mapping[str, str]]:
    """Connector name to configuration, as Kafka Connect's REST interface takes it; the source connector first.

    Raises ``ConfigError`` where a secret of the mirror is no ``connect:`` reference.
    """
    roles = zip(flow.connectors, ("source", "checkpoint", "heartbeat"), strict=True)
    context = _flow_context(settings, flow)
    return {
        name: {"name": name, **parse_properties(_render(f"connect/{role}.properties.j2", context))}
        for name, role in roles
    }


def render_dedicated(settings: Settings, flow: Flow) -> str:
    """The ``mm2.properties`` of a dedicated MirrorMaker 2 process. Raises ``ConfigError`` as above."""
    return _render("dedicated/mm2.properties.j2", _flow_context(settings, flow))


def render_files(settings: Settings, flow: Flow, mode: str) -> Mapping[str, str]:
    """File name to text: for ``connect`` one JSON document per connector and the worker's properties, else one file.

    Raises ``ConfigError`` as above.
    """
    if mode == "dedicated":
        return {"mm2.properties": render_dedicated(settings, flow)}
    connectors = render_connectors(settings, flow)
    return {
        **{f"{name}.json": json.dumps(config, indent=2) + "\n" for name, config in connectors.items()},
        "worker.properties": render_worker_of(settings, flow.target),
    }


def render_worker_of(settings: Settings, region: str) -> str:
    """The worker's properties for the Connect cluster that mirrors into a region, with a listener to be reviewed."""
    connect = settings.regions[region].connect
    access = ClientAccess.of_mirror(settings.regions[region].cluster)
    return render_worker(
        bootstrap=access.bootstrap,
        auth=access.auth,
        tls=access.tls,
        group_id=f"drkit-connect-{region}",
        listener="http://127.0.0.1:8083",
        exactly_once=settings.replication.exactly_once,
        replication_factor=settings.replication.replication_factor,
        **({"offsets_topic": connect.offsets_topic, "status_topic": connect.status_topic} if connect else {}),
    )


def render_worker(
    *,
    bootstrap: str,
    group_id: str,
    listener: str,
    auth: Auth | None = None,
    tls: Tls | None = None,
    exactly_once: bool = True,
    replication_factor: int = 3,
    offsets_topic: str = "connect-offsets",
    status_topic: str = "connect-status",
    configs_topic: str = "connect-configs",
    secrets_directory: str | None = None,
) -> str:
    """The properties file of a Connect worker that mirrors into the cluster at ``bootstrap``.

    ``listener``: ``http://host:port`` of its REST interface. ``secrets_directory``: the only directory that
    ``${file:...}`` and ``${directory:...}`` may read (None: any). Secrets in ``auth`` are ``connect:`` references;
    another one raises ``ConfigError``.
    """
    access = ClientAccess(bootstrap, auth or NoAuth(), tls or Tls())
    context = {
        "cluster": access,
        "is_secured": access.tls.enabled or access.auth.mechanism != "none",
        "group_id": group_id,
        "listener": listener,
        "exactly_once": exactly_once,
        "replication_factor": replication_factor,
        "offsets_topic": offsets_topic,
        "status_topic": status_topic,
        "configs_topic": configs_topic,
        "secrets_directory": secrets_directory,
    }
    return _render("connect/worker.properties.j2", context)


def _flow_context(settings: Settings, flow: Flow) -> dict[str, object]:
    return {
        "flow": flow,
        "source": ClientAccess.of_mirror(settings.regions[flow.source].cluster),
        "target": ClientAccess.of_mirror(settings.regions[flow.target].cluster),
        "replication": settings.replication,
        "policy_class": _POLICY_CLASSES[settings.replication.policy],
    }


def templates_directory() -> Path:
    """The ``mm2`` directory: inside the package where drkit is installed, beside it in a checkout."""
    package = Path(drkit.__file__).parent
    for candidate in (package / "mm2", package.parent / "mm2"):
        if (candidate / "auth.properties.j2").is_file():
            return candidate
    raise ConfigError(
        f"the MirrorMaker 2 templates are missing from {package / 'mm2'}", hint="install drkit again: it is incomplete"
    )


def _render(template: str, context: Mapping[str, Any]) -> str:
    text = _environment().get_template(template).render(context)
    # Macros leave empty lines where a part does not apply.
    lines = [line.rstrip() for line in text.splitlines()]
    kept = [line for index, line in enumerate(lines) if line or (index and lines[index - 1])]
    return "\n".join(kept).strip("\n") + "\n"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(templates_directory()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=select_autoescape(enabled_extensions=()),
    )
    environment.filters.update(
        value=_value,
        list_value=_list_value,
        quoted=_quoted,
        secret_reference=_secret_reference,
        file_reference=_file_reference,
        worker_path=_worker_path,
    )
    return environment


def _value(text: object) -> str:
    return escape_value(str(text))


def _list_value(items: Sequence[str]) -> str:
    # Kafka splits a LIST at commas and has no way to quote one; the configuration's rules refuse them.
    return escape_value(",".join(items))


def _quoted(text: str) -> str:
    """For use between double quotes in a JAAS configuration."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _secret_reference(secret: str) -> str:
    if not secret.startswith("connect:"):
        raise ConfigError(
            "the mirror's password is given as drkit's own secret, which Kafka Connect cannot resolve, and drkit does "
            "not write it out: connector configurations can be read by anybody who reaches Connect",
            hint="give each cluster a mirror_auth whose password is connect:${file:/path/on/the/worker.properties:key}",
        )
    return secret.removeprefix("connect:")


def _file_reference(path: str) -> str:
    file = PurePosixPath(_worker_path(path))
    return f"${{directory:{file.parent}:{file.name}}}"


def _worker_path(path: str) -> str:
    if not path.startswith("/") or set(path) & set(":}\n"):
        raise ConfigError(
            f"{path!r} is no absolute path on the Connect worker's machine (without ':' and '}}')",
            hint="name the file as the worker sees it in mirror_auth or mirror_tls",
        )
    return path
