"""How a region is backed up, and who is told when that fails."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from drkit.config.base import Model, SecretRef


class Backup(Model):
    """A bucket that holds backups. Each region has one of its own: every backup goes to both, whichever it is of."""

    bucket: str
    region: str | None = None
    """The bucket's region; None: the region that it is configured for."""
    prefix: str = ""
    kms_key_id: str | None = None
    """Objects are encrypted with this key of AWS KMS; None: as the bucket does by default."""
    object_lock: Literal["governance", "compliance"] | None = None
    """Objects cannot be changed or removed before ``object_lock_days`` are over (S3 Object Lock)."""
    object_lock_days: PositiveInt = 30


class SchemaRegistry(Model):
    """A schema registry with Confluent's REST interface; of Apicurio, the address that ends in ``/apis/ccompat/v7``."""

    url: str
    username: str | None = None
    password: SecretRef | None = None


class Alerts(Model):
    """Who is told when a scheduled job fails."""

    sns_topic_arn: str | None = None
