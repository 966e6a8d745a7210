"""A directory stands in for a dark state bucket: who is primary, whose it is, and when it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from drkit.adapters.local.files import LocalObjectStore
from drkit.config.models import Settings
from drkit.domain.lineage import Epoch, EpochState, Lineage, dump
from drkit.errors import RefusedError, UsageError
from drkit.steps.stand_in import KEY, StandIn, stand_in
from tests.fakes.aws import FakeObjectStore
from tests.unit.config import sample

TAIPEI, TOKYO = "taipei", "tokyo"


@pytest.fixture
def bucket() -> FakeObjectStore:
    return FakeObjectStore()


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "state")


def begin(
    store: LocalObjectStore, bucket: FakeObjectStore, primary: str | None = None, settings: Settings | None = None
) -> StandIn:
    return stand_in(settings or sample.settings(), "local:/d", store, bucket, primary=primary)


def epoch(source: str, target: str, state: EpochState = EpochState.IN_FORCE, run_id: str = "r1") -> Epoch:
    return Epoch(run_id, source, target, "planned", "2026-01-01T00:00:00+00:00", state, {})


def test_an_empty_directory_needs_the_primary_once(store: LocalObjectStore, bucket: FakeObjectStore) -> None:
    with pytest.raises(RefusedError, match="nobody knows which region is primary") as caught:
        begin(store, bucket)
    assert "drkit.yaml says taipei" in caught.value.hint
    assert list(store.list("")) == []
    assert begin(store, bucket, TOKYO).primary == TOKYO
    assert begin(store, bucket).primary == TOKYO
    assert list(store.list("")) == [KEY]


def test_a_primary_is_a_region(store: LocalObjectStore, bucket: FakeObjectStore) -> None:
    with pytest.raises(UsageError, match="osaka is not a region"):
        begin(store, bucket, "osaka")


def test_a_wrong_primary_can_be_corrected_until_a_run_was_begun(
    store: LocalObjectStore, bucket: FakeObjectStore
) -> None:
    begin(store, bucket, TOKYO)
    assert begin(store, bucket, TAIPEI).primary == TAIPEI
    store.create("runs/r1/00000000.json", b"{}")
    with pytest.raises(RefusedError, match="taipei is the primary, not tokyo"):
        begin(store, bucket, TOKYO)
    assert begin(store, bucket, TAIPEI).primary == TAIPEI


def test_a_change_of_direction_on_record_counts(store: LocalObjectStore, bucket: FakeObjectStore) -> None:
    begin(store, bucket, TOKYO)
    store.create("lineage.json", dump(Lineage((epoch(TOKYO, TAIPEI),))))
    found = begin(store, bucket, TAIPEI)
    assert found.primary == TOKYO, "before the change"
    with pytest.raises(RefusedError, match="taipei is the primary, not tokyo"):
        begin(store, bucket, TOKYO)


def test_a_lineage_that_was_copied_tells_the_primary(store: LocalObjectStore, bucket: FakeObjectStore) -> None:
    store.create("lineage.json", dump(Lineage((epoch(TAIPEI, TOKYO),))))
    with pytest.raises(RefusedError, match="tokyo is the primary, not taipei"):
        begin(store, bucket, TAIPEI)
    assert begin(store, bucket).primary == TAIPEI, "as configured, before any change"


def test_each_service_has_a_directory_of_its_own(store: LocalObjectStore, bucket: FakeObjectStore) -> None:
    begin(store, bucket, TAIPEI)
    other = sample.settings(sample.changed("project", "billing"))
    with pytest.raises(RefusedError, match="the state of another service"):
        begin(store, bucket, settings=other)
    clusters = sample.settings(sample.changed("regions.tokyo.cluster.cluster_id", "new"))
    with pytest.raises(RefusedError, match="the state of another service"):
        begin(store, bucket, settings=clusters)


def test_what_is_no_record_of_a_stand_in_is_refused(store: LocalObjectStore, bucket: FakeObjectStore) -> None:
    store.create(KEY, b"[]")
    with pytest.raises(RefusedError, match="cannot be read"):
        begin(store, bucket)


def test_a_bucket_that_takes_writes_is_not_stood_in_for(store: LocalObjectStore, bucket: FakeObjectStore) -> None:
    with pytest.raises(RefusedError, match="the state bucket answers"):
        begin(store, bucket, TAIPEI).require_needed()
    assert bucket.objects == {}, "the probe is removed"


def test_a_dark_bucket_is_stood_in_for(store: LocalObjectStore, bucket: FakeObjectStore) -> None:
    bucket.is_dark = True
    begin(store, bucket, TAIPEI).require_needed()


def test_a_bucket_that_can_only_be_read_is_stood_in_for_unless_its_lineage_has_another_primary(
    store: LocalObjectStore, bucket: FakeObjectStore
) -> None:
    def refuse() -> object:
        raise RefusedError("503")

    bucket.objects["lineage.json"] = dump(Lineage((epoch(TAIPEI, TOKYO),)))
    bucket.on_next("create", refuse, refuse)
    begin(store, bucket, TOKYO).require_needed()
    with pytest.raises(RefusedError, match="has tokyo as the primary, and local:/d has taipei"):
        begin(store, bucket, TAIPEI).require_needed()
