"""What every object store does: the fake, a local directory, and S3 (moto over HTTP)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from drkit.adapters.aws.objects import S3ObjectStore
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.local.clock import SystemClock
from drkit.adapters.local.files import LocalObjectStore
from drkit.errors import RefusedError
from drkit.ports import ObjectStore, PreconditionFailed
from tests.fakes.aws import FakeObjectStore

REGION: Final = "ap-southeast-1"
RACERS = 16


@pytest.fixture(scope="module")
def session(moto_endpoint: str, no_aws_identity: None) -> AwsSession:
    return AwsSession(SystemClock(), region=REGION, endpoint_url=moto_endpoint, request_seconds=10)


def _s3_store(session: AwsSession) -> ObjectStore:
    bucket = f"state-{uuid.uuid4().hex}"
    session.s3().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    return S3ObjectStore(
        session, SystemClock(), bucket=bucket, region=REGION, prefix="/genai-demo/staging/", request_seconds=10
    )


@pytest.fixture(params=["fake", "directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "fake":
        return FakeObjectStore()
    if request.param == "directory":
        return LocalObjectStore(tmp_path / "state")
    return _s3_store(request.getfixturevalue("session"))


def test_an_object_that_was_never_written_is_none(store: ObjectStore) -> None:
    assert store.get("runs/1/00000001.json") is None


@pytest.mark.parametrize("body", [b"", b"one", "雪 \x00\n".encode(), bytes(range(256)) * 4096])
def test_what_was_created_is_read_back_whole(store: ObjectStore, body: bytes) -> None:
    etag = store.create("runs/1/00000001.json", body)
    found = store.get("runs/1/00000001.json")
    assert found is not None
    assert (found.key, found.body, found.etag) == ("runs/1/00000001.json", body, etag)


def test_what_exists_cannot_be_created_again(store: ObjectStore) -> None:
    store.create("lease.json", b"first")
    with pytest.raises(PreconditionFailed):
        store.create("lease.json", b"second")
    with pytest.raises(PreconditionFailed):
        store.create("lease.json", b"first")
    found = store.get("lease.json")
    assert found is not None
    assert found.body == b"first"


def test_the_holder_of_the_etag_replaces(store: ObjectStore) -> None:
    first = store.create("lease.json", b"first")
    second = store.replace("lease.json", b"second", first)
    found = store.get("lease.json")
    assert found is not None
    assert (found.body, found.etag) == (b"second", second)
    assert second != first


def test_an_old_etag_replaces_nothing(store: ObjectStore) -> None:
    first = store.create("lease.json", b"first")
    store.replace("lease.json", b"second", first)
    with pytest.raises(PreconditionFailed):
        store.replace("lease.json", b"third", first)
    found = store.get("lease.json")
    assert found is not None
    assert found.body == b"second"


def test_what_is_not_there_cannot_be_replaced(store: ObjectStore) -> None:
    etag = store.create("lease.json", b"first")
    with pytest.raises(PreconditionFailed):
        store.replace("lineage.json", b"first", etag)
    assert store.get("lineage.json") is None


def test_what_is_deleted_is_gone_and_may_be_written_anew(store: ObjectStore) -> None:
    store.create("samples/1.parquet", b"first")
    store.create("samples/10.parquet", b"other")
    for _ in range(2):
        store.delete("samples/1.parquet")
        assert store.get("samples/1.parquet") is None
    assert list(store.list("samples/")) == ["samples/10.parquet"]
    store.create("samples/1.parquet", b"second")


def test_keys_are_listed_in_order_by_any_beginning(store: ObjectStore) -> None:
    keys = ["runs/b/00000002.json", "runs/a/00000001.json", "lease.json", "runs/b/00000010.json", "runs/ab/1.json"]
    for key in keys:
        store.create(key, b"x")
    assert list(store.list("")) == sorted(keys)
    assert list(store.list("runs/")) == sorted(key for key in keys if key.startswith("runs/"))
    assert list(store.list("runs/b/")) == ["runs/b/00000002.json", "runs/b/00000010.json"]
    assert list(store.list("runs/a")) == ["runs/a/00000001.json", "runs/ab/1.json"]
    assert list(store.list("runs/b/00000002.json")) == ["runs/b/00000002.json"]
    assert list(store.list("snapshots/")) == []


ODD_KEYS = ["", "/lease.json", "lease.json/", "runs//1", "..", "runs/../lease.json", "runs/./1", ".hidden", "a b"]
ODD_KEYS += ["a\nb", "a\x00", "runs/..\\x", "é", "x" * 901]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_keys_that_leave_the_directory_or_are_odd_are_refused(store: ObjectStore, key: str) -> None:
    for call in (
        lambda: store.get(key),
        lambda: store.create(key, b""),
        lambda: store.replace(key, b"", '"x"'),
        lambda: store.delete(key),
    ):
        with pytest.raises(RefusedError, match="cannot be the key"):
            call()
    if key not in ("", "lease.json/"):
        with pytest.raises(RefusedError, match="cannot be the key"):
            list(store.list(key))


def test_of_many_that_create_one_wins(store: ObjectStore) -> None:
    for round_number in range(5):
        key = f"runs/race/{round_number:08d}.json"
        winners = _race(lambda racer, key=key: store.create(key, b"racer %d" % racer))  # type: ignore[misc]
        assert len(winners) == 1
        found = store.get(key)
        assert found is not None
        assert found.body == b"racer %d" % winners[0]


def test_of_many_that_replace_one_wins(store: ObjectStore) -> None:
    etag = store.create("lease.json", b"before")
    for round_number in range(5):
        winners = _race(
            lambda racer, etag=etag, n=round_number: store.replace("lease.json", b"%d by %d" % (n, racer), etag)  # type: ignore[misc]
        )
        assert len(winners) == 1
        found = store.get("lease.json")
        assert found is not None
        assert found.body == b"%d by %d" % (round_number, winners[0])
        etag = found.etag


def test_counting_under_contention_loses_nothing(store: ObjectStore) -> None:
    """Four threads increment one object by compare-and-set, five times each."""
    store.create("counter.json", b"0 start")

    def increment(worker: int) -> None:
        done = 0
        while done < 5:
            found = store.get("counter.json")
            assert found is not None
            body = b"%d worker %d step %d" % (int(found.body.split()[0]) + 1, worker, done)
            try:
                store.replace("counter.json", body, found.etag)
            except PreconditionFailed:
                continue
            done += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(increment, range(4)))
    found = store.get("counter.json")
    assert found is not None
    assert found.body.split()[0] == b"20"


def _race(attempt: Callable[[int], object]) -> list[int]:
    """Those of 16 that start at once and succeed."""
    start = threading.Barrier(RACERS)

    def run(racer: int) -> bool:
        start.wait(timeout=10)
        try:
            attempt(racer)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(RACERS) as pool:
        return [racer for racer, won in enumerate(pool.map(run, range(RACERS))) if won]
