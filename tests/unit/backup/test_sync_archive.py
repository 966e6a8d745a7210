"""The archive of offset syncs: appended in pieces, joined, and whole whatever happens in between."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.backup import sync_archive
from drkit.backup.sync_archive import SyncArchive
from drkit.domain.kafka import TopicPartition
from drkit.domain.mm2_records import OffsetSync
from drkit.domain.sync_log import LoggedSync, by_partition, is_whole, joined, unbroken
from drkit.errors import RefusedError, UnreachableError
from tests.fakes.aws import FakeObjectStore
from tests.fakes.scripted import Fault


def sync(offset: int) -> LoggedSync:
    return LoggedSync(offset, 1000 + offset, OffsetSync(TopicPartition("t", offset % 3), 10 * offset, 11 * offset))


def archive(store: FakeObjectStore) -> SyncArchive:
    return SyncArchive(store, "taipei-tokyo", "id-1")


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), max_size=12), st.sets(st.integers(0, 11)))
def test_what_was_appended_is_read_in_order(sizes: list[int], joins: set[int]) -> None:
    store, at = FakeObjectStore(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sync_archive, "_JOINED", 3)
        for number, size in enumerate(sizes):
            archive(store).append([sync(offset) for offset in range(at, at + size)])
            at += size
            if number in joins:
                archive(store).join()
            assert archive(store).archived_to == at
    assert archive(store).read() == [sync(offset) for offset in range(at)]


def test_two_watches_that_overlap_add_each_sync_once() -> None:
    store = FakeObjectStore()
    archive(store).append([sync(n) for n in range(4)])
    archive(store).append([sync(n) for n in range(2, 6)])
    assert archive(store).append([sync(n) for n in range(2, 6)]) == 0, "the same again"
    assert archive(store).read() == [sync(n) for n in range(6)]


def test_joining_is_interrupted_anywhere_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_archive, "_JOINED", 3)
    for call, number in (("create", 0), ("delete", 0), ("delete", 1), ("delete", 2)):
        store = FakeObjectStore()
        for n in range(3):
            archive(store).append([sync(n)])
        healthy: list[object] = [lambda: None] * number
        store.on_next(call, *healthy, Fault.NOT_ARRIVED)  # type: ignore[arg-type]
        with pytest.raises(UnreachableError):
            archive(store).join()
        assert archive(store).read() == [sync(n) for n in range(3)]
        archive(store).append([sync(3)])
        archive(store).join()
        assert archive(store).read() == [sync(n) for n in range(4)]


def test_joined_it_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_archive, "_JOINED", 3)
    store = FakeObjectStore()
    for n in range(3):
        archive(store).append([sync(n)])
    assert archive(store).join() == 3
    assert list(store.objects) == ["offset-syncs/taipei-tokyo/id-1/000000000000-000000000002.parquet"]


def test_another_topic_of_the_same_name_has_an_archive_of_its_own() -> None:
    store = FakeObjectStore()
    archive(store).append([sync(0)])
    assert SyncArchive(store, "taipei-tokyo", "id-2").read() == []


def test_a_damaged_object_is_named() -> None:
    store = FakeObjectStore()
    archive(store).append([sync(0)])
    (key,) = store.objects
    store.objects[key] = b"x"
    with pytest.raises(RefusedError, match=key):
        archive(store).read()


def test_gaps_are_seen() -> None:
    assert is_whole([])
    assert is_whole([sync(0), sync(1)])
    assert not is_whole([sync(1), sync(2)]), "the first is missing"
    assert not is_whole([sync(0), sync(2)])


@settings(deadline=None)
@given(st.sets(st.integers(0, 30)))
def test_pieces_are_as_long_as_nothing_is_missing(offsets: set[int]) -> None:
    syncs = [sync(offset) for offset in sorted(offsets)]
    pieces = [list(piece) for piece in unbroken(syncs)]
    assert [one for piece in pieces for one in piece] == syncs
    for piece in pieces:
        assert [one.record_offset for one in piece] == list(range(piece[0].record_offset, piece[-1].record_offset + 1))
    for one, two in pairwise(pieces):
        assert one[-1].record_offset + 1 < two[0].record_offset


def test_archived_and_read_are_one_history() -> None:
    assert joined([sync(0), sync(1)], [sync(1), sync(3)]) == [sync(0), sync(1), sync(3)]
    assert {p.partition: len(own) for p, own in by_partition([sync(0), sync(3), sync(4)]).items()} == {0: 2, 1: 1}
