"""Positions in the bucket: whatever is written in whatever pieces, the newest whole picture is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.backup import position_log
from drkit.backup.position_log import PositionLog, PositionWriter
from drkit.backup.tables import write_table
from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.log_samples import Counted, LogSample, Pace, Silence
from drkit.domain.samples import Alone, KnownPositions, PositionSample, RecordMark
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import StoredObject
from tests.fakes.aws import FakeObjectStore
from tests.fakes.scripted import Fault

P, Q = TopicPartition("t", 0), TopicPartition("u", 3)
ABOUT = {"cluster_id": "c", "watch": "w"}


def known(at_ms: int, offsets: Mapping[str, Mapping[TopicPartition, int]], **ids: str) -> KnownPositions:
    groups = {
        group: {
            p: PositionSample(p, offset, at_ms - 1, _mark(offset), _mark(offset - 1), _alone(offset))
            for p, offset in own.items()
        }
        for group, own in offsets.items()
    }
    return KnownPositions(at_ms, groups, ids)


def _mark(offset: int) -> RecordMark | None:
    return None if offset % 3 == 0 else RecordMark(offset, offset.to_bytes(16, "big", signed=True))


def _alone(offset: int) -> Alone | None:
    return None if offset % 2 == 0 else Alone(offset - 1, offset + 3)


def writer(store: FakeObjectStore, region: str = "taipei") -> PositionWriter:
    return PositionWriter(store, region, ABOUT)


positions = st.dictionaries(
    st.sampled_from(["g", "h"]), st.dictionaries(st.sampled_from([P, Q]), st.integers(0, 9), min_size=1)
)


@settings(deadline=None)
@given(st.lists(st.tuples(positions, st.booleans()), min_size=1, max_size=8))
def test_what_is_read_is_what_was_written_last(looks: list[tuple[dict[str, dict[TopicPartition, int]], bool]]) -> None:
    store = FakeObjectStore()
    ours = writer(store)
    for number, (offsets, is_new_process) in enumerate(looks):
        ours = writer(store) if is_new_process else ours
        now = known(1000 + number, offsets, t="id")
        ours.write(now)
        assert PositionLog(store, "taipei").newest() == now


def test_nobody_watched() -> None:
    store = FakeObjectStore()
    writer(store, "tokyo").write(known(1, {"g": {P: 1}}))
    assert PositionLog(store, "taipei").newest() is None


def test_only_what_moved_is_written_again() -> None:
    store = FakeObjectStore()
    ours = writer(store)
    first = known(1000, {"g": {P: 1, Q: 2}, "h": {P: 4}})
    assert (ours.write(first).rows, ours.write(KnownPositions(2000, first.groups)).rows) == (3, 0)
    moved = KnownPositions(3000, {**first.groups, "g": {P: PositionSample(P, 7, 2999), Q: first.groups["g"][Q]}})
    assert ours.write(moved).rows == 1
    assert ours.write(KnownPositions(4000, {"h": moved.groups["h"]})).rows == 2, "what is gone is said"
    newest = PositionLog(store, "taipei").newest()
    assert newest is not None
    assert newest.committed == {"h": {P: 4}}
    assert newest.as_of_ms == 4000


def test_a_look_whose_fate_is_unknown_is_followed_by_a_whole_one() -> None:
    store = FakeObjectStore()
    ours = writer(store)
    ours.write(known(1000, {"g": {P: 1}}))
    store.on_next("create", Fault.LOST_ANSWER)
    with pytest.raises(UnreachableError):
        ours.write(known(2000, {"g": {P: 2}}))
    assert ours.write(known(3000, {"g": {P: 2}})).is_whole
    newest = PositionLog(store, "taipei").newest()
    assert newest is not None
    assert newest.as_of_ms == 3000


def test_the_watch_that_goes_on_longest_counts() -> None:
    store = FakeObjectStore()
    one, other = writer(store), writer(store)
    one.write(known(1000, {"g": {P: 1}}))
    other.write(known(2000, {"g": {P: 2}}))
    one.write(known(3000, {"g": {P: 3}}))
    newest = PositionLog(store, "taipei").newest()
    assert newest is not None
    assert newest.committed == {"g": {P: 3}}


def test_a_gap_ends_what_is_known() -> None:
    store = FakeObjectStore()
    ours = writer(store)
    for number in range(4):
        ours.write(known(1000 + number, {"g": {P: number}}))
    (generation,) = PositionLog(store, "taipei").generations().values()
    store.delete(generation[2][1])
    newest = PositionLog(store, "taipei").newest()
    assert newest is not None
    assert (newest.as_of_ms, newest.committed) == (1001, {"g": {P: 1}})


def test_a_damaged_object_is_named_and_not_guessed_at() -> None:
    store = FakeObjectStore()
    writer(store).write(known(1000, {"g": {P: 1}}))
    (key,) = store.objects
    store.objects[key] = store.objects[key][:-9]
    with pytest.raises(RefusedError, match=key):
        PositionLog(store, "taipei").newest()


def test_a_generation_begins_anew_before_it_is_long_and_when_topics_are_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(position_log, "_LONGEST", 3)
    store = FakeObjectStore()
    ours = writer(store)
    whole = [ours.write(known(1000 + number, {"g": {P: number}})).is_whole for number in range(7)]
    assert whole == [True, False, False, True, False, False, True]
    assert ours.write(known(2000, {"g": {P: 1}}, t="another")).is_whole


def test_old_generations_are_forgotten_and_the_newest_two_never() -> None:
    store = FakeObjectStore()
    for number in range(4):
        writer(store).write(known(1000 + number, {"g": {P: number}}))
    log = PositionLog(store, "taipei")
    writer(store).forget(2000)
    assert len(log.generations()) == 4
    writer(store).forget(10_000_000)
    assert [entries[-1][0] for entries in log.generations().values()] == [1002, 1003]


class Vanishing(FakeObjectStore):
    """What was listed is removed before it is read: once."""

    def __init__(self) -> None:
        super().__init__()
        self.is_armed = False

    def get(self, key: str) -> StoredObject | None:
        if self.is_armed:
            self.is_armed = False
            self.delete(key)
            writer(self).write(known(5000, {"g": {P: 5}}))
        return super().get(key)


def test_what_is_removed_while_it_is_read_is_read_again() -> None:
    store = Vanishing()
    writer(store).write(known(1000, {"g": {P: 1}}))
    store.is_armed = True
    newest = PositionLog(store, "taipei").newest()
    assert newest is not None
    assert newest.as_of_ms == 5000


def test_what_has_not_changed_is_not_read_again() -> None:
    store = FakeObjectStore()
    ours = writer(store)
    ours.write(known(1000, {"g": {P: 1}}))
    log = PositionLog(store, "taipei")
    log.newest()
    reads = store.calls.count(("get", next(iter(store.objects))))
    log.newest()
    assert store.calls.count(("get", next(iter(store.objects)))) == reads
    ours.write(known(2000, {"g": {P: 2}}))
    newest = log.newest()
    assert newest is not None
    assert newest.as_of_ms == 2000


def test_samples_are_given_for_exactly_the_positions_asked_for() -> None:
    now = known(1000, {"g": {P: 4}, "h": {P: 3, Q: 0}})
    found = now.samples([(P, 4), (P, 9), (Q, 3), (Q, 0)])
    assert set(found) == {(P, 4), (Q, 0)}, "each knows a record at or before it, and the others were not seen"
    assert found[P, 4].first == RecordMark(4, (4).to_bytes(16, "big"))


ends = st.builds(LogRange, st.integers(0, 3), st.integers(3, 9), st.integers(3, 9))
paces = st.none() | st.builds(Pace, st.floats(0, 9), st.floats(0, 9), st.integers(0, 9))
counts = st.none() | st.builds(Counted, st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(0, 9))
samples = st.sampled_from([P, Q]).flatmap(
    lambda p: st.builds(LogSample, st.just(p), ends, st.integers(0, 9), paces, counts, st.none() | st.integers(0, 9))
)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(samples, unique_by=lambda one: one.partition), min_size=1, max_size=4))
def test_log_ends_are_read_as_they_were_written_last(looks: list[list[LogSample]]) -> None:
    store = FakeObjectStore()
    ours = writer(store)
    for number, logs in enumerate(looks):
        now = replace(known(1000 + number, {"g": {P: number}}, t="id"), logs={one.partition: one for one in logs})
        ours.write(now)
        assert PositionLog(store, "taipei").newest() == now


def test_a_log_that_has_not_moved_is_not_written_again() -> None:
    ours = writer(FakeObjectStore())
    logs = {P: LogSample(P, LogRange(0, 5, 5), 900), Q: LogSample(Q, LogRange(0, 7, 7), 900)}
    assert ours.write(KnownPositions(1000, {}, {}, logs)).rows == 2
    assert ours.write(KnownPositions(2000, {}, {}, logs)).rows == 0
    assert ours.write(KnownPositions(3000, {}, {}, {P: LogSample(P, LogRange(0, 6, 6), 2900)})).rows == 2


def test_what_an_earlier_drkit_has_stored_is_read() -> None:
    """Objects of version 1 have no log ends, and were written until a moment ago by whoever is upgraded."""
    store = FakeObjectStore()
    key = "positions/taipei/20260101t000000.000000z-abcd/000000-1000.parquet"
    store.objects[key] = (Path(__file__).parent / "positions-1.parquet").read_bytes()
    newest = PositionLog(store, "taipei").newest()
    assert newest == KnownPositions(
        1000,
        {"g": {P: PositionSample(P, 4, 999, RecordMark(4, (4).to_bytes(16, "big")), None)}},
        {"t": "id"},
    )


def test_a_newer_version_is_refused() -> None:
    store = FakeObjectStore()
    writer(store).write(known(1000, {"g": {P: 1}}))
    (key,) = store.objects
    columns = pa.schema([pa.field("upstream", pa.int64())])
    store.objects[key] = write_table("drkit.positions/3", columns, {"upstream": [1]}, {"as_of_ms": 1})
    with pytest.raises(RefusedError, match=r"not a table drkit\.positions/2"):
        PositionLog(store, "taipei").newest()


def test_a_silence_is_noted_once_this_watch_has_seen_the_cluster() -> None:
    store = FakeObjectStore()
    ours, log = writer(store), PositionLog(store, "taipei")
    ours.note_silence(Silence(500, 600))
    assert log.silences() == []
    ours.write(known(1000, {"g": {P: 1}}))
    for _ in range(2):
        ours.note_silence(Silence(2000, 5000))
    assert log.silences() == [Silence(2000, 5000)]
    newest = log.newest()
    assert newest is not None
    assert newest.as_of_ms == 1000, "a silence is no look"


def test_silences_go_with_their_generation() -> None:
    store = FakeObjectStore()
    for number in range(4):
        ours = writer(store)
        ours.write(known(1000 + number, {"g": {P: number}}))
        ours.note_silence(Silence(1500 + number, 1600))
    writer(store).forget(10_000_000)
    assert sorted(PositionLog(store, "taipei").silences()) == [Silence(1502, 1600), Silence(1503, 1600)]
    assert len(store.objects) == 4
