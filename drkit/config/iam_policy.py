"""What a role may do that makes backups, and one that prunes them: derived from the configuration, and no more.

Action names and condition keys: AWS "Service Authorization Reference"; ``s3:if-none-match``: Amazon S3 User Guide,
"Enforce conditional writes". With it, not even stolen credentials can write over a backup that is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drkit.config.models import IamAuth, Settings
from drkit.config.protection import Backup
from drkit.domain.aws_names import partition_of
from drkit.domain.inventory import Part
from drkit.domain.schedules import JobSpec

PLACEHOLDER: Final = "REPLACE-ME"
_NEW_ONLY: Final = {"Null": {"s3:if-none-match": "false"}}
_CONDITIONAL: Final = {"Null": {"s3:if-match": "false"}}
_BACKUPS: Final = "backups/"
_READ_CLUSTER: Final = (
    "kafka-cluster:Connect",
    "kafka-cluster:DescribeCluster",
    "kafka-cluster:DescribeClusterDynamicConfiguration",
)
_READ_TOPIC: Final = ("kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy that allows."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Any] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """As IAM takes it."""
        found = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": sorted(self.actions),
            "Resource": sorted(self.resources),
        }
        return found | ({"Condition": dict(self.condition)} if self.condition else {})


@dataclass(frozen=True, slots=True)
class _Place:
    """A bucket below a prefix. ``backup``: how it is configured, unless it is the state bucket."""

    bucket: str
    region: str
    prefix: str
    backup: Backup | None = None

    @property
    def arn(self) -> str:
        return f"arn:{partition_of(self.region)}:s3:::{self.bucket}"

    def objects(self, keys: str) -> str:
        return f"{self.arn}/{self.prefix}{keys}"


def backup_policy(settings: Settings, jobs: Collection[JobSpec], *, alerts: bool = True) -> dict[str, Any]:
    """The policy of the role that runs these jobs. ``alerts``: whether it is the service, which tells people."""
    statements: list[Statement] = [*_identity(settings)]
    if any(job.is_look for job in jobs):
        statements += _looks(settings)
    backups = [job for job in jobs if not job.is_look]
    if backups:
        statements += _vault(settings)
    if any(job.parts is None or Part.REDIRECTS in job.parts for job in backups):
        statements += _zones(settings)
    statements += _clusters(settings, jobs)
    arn = settings.alerts.sns_topic_arn
    if alerts and arn:
        statements.append(Statement("TellThatAJobFails", ("sns:Publish",), (arn,)))
    return policy(statements)


def prune_policy(settings: Settings) -> dict[str, Any]:
    """The policy of the role that removes what ``drkit backup prune`` does: to read, and to delete, and no write."""
    statements = [*_identity(settings)]
    for number, place in enumerate(_replicas(settings)):
        statements += _reads(f"Backups{number}", place, _BACKUPS)
        statements.append(Statement(f"RemoveBackups{number}", ("s3:DeleteObject",), (place.objects(f"{_BACKUPS}*"),)))
        statements += _key(f"Backups{number}", place, ("kms:Decrypt",))
    # A backup that an unfinished restore uses stays: the journals say which.
    statements += _reads("Runs", _state(settings), "runs/")
    return policy(statements)


def policy(statements: Iterable[Statement]) -> dict[str, Any]:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": [statement.document for statement in statements]}


def account_of(settings: Settings) -> str:
    """The configured account, or a placeholder."""
    return settings.aws.account_id or PLACEHOLDER


def _identity(settings: Settings) -> Iterator[Statement]:
    if settings.aws.account_id is not None:
        # No policy can deny it either; it is here so that the list of what is called is whole.
        yield Statement("SayWhoseCredentials", ("sts:GetCallerIdentity",), ("*",))


def _looks(settings: Settings) -> Iterator[Statement]:
    state = _state(settings)
    kept = ("positions/", "offset-syncs/")
    yield Statement("ReadLineageAndTopicIds", ("s3:GetObject",), (state.objects("lineage.json"), *_topics(state)))
    # S3 tells an object that is not there from one that may not be read only to who may list it (s3:prefix is its key).
    yield _list("Looks", state, *(f"{keys}*" for keys in kept), "lineage.json", "topics/*")
    yield Statement("ReadLooks", ("s3:GetObject",), tuple(state.objects(f"{key}*") for key in kept))
    yield Statement("KeepLooks", ("s3:PutObject",), tuple(state.objects(f"{key}*") for key in kept), _NEW_ONLY)
    yield Statement("ForgetOldLooks", ("s3:DeleteObject",), tuple(state.objects(f"{key}*") for key in kept))
    yield Statement("BeginTopicIds", ("s3:PutObject",), _topics(state), _NEW_ONLY)
    yield Statement("AddTopicIds", ("s3:PutObject",), _topics(state), _CONDITIONAL)


def _topics(state: _Place) -> tuple[str, ...]:
    return (state.objects("topics/*"),)


def _vault(settings: Settings) -> Iterator[Statement]:
    for number, place in enumerate(_replicas(settings)):
        yield from _reads(f"Backups{number}", place, _BACKUPS)
        keys = (place.objects(f"{_BACKUPS}*"),)
        yield Statement(f"AddBackups{number}", ("s3:PutObject",), keys, _NEW_ONLY)
        if place.backup is not None and place.backup.object_lock is not None:
            yield Statement(f"LockBackups{number}", ("s3:PutObjectRetention",), keys)
        yield from _key(f"Backups{number}", place, ("kms:Decrypt", "kms:GenerateDataKey"))


def _reads(sid: str, place: _Place, prefix: str) -> Iterator[Statement]:
    yield Statement(f"Read{sid}", ("s3:GetObject",), (place.objects(f"{prefix}*"),))
    yield _list(sid, place, f"{prefix}*")


def _list(sid: str, place: _Place, *keys: str) -> Statement:
    listed = sorted(place.prefix + one for one in keys)
    return Statement(f"List{sid}", ("s3:ListBucket",), (place.arn,), {"StringLike": {"s3:prefix": listed}})


def _key(sid: str, place: _Place, actions: tuple[str, ...]) -> Iterator[Statement]:
    key = place.backup.kms_key_id if place.backup is not None else None
    if key is None:
        return
    partition = partition_of(place.region)
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    condition: dict[str, Any] = {"StringEquals": {"kms:ViaService": f"s3.{place.region}.{suffix}"}}
    arn = key if key.startswith("arn:") else f"arn:{partition}:kms:{place.region}:{PLACEHOLDER}:key/{key}"
    if "alias/" in key:
        # A policy names no alias as a resource, but keys that have it (AWS KMS Developer Guide, "Using aliases").
        alias = key[key.index("alias/") :]
        arn = f"{arn.partition(':alias/')[0].partition(':key/')[0]}:key/*"
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": alias}
    yield Statement(f"UseKeyOf{sid}", actions, (arn,), condition)


def _zones(settings: Settings) -> Iterator[Statement]:
    zones = sorted({target.zone_id.rpartition("/")[2] for target in settings.redirect})
    if zones:
        partition = partition_of(settings.state.region)
        arns = tuple(f"arn:{partition}:route53:::hostedzone/{zone}" for zone in zones)
        yield Statement("ReadRedirects", ("route53:GetHostedZone", "route53:ListResourceRecordSets"), arns)


def _clusters(settings: Settings, jobs: Collection[JobSpec]) -> Iterator[Statement]:
    for number, (name, region) in enumerate(settings.regions.items()):
        auth = region.cluster.auth
        if not isinstance(auth, IamAuth):
            continue
        if auth.role_arn is not None:
            yield Statement(f"BecomeReaderOf{number}", ("sts:AssumeRole",), (auth.role_arn,))
            continue
        kind = f"arn:{partition_of(auth.region)}:kafka:{auth.region}:{account_of(settings)}"
        # An MSK cluster's ARN ends in a name and a UUID, which its bootstrap servers do not tell.
        cluster = f"{PLACEHOLDER}-{name}/*"
        yield Statement(f"ReadCluster{number}", _READ_CLUSTER, (f"{kind}:cluster/{cluster}",))
        # Records are read by looks only: those at the groups' positions, and the offset syncs.
        reads = (*_READ_TOPIC, "kafka-cluster:ReadData") if any(job.is_look for job in jobs) else _READ_TOPIC
        yield Statement(f"ReadTopics{number}", reads, (f"{kind}:topic/{cluster}/*",))
        yield Statement(f"ReadGroups{number}", ("kafka-cluster:DescribeGroup",), (f"{kind}:group/{cluster}/*",))


def _state(settings: Settings) -> _Place:
    return _Place(settings.state.bucket, settings.state.region, _prefix(settings.state.prefix))


def _replicas(settings: Settings) -> list[_Place]:
    """Where backups go: as ``drkit.bootstrap`` has it."""
    found = [
        _Place(one.bucket, one.region or name, _prefix(one.prefix), one)
        for name, region in settings.regions.items()
        if (one := region.backup) is not None
    ]
    return found or [_state(settings)]


def _prefix(prefix: str) -> str:
    """As ``S3ObjectStore`` has it."""
    return f"{prefix.strip('/')}/" if prefix.strip("/") else ""
