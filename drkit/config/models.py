"""The shape of ``drkit.yaml``: one service (project and environment) per file.

Models are frozen and refuse unknown keys. A secret is never a value: it is a reference (``SecretRef``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt

from drkit.config.base import Model, SecretRef
from drkit.config.protection import Alerts, Backup, SchemaRegistry
from drkit.config.timeouts import Timeouts


class NoAuth(Model):
    """No authentication: plaintext, or TLS without client identity."""

    mechanism: Literal["none"] = "none"


class PlainAuth(Model):
    """SASL/PLAIN."""

    mechanism: Literal["plain"]
    username: str
    password: SecretRef


class ScramAuth(Model):
    """SASL/SCRAM."""

    mechanism: Literal["scram-sha-256", "scram-sha-512"]
    username: str
    password: SecretRef


class MtlsAuth(Model):
    """TLS client certificate. ``principal`` is the distinguished name as the broker sees it (``User:CN=...``)."""

    mechanism: Literal["mtls"]
    certificate_file: str
    key_file: str
    key_password: SecretRef | None = None
    principal: str


class IamAuth(Model):
    """MSK IAM (SASL/OAUTHBEARER with a signed token). ``region`` is the cluster's."""

    mechanism: Literal["iam"]
    region: str
    role_arn: str | None = None


Auth = Annotated[NoAuth | PlainAuth | ScramAuth | MtlsAuth | IamAuth, Field(discriminator="mechanism")]


class Tls(Model):
    """TLS to the brokers. ``ca_file``: PEM bundle, or the system's where none is given."""

    enabled: bool = False
    ca_file: str | None = None


class Cluster(Model):
    """How drkit reaches a Kafka cluster, and which cluster it must be."""

    bootstrap: str
    """``host:port[,host:port]``."""
    cluster_id: str
    """The cluster's own id; drkit changes nothing on a cluster with another one."""
    auth: Auth = Field(default_factory=NoAuth)
    tls: Tls = Field(default_factory=Tls)
    mirror_auth: Auth | None = None
    """The mirror's identity: secrets by ``connect:${...}``, files by absolute path on the worker. None: as ``auth``."""
    mirror_tls: Tls | None = None
    """TLS of MirrorMaker 2 to it, its ``ca_file`` an absolute path on the worker's machine. None: as ``tls``."""


class Connect(Model):
    """The Kafka Connect cluster that runs in a region and mirrors *into* it."""

    url: str
    username: str | None = None
    password: SecretRef | None = None
    offsets_topic: str = "connect-offsets"
    status_topic: str = "connect-status"


class HttpProbe(Model):
    """An HTTP health probe: a Spring actuator (its ``status``), or any URL (2xx is up)."""

    name: str
    url: str


class Health(Model):
    """How a region's health is judged."""

    samples: PositiveInt = 3
    interval_seconds: PositiveFloat = 1.0
    http: tuple[HttpProbe, ...] = ()


class Region(Model):
    """One region. Its name is also MM2's alias of its cluster."""

    cluster: Cluster
    connect: Connect | None = None
    schema_registry: SchemaRegistry | None = None
    backup: Backup | None = None
    health: Health = Field(default_factory=Health)


def _always_with(*own: str) -> AfterValidator:
    return AfterValidator(lambda patterns: patterns + tuple(pattern for pattern in own if pattern not in patterns))


_Topics = Annotated[tuple[str, ...], _always_with(r".*[.-]internal", r"__.*", r"\..*", r".*\.drkit\.canary")]
_Groups = Annotated[tuple[str, ...], _always_with(r".*\.drkit\.canary")]


class Replication(Model):
    """What MM2 mirrors, and how."""

    policy: Literal["identity", "default"] = "identity"
    separator: str = "."
    """``replication.policy.separator``; only the default policy renames topics with it."""
    topics: tuple[str, ...]
    """Java regular expressions, whole-name match."""
    topics_exclude: _Topics = Field((), validate_default=True)
    """MM2's, Connect's and drkit's own topics are always added; MM2 itself never mirrors the first three kinds."""
    groups: tuple[str, ...] = (".*",)
    groups_exclude: _Groups = Field((r"console-consumer-.*", r"connect-.*", r"__.*"), validate_default=True)
    """drkit's own group is always added."""
    driver: Literal["connect", "dedicated", "external"] = "connect"
    exactly_once: bool = True
    replication_factor: PositiveInt = 3
    tasks_max: PositiveInt = 4
    offset_lag_max: int = Field(default=100, ge=0)
    refresh_seconds: PositiveInt = 60
    """How soon new topics and groups are mirrored."""
    checkpoint_seconds: PositiveInt = 10


