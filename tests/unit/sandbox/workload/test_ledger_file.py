"""The ledger's files: what is written is read, torn ends are told, and a new process continues where one was killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.ledger import Committed, Drained, GroupEvent, Origin, Outcome, Processed, Torn, Writes
from drkit.sandbox.workload.ledger_file import (
    RECORD,
    GroupFile,
    GroupProgress,
    Names,
    WriterFile,
    follow_group,
    read_group,
    read_writer,
)

NAMES = Names(("ap-east-2", "ap-northeast-1"), ("orders", "payments"))
HERE = Origin("ap-east-2", "payments", 5)
THERE = Origin("ap-northeast-1", "orders", 0)


def write_group(path: Path) -> None:
    ledger = GroupFile(path, NAMES)
    ledger.processed({HERE: ([RECORD.pack(7), RECORD.pack(2**64 - 1)], [10, 13])}, 1)
    ledger.committed({HERE: 14}, 2)
    ledger.processed({HERE: ([RECORD.pack(8)], [14]), THERE: ([RECORD.pack(9)], [2**40])}, 3)
    ledger.drained("ap-northeast-1", 4)
    ledger.close()


def plain(events: list[GroupEvent]) -> list[GroupEvent]:
    return [
        Processed(event.origin, list(event.records), list(event.offsets), event.at_ms)
        if isinstance(event, Processed)
        else event
        for event in events
    ]


EVENTS: list[GroupEvent] = [
    Processed(HERE, [7, 2**64 - 1], [10, 13], 1),
    Committed(HERE, 14),
    Processed(HERE, [8], [14], 3),
    Processed(THERE, [9], [2**40], 3),
    Drained("ap-northeast-1"),
]


def test_a_groups_events_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_group(tmp_path / "g")
    assert plain(list(read_group(tmp_path / "g", NAMES))) == EVENTS
    assert follow_group(tmp_path / "g", GroupProgress()) == (4, 1, (tmp_path / "g").stat().st_size)


def test_no_file_is_an_empty_ledger(tmp_path: Path) -> None:
    writes = Writes(1)
    read_writer(tmp_path / "none", NAMES, writes)
    assert (list(read_group(tmp_path / "none", NAMES)), writes.count(), writes.torn) == ([], 0, 0)
    assert follow_group(tmp_path / "none", GroupProgress()) == GroupProgress()


def test_a_group_that_reads_on_is_followed_as_not_drained(tmp_path: Path) -> None:
    write_group(tmp_path / "g")
    before = follow_group(tmp_path / "g", GroupProgress())
    ledger = GroupFile(tmp_path / "g", NAMES)
    ledger.committed({HERE: 15}, 5)
    assert follow_group(tmp_path / "g", before).drained_at == 1
    ledger.processed({THERE: ([RECORD.pack(3)], [1])}, 6)
    after = follow_group(tmp_path / "g", before)
    assert (after.records, after.drained_at) == (5, None)
    ledger.drained("ap-east-2", 7)
    assert follow_group(tmp_path / "g", after).drained_at == 0
    ledger.close()


def test_a_group_killed_at_any_byte_loses_its_last_entry_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "g"
    write_group(path)
    content = path.read_bytes()
    ends = [follow_group(path, GroupProgress()).end]
    for size in range(len(content)):
        path.write_bytes(content[:size])
        events = plain(list(read_group(path, NAMES)))
        whole = [event for event in events if event != Torn()]
        assert whole == EVENTS[: len(whole)]
        is_torn = follow_group(path, GroupProgress()).end < size
        assert events[len(whole) :] == ([Torn()] if is_torn else [])
        # A new process cuts it off, but the tear stays on record.
        ledger = GroupFile(path, NAMES)
        ledger.committed({HERE: 99}, 9)
        ledger.close()
        torn = [Torn()] if is_torn else []
        assert plain(list(read_group(path, NAMES))) == [*whole, *torn, Committed(HERE, 99)]
    assert ends == [len(content)]


def write_outcomes(path: Path) -> None:
    ledger = WriterFile(path, NAMES)
    ledger.acknowledged(7, HERE, 100, 1000)
    ledger.ended_as(Outcome.ABORTED, 8, 1001)
    ledger.ended_as(Outcome.UNKNOWN, 2**64 - 1, 1002)
    ledger.acknowledged(9, THERE, 5, 1003)
    ledger.flush()
    ledger.close()


def read(path: Path) -> Writes:
    writes = Writes(1)
    read_writer(path, NAMES, writes)
    return writes


def test_a_writers_outcomes_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_outcomes(tmp_path / "w")
    writes = read(tmp_path / "w")
    assert [(*one.place, one.record, one.at_ms) for one in writes.all_acknowledged()] == [
        (*HERE, 100, 7, 1000),
        (*THERE, 5, 9, 1003),
    ]
    assert writes.unacknowledged == {Outcome.FAILED: set(), Outcome.ABORTED: {8}, Outcome.UNKNOWN: {2**64 - 1}}
    assert writes.torn == 0


def test_a_writers_entries_wait_for_the_flush(tmp_path: Path) -> None:
    ledger = WriterFile(tmp_path / "w", NAMES)
    ledger.acknowledged(7, HERE, 100, 1000)
    assert read(tmp_path / "w").count() == 0
    ledger.flush()
    assert read(tmp_path / "w").count() == 1
    ledger.close()


def test_a_writer_killed_at_any_byte_loses_its_last_entry_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "w"
    write_outcomes(path)
    content = path.read_bytes()
    entry = len(content) // 5
    for size in range(len(content)):
        path.write_bytes(content[:size])
        before = read(path)
        assert before.count() == (size >= 2 * entry)
        assert before.torn == (size % entry > 0)
        write_outcomes(path)
        after = read(path)
        assert after.count() == before.count() + 2
        assert after.torn == before.torn
        assert WriterFile(path, NAMES).openings == 2 + (size >= entry)


def test_every_process_of_a_writer_knows_how_many_there_were(tmp_path: Path) -> None:
    assert [WriterFile(tmp_path / "w", NAMES).openings for _ in range(3)] == [1, 2, 3]


def test_a_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    GroupFile(tmp_path / "g", NAMES).close()
    assert (tmp_path / "g").stat().st_mode & 0o077 == 0


origins = st.builds(Origin, st.sampled_from(NAMES.regions), st.sampled_from(NAMES.topics), st.integers(0, 65535))
batches = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)), min_size=1, max_size=4)
entries = st.lists(
    st.one_of(
        st.builds(
            lambda origin, pairs, first: Processed(
                origin, [record for record, _ in pairs], [first + delta for delta in sorted(d for _, d in pairs)]
            ),
            origins,
            batches,
            st.integers(0, 2**60),
        ),
        st.builds(Committed, origins, st.integers(0, 2**62)),
        st.builds(Drained, st.sampled_from(NAMES.regions)),
    )
)


@given(entries)
def test_any_history_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, history: list[GroupEvent]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "g"
    ledger = GroupFile(path, NAMES)
    for event in history:
        match event:
            case Processed(origin, records, offsets):
                ledger.processed({origin: ([RECORD.pack(record) for record in records], offsets)}, 0)
            case Committed(origin, position):
                ledger.committed({origin: position}, 0)
            case Drained(region):
                ledger.drained(region, 0)
    ledger.close()
    assert plain(list(read_group(path, NAMES))) == history
