"""The ledger counts what was lost, replayed and reordered; each detector is seen to fire."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.ledger import (
    Abandoned,
    Acknowledged,
    Committed,
    GroupEvent,
    Place,
    Processed,
    judge_group,
    record_id,
    report,
    write_outage,
)

TOPIC = "t"


def place(offset: int, region: str = "a") -> Place:
    return Place(region, TOPIC, 0, offset)


def done(sequence: int, key: int = 0, region: str = "a") -> Processed:
    return Processed(record_id(1, key, sequence), place(sequence, region))


def acked(sequence: int, at: float = 0.0) -> Acknowledged:
    return Acknowledged(record_id(1, 0, sequence), place(sequence), at)


def test_a_clean_history_has_no_findings() -> None:
    found = judge_group([done(1), done(2), Committed(), done(3), Committed()], [acked(1), acked(2), acked(3)])
    assert (found.processed, found.duplicates, found.replayed, found.out_of_order, found.lost) == (3, 0, [], [], [])


def test_a_record_that_was_never_processed_is_lost() -> None:
    assert judge_group([done(1), Committed()], [acked(1), acked(2)]).lost == [acked(2)]


def test_a_record_that_was_not_committed_and_comes_again_is_a_duplicate() -> None:
    found = judge_group([done(1), Abandoned(), done(1, region="b"), Committed()], [acked(1)])
    assert (found.duplicates, found.replayed) == (1, [])


def test_a_record_that_was_committed_and_comes_again_is_replayed() -> None:
    again = done(1, region="b")
    found = judge_group([done(1), Committed(), again], [acked(1)])
    assert (found.duplicates, found.replayed) == (1, [again])


def test_a_refused_commit_does_not_count_for_later_ones() -> None:
    found = judge_group([done(1), Abandoned(), done(2), Committed(), done(1)], [])
    assert found.replayed == []


def test_a_later_record_first_is_out_of_order_within_its_key_alone() -> None:
    late = done(1)
    assert judge_group([done(2), late], []).out_of_order == [late]
    assert judge_group([done(2, key=7), done(1, key=8)], []).out_of_order == []


def test_an_outage_is_the_longest_gap() -> None:
    assert write_outage([acked(1, 10.0), acked(3, 14.5), acked(2, 11.0)]) == (3.5, 11.0)
    assert write_outage([acked(1, 10.0)]) == (0.0, 0.0)


def test_totals_count_a_lost_record_once() -> None:
    groups = {"g": judge_group([], [acked(1)]), "h": judge_group([], [acked(1)])}
    document = report([acked(1)], groups)
    assert document["lost"] == 1
    assert document["groups"]["g"]["lost"] == 1
    assert document["acknowledged_at"] == {"a": 1}


@given(st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=8), st.data())
def test_replays_are_the_repetitions_of_committed_records(batches: list[list[int]], data: st.DataObject) -> None:
    events: list[GroupEvent] = []
    committed: set[int] = set()
    replayed = 0
    for batch in batches:
        for sequence in batch:
            replayed += sequence in committed
            events.append(done(sequence))
        if data.draw(st.booleans()):
            events.append(Committed())
            committed.update(batch)
        else:
            events.append(Abandoned())
    found = judge_group(events, [acked(sequence) for sequence in range(31)])
    assert len(found.replayed) == replayed
    seen = {sequence for batch in batches for sequence in batch}
    assert {one.place.offset for one in found.lost} == set(range(31)) - seen