class AclFence(Model):
    """Writes and commits are stopped by DENY ACLs. Binds SCRAM, PLAIN and mTLS identities, never IAM ones."""

    kind: Literal["acl"]
    principals: tuple[str, ...] = Field(min_length=1)
    """The applications' principals (``User:name``). Not the mirror's: it must go on writing to the standby."""
    allow_everyone_if_no_acl_found: bool = True
    """As the brokers have it (``allow.everyone.if.no.acl.found``; Amazon MSK: true). Brokers do not tell."""


class HookFence(Model):
    """Writes and commits are stopped by commands of yours (an IAM, SCP or network change): argument lists, no shell.

    Each is called with ``DRKIT_REGION``, ``DRKIT_CLUSTER_ID`` and ``DRKIT_SCOPE`` (producers, consumers) in its
    environment; a status other than 0 stops the run. drkit then proves the fence like any other.
    """

    kind: Literal["hook"]
    put: tuple[str, ...] = Field(min_length=1)
    lift: tuple[str, ...] = Field(min_length=1)


Fence = Annotated[AclFence | HookFence, Field(discriminator="kind")]


class Route53Target(Model):
    """A record set in Route 53 that tells clients where the service is."""

    kind: Literal["route53"]
    zone_id: str
    zone_name: str
    """What the zone with that id must be called."""
    name: str
    type: Literal["A", "CNAME", "TXT"]
    ttl_seconds: PositiveInt = 5
    values: dict[str, tuple[str, ...]]
    """Region to the record's values while that region is primary. TXT values without quotes."""
    nameservers: tuple[str, ...] = ()
    """``host[:port]`` of the servers that are asked for the answer; empty: the zone's own."""


class State(Model):
    """Where runs, the lease and the lineage are kept: a third region or the standby, never only the primary."""

    bucket: str
    region: str
    prefix: str = ""
    local_dir: str = ".drkit/state"
    """A second copy of every journal, on this machine."""


class Objectives(Model):
    """What a failover may cost."""

    rpo_records: int = Field(default=0, ge=0)
    rpo_seconds: float = Field(default=60, ge=0)
    rto_seconds: PositiveFloat = 600.0
    replay_records: int = Field(default=0, ge=0)


class Aws(Model):
    """How AWS is reached."""

    endpoint_url: str | None = None
    """One endpoint for every service, for a simulated AWS."""
    account_id: str | None = Field(default=None, pattern=r"^\d{12}$")
    """If given, drkit changes nothing under another account."""


class Settings(Model):
    """The whole of ``drkit.yaml``."""

    project: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    environment: Literal["development", "staging", "production"]
    primary: str
    """The region that is primary until drkit has recorded a change of direction."""
    aws: Aws = Field(default_factory=Aws)
    state: State
    regions: dict[str, Region] = Field(min_length=2, max_length=2)
    replication: Replication
    fence: Fence
    redirect: tuple[Route53Target, ...] = ()
    objectives: Objectives = Field(default_factory=Objectives)
    alerts: Alerts = Field(default_factory=Alerts)
    timeouts: Timeouts = Field(default_factory=Timeouts)

    @property
    def topic_prefix(self) -> str:
        """What every topic and fenced resource of the service begins with."""
        return f"{self.project}.{self.environment}."

    @property
    def canary_topic(self) -> str:
        """A topic of drkit's own inside the fenced prefix; never mirrored."""
        return f"{self.topic_prefix}drkit.canary"

    @property
    def canary_group(self) -> str:
        """A consumer group of drkit's own, never mirrored."""
        return f"{self.topic_prefix}drkit.canary"

    def other(self, region: str) -> str:
        """The region that is not this one."""
        return next(name for name in self.regions if name != region)


def resolve_path(base: Path, text: str) -> Path:
    """A path from the file, relative to the file's own directory."""
    path = Path(text).expanduser()
    return path if path.is_absolute() else base / path
