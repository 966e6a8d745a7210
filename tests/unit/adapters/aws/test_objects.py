"""S3 when it does not simply answer: faults between here and moto, and answers that moto never gives."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from functools import cache
from typing import Final

import pytest

from drkit.adapters.aws.objects import S3ObjectStore
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.local.clock import SystemClock
from drkit.errors import AuthError, RefusedError, UnreachableError
from drkit.ports import PreconditionFailed
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import ScriptedHttpServer, aws_error, drip, forward, hang_up, http_server, reply, silence

REGION: Final = "ap-southeast-1"


@pytest.fixture(scope="module")
def bucket(moto_endpoint: str, no_aws_identity: None) -> str:
    name = f"state-{uuid.uuid4().hex}"
    session = AwsSession(SystemClock(), region=REGION, endpoint_url=moto_endpoint)
    session.s3().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@cache
def _session(url: str, seconds: float, account_id: str | None) -> AwsSession:
    return AwsSession(FakeClock(), region=REGION, endpoint_url=url, request_seconds=seconds, account_id=account_id)


def _store(url: str, bucket: str, *, seconds: float = 5, account_id: str | None = None) -> S3ObjectStore:
    return S3ObjectStore(
        _session(url, seconds, account_id),
        SystemClock(),
        bucket=bucket,
        region=REGION,
        prefix=f"test/{uuid.uuid4().hex}",
        request_seconds=seconds,
    )


def _methods(server: ScriptedHttpServer) -> list[str]:
    return [request.method for request in server.requests]


def test_a_write_is_one_request_with_its_condition_and_checksum(between: ScriptedHttpServer, bucket: str) -> None:
    _store(between.url, bucket).create("runs/1/00000001.json", b"event")
    assert _methods(between) == ["PUT"]
    headers = between.requests[0].headers
    assert headers["if-none-match"] == "*"
    assert headers["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(b"event").digest()).decode()
    assert "expect" not in headers
    assert between.requests[0].body == b"event"


def test_a_replace_carries_the_etag(between: ScriptedHttpServer, bucket: str) -> None:
    store = _store(between.url, bucket)
    etag = store.create("lease.json", b"1")
    store.replace("lease.json", b"2", etag)
    assert between.requests[1].headers["if-match"] == etag


def test_a_create_whose_answer_is_lost_is_not_sent_again(
    between: ScriptedHttpServer, moto_endpoint: str, bucket: str
) -> None:
    store = _store(between.url, bucket)
    between.on_next(forward(moto_endpoint, lose_answer=True))
    with pytest.raises(UnreachableError):
        store.create("runs/1/00000001.json", b"event")
    assert _methods(between) == ["PUT"]
    found = store.get("runs/1/00000001.json")
    assert found is not None
    assert found.body == b"event"


def test_a_create_that_times_out_is_not_sent_again(between: ScriptedHttpServer, bucket: str) -> None:
    store = _store(between.url, bucket, seconds=0.3)
    between.on_next(silence(5))
    started = time.monotonic()
    with pytest.raises(UnreachableError):
        store.create("runs/1/00000001.json", b"event")
    assert time.monotonic() - started < 2
    assert _methods(between) == ["PUT"]


def test_a_create_that_meets_a_server_error_is_not_sent_again(between: ScriptedHttpServer, bucket: str) -> None:
    between.on_next(aws_error(500, "InternalError", "We encountered an internal error."))
    with pytest.raises(UnreachableError, match="InternalError"):
        _store(between.url, bucket).create("runs/1/00000001.json", b"event")
    assert _methods(between) == ["PUT"]


@pytest.mark.parametrize(
    ("status", "code"), [(409, "ConditionalRequestConflict"), (503, "SlowDown"), (400, "RequestTimeout")]
)
def test_a_create_that_s3_did_not_take_is_sent_again(
    between: ScriptedHttpServer, bucket: str, status: int, code: str
) -> None:
    between.on_next(aws_error(status, code), aws_error(status, code))
    _store(between.url, bucket).create("runs/1/00000001.json", b"event")
    assert _methods(between) == ["PUT", "PUT", "PUT"]


def test_a_conflict_that_never_ends_is_given_up(between: ScriptedHttpServer, bucket: str) -> None:
    between.default = aws_error(409, "ConditionalRequestConflict")
    with pytest.raises(UnreachableError, match="ConditionalRequestConflict"):
        _store(between.url, bucket).create("lease.json", b"1")
    # With pauses that double from 0.1 s to 2 s, on the clock that only they move.
    assert 5 <= len(between.requests) <= 12


def test_the_loser_of_a_conflict_learns_that_it_lost(between: ScriptedHttpServer, bucket: str) -> None:
    store = _store(between.url, bucket)
    store.create("lease.json", b"other")
    between.on_next(aws_error(409, "ConditionalRequestConflict"))
    with pytest.raises(PreconditionFailed):
        store.create("lease.json", b"mine")


def test_reads_are_repeated_after_a_broken_connection(between: ScriptedHttpServer, bucket: str) -> None:
    store = _store(between.url, bucket)
    store.create("lease.json", b"1")
    between.on_next(hang_up, aws_error(500, "InternalError"))
    found = store.get("lease.json")
    assert found is not None
    assert found.body == b"1"
    between.on_next(hang_up)
    assert list(store.list("")) == ["lease.json"]


def test_reads_give_up_after_three_attempts(between: ScriptedHttpServer, bucket: str) -> None:
    between.default = hang_up
    with pytest.raises(UnreachableError):
        _store(between.url, bucket).get("lease.json")
    assert len(between.requests) == 3


def test_nobody_listens(bucket: str) -> None:
    with http_server(hang_up) as server:
        pass
    store = _store(server.url, bucket)
    for call in (lambda: store.get("a"), lambda: store.create("a", b""), lambda: list(store.list(""))):
        with pytest.raises(UnreachableError) as caught:
            call()
        assert caught.value.hint


def test_a_body_in_drops_ends_at_the_deadline(between: ScriptedHttpServer, bucket: str) -> None:
    head = b'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nETag: "1"\r\nConnection: close\r\n\r\n'
    between.default = drip(head, b"x" * 10_000, every_seconds=0.02, drops=100)
    started = time.monotonic()
    with pytest.raises(UnreachableError):
        _store(between.url, bucket, seconds=0.3).get("lease.json")
    assert time.monotonic() - started < 2


def test_a_body_that_is_cut_is_not_taken(between: ScriptedHttpServer, bucket: str) -> None:
    head = b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "1"\r\n\r\n'
    between.default = drip(head, b"abc", every_seconds=0, drops=1)
    with pytest.raises(UnreachableError):
        _store(between.url, bucket).get("lease.json")


def test_a_body_that_does_not_match_its_checksum_is_not_taken(between: ScriptedHttpServer, bucket: str) -> None:
    checksum = base64.b64encode(hashlib.sha256(b"true").digest()).decode()
    between.default = reply(200, b"fake", ETag='"1"', x_amz_checksum_sha256=checksum)
    with pytest.raises(UnreachableError, match="checksum"):
        _store(between.url, bucket).get("lease.json")


def test_a_page_of_a_portal_is_not_taken_for_s3(between: ScriptedHttpServer, bucket: str) -> None:
    between.default = reply(200, "<html>Welcome", content_type="text/html")
    with pytest.raises(UnreachableError):
        list(_store(between.url, bucket).list(""))


def test_a_missing_bucket_is_named(moto_endpoint: str, no_aws_identity: None) -> None:
    store = _store(moto_endpoint, "no-such-bucket")
    for call in (lambda: store.get("a"), lambda: store.create("a", b""), lambda: store.replace("a", b"", '"x"')):
        with pytest.raises(RefusedError, match="no-such-bucket") as caught:
            call()
        assert "create the bucket" in caught.value.hint
    with pytest.raises(RefusedError, match="no-such-bucket"):
        list(store.list(""))


def test_a_refused_read_is_no_missing_object(between: ScriptedHttpServer, bucket: str) -> None:
    between.default = aws_error(403, "AccessDenied", "not authorized to perform: s3:GetObject")
    with pytest.raises(AuthError, match="s3:GetObject"):
        _store(between.url, bucket).get("lease.json")
    assert len(between.requests) == 1


def test_connections_are_kept(between: ScriptedHttpServer, bucket: str) -> None:
    store = S3ObjectStore(
        AwsSession(SystemClock(), region=REGION, endpoint_url=between.url),
        SystemClock(),
        bucket=bucket,
        region=REGION,
        prefix=uuid.uuid4().hex,
        request_seconds=5,
    )
    for number in range(5):
        store.create(f"runs/1/{number:08d}.json", b"event")
    with pytest.raises(PreconditionFailed):
        store.create("runs/1/00000001.json", b"event")
    assert store.get("runs/1/00000002.json") is not None
    assert between.connections == 1


def test_the_owner_of_the_bucket_is_checked_by_s3_itself(between: ScriptedHttpServer, bucket: str) -> None:
    store = _store(between.url, bucket, account_id="123456789012")
    store.create("lease.json", b"1")
    store.get("lease.json")
    list(store.list(""))
    assert {request.headers["x-amz-expected-bucket-owner"] for request in between.requests} == {"123456789012"}


def test_lists_go_on_over_pages(between: ScriptedHttpServer, bucket: str) -> None:
    def page(keys: list[str], token: str) -> str:
        contents = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        return f"<ListBucketResult>{contents}{more if token else ''}</ListBucketResult>"

    store = _store(between.url, bucket)
    prefix = store._prefix
    between.on_next(reply(200, page([f"{prefix}a", f"{prefix}b"], "t/1")), reply(200, page([f"{prefix}c"], "")))
    assert list(store.list("")) == ["a", "b", "c"]
    assert "continuation-token=t%2F1" in between.requests[1].target
