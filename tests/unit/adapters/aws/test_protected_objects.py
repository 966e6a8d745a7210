"""Objects that are encrypted and locked, and buckets that are elsewhere."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Final

import pytest

from drkit.adapters.aws.objects import Protection, S3ObjectStore
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.local.clock import SystemClock
from drkit.errors import RefusedError
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import ScriptedHttpServer, aws_error

REGION: Final = "ap-northeast-1"


@pytest.fixture(scope="module", name="bucket")
def _bucket(moto_endpoint: str, no_aws_identity: None) -> str:
    """A bucket with Object Lock, which needs versions."""
    name = f"backups-{uuid.uuid4().hex}"
    session = AwsSession(SystemClock(), region=REGION, endpoint_url=moto_endpoint)
    session.s3().create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}, ObjectLockEnabledForBucket=True
    )
    return name


def store(url: str, bucket: str, protection: Protection) -> S3ObjectStore:
    clock = FakeClock()
    session = AwsSession(clock, region=REGION, endpoint_url=url)
    return S3ObjectStore(
        session, clock, bucket=bucket, region=REGION, request_seconds=5, prefix=uuid.uuid4().hex, protection=protection
    )


def test_what_is_not_asked_for_is_not_sent(between: ScriptedHttpServer, bucket: str) -> None:
    store(between.url, bucket, Protection()).create("a", b"1")
    assert not [name for name in between.requests[0].headers if "encryption" in name or "object-lock" in name]


def test_objects_are_encrypted_with_the_key(between: ScriptedHttpServer, bucket: str, moto_endpoint: str) -> None:
    key = "arn:aws:kms:ap-northeast-1:123456789012:key/1"
    kept = store(between.url, bucket, Protection(kms_key_id=key))
    kept.create("a", b"1")
    headers = between.requests[0].headers
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == key
    found = kept.get("a")
    assert found is not None
    assert found.body == b"1"


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_objects_are_locked_for_so_many_days(between: ScriptedHttpServer, bucket: str, mode: str) -> None:
    kept = store(between.url, bucket, Protection(None, mode, 30))  # type: ignore[arg-type]
    kept.create("a", b"1")
    headers = between.requests[0].headers
    assert headers["x-amz-object-lock-mode"] == mode.upper()
    until = datetime.fromisoformat(headers["x-amz-object-lock-retain-until-date"].replace("Z", "+00:00"))
    assert until - FakeClock().now() == timedelta(days=30)
    # Amazon S3 API reference, "PutObject": a locked object is taken only with this.
    assert headers["x-amz-sdk-checksum-algorithm"] == "SHA256"
    assert "x-amz-trailer" not in headers


@pytest.mark.parametrize(
    "code", ["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"]
)
def test_a_bucket_in_another_region_is_named_as_such(between: ScriptedHttpServer, bucket: str, code: str) -> None:
    """Where the client cannot find out by itself in which."""
    between.reset(aws_error(400, code, "the region 'ap-northeast-1' is wrong"))
    with pytest.raises(RefusedError) as refused:
        store(between.url, bucket, Protection()).create("a", b"1")
    assert "is not in ap-northeast-1: correct the region beside it" in refused.value.hint


def test_a_bucket_that_is_not_there_is_refused(moto_endpoint: str, no_aws_identity: None) -> None:
    with pytest.raises(RefusedError, match="NoSuchBucket") as refused:
        store(moto_endpoint, "no-such-bucket", Protection()).create("a", b"1")
    assert "create the bucket" in refused.value.hint
