"""Rules for backups, schema registries and alerts: a loss of one region must not take what is needed then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from drkit.config.models import IamAuth, Settings
from drkit.config.protection import Backup
from drkit.config.yaml_text import Path
from drkit.domain.aws_names import TopicArn

BUCKET: Final = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_AWS_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_KEY_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:(key|alias)/.+")
_LONGEST_LOCK_DAYS: Final = 36_500
_LONG_COMPLIANCE_DAYS: Final = 400

Finding = tuple[Path, str, bool]
"""Path, message, and whether it is an error (else a warning)."""


def protection_rules(settings: Settings) -> Iterator[Finding]:
    """Apply every rule."""
    buckets: dict[str, str] = {}
    places: dict[str, str] = {}
    for name, region in settings.regions.items():
        backup, path = region.backup, ("regions", name, "backup")
        if backup is None:
            if any(other.backup for other in settings.regions.values()):
                yield path, "is missing: every backup would be in one bucket only", False
            continue
        yield from _bucket(settings, name, backup)
        yield from _lock(backup, path)
        if (first := buckets.setdefault(backup.bucket, name)) != name:
            yield (*path, "bucket"), f"is that of {first}: each region needs a bucket of its own", True
        if (first := places.setdefault(backup.region or name, name)) != name:
            yield (*path, "region"), f"is that of {first}'s: a loss of it takes every backup", False
    yield from _alerts(settings)


def _bucket(settings: Settings, name: str, backup: Backup) -> Iterator[Finding]:
    path: Path = ("regions", name, "backup")
    if not BUCKET.fullmatch(backup.bucket):
        yield (*path, "bucket"), f"{backup.bucket!r} is no name of an S3 bucket", True
    if backup.prefix.startswith("/") or "//" in backup.prefix:
        yield (*path, "prefix"), "must not begin with a slash or hold two in a row: S3 keys are no paths", True
    own, at = _aws_region(settings, name), backup.region or name
    if backup.region is None and own is not None and own != name:
        yield (*path, "region"), f"is missing: {name} is no region of AWS, and its cluster is in {own}", True
    elif own is not None and at != own:
        yield (*path, "region"), f"is not {own}: each region's bucket should lie in that region", False
    key = _KEY_ARN.fullmatch(backup.kms_key_id or "")
    if key and key["region"] != at:
        yield (*path, "kms_key_id"), f"is a key of {key['region']}: S3 needs one of the bucket's region, {at}", True


def _lock(backup: Backup, path: Path) -> Iterator[Finding]:
    if backup.object_lock is None:
        if "object_lock_days" in backup.model_fields_set:
            yield (*path, "object_lock_days"), "has no effect without object_lock: governance or compliance", False
    elif backup.object_lock_days > _LONGEST_LOCK_DAYS:
        yield (*path, "object_lock_days"), f"is more than S3 takes, {_LONGEST_LOCK_DAYS} (100 years)", True
    elif backup.object_lock == "compliance" and backup.object_lock_days > _LONG_COMPLIANCE_DAYS:
        message = f"of compliance: nobody can remove a backup for {backup.object_lock_days} days, and all are paid for"
        yield (*path, "object_lock_days"), message, False


def _alerts(settings: Settings) -> Iterator[Finding]:
    arn, path = settings.alerts.sns_topic_arn, ("alerts", "sns_topic_arn")
    if arn is None:
        return
    topic = TopicArn.parse(arn)
    if topic is None:
        yield path, f"{arn!r} is no ARN of an SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME)", True
    elif topic.region == _aws_region(settings, settings.primary):
        yield path, f"is in {topic.region}, the primary's region: when that is lost, nobody is told", False


def _aws_region(settings: Settings, name: str) -> str | None:
    """Where in AWS a region is, as far as the file says: its name, or that of its cluster's identity."""
    if _AWS_REGION.fullmatch(name):
        return name
    auth = settings.regions[name].cluster.auth if name in settings.regions else None
    return auth.region if isinstance(auth, IamAuth) else None
