"""The ledger's rules, one example each; every detector is seen to fire and to keep still."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from drkit.domain.ledger import (
    SHOWN,
    Committed,
    Drained,
    GroupEvent,
    Origin,
    Outcome,
    Processed,
    Torn,
    Writes,
    lane_of,
    record_id,
)
from drkit.domain.ledger_history import GroupFindings, judge_group
from drkit.domain.ledger_report import Judgement, write_outage

RUN = 3
HERE = Origin("a", "t", 0)
THERE = Origin("b", "t", 0)


def rid(sequence: int, *, key: int = 0, writer: int = 0, run: int = RUN) -> int:
    return record_id(run, writer, key, sequence)


def written(*logs: tuple[Origin, Sequence[int]], start_ms: int = 1000) -> Writes:
    """Record n of the run, acknowledged at its place in the list as offset, one ms after the other, log by log."""
    writes = Writes(RUN)
    at_ms = start_ms
    for origin, sequences in logs:
        for offset, sequence in enumerate(sequences):
            writes.log(origin).add(rid(sequence), offset, at_ms)
            at_ms += 1
    writes.settle()
    return writes


def batch(*sequences: int, at: Origin = HERE, first: int | None = None) -> Processed:
    """Records whose offsets are their sequences, or rise from ``first`` on."""
    offsets = list(sequences) if first is None else [first + index for index in range(len(sequences))]
    return Processed(at, [rid(sequence) for sequence in sequences], offsets)


def judged(events: Sequence[GroupEvent], writes: Writes) -> GroupFindings:
    return judge_group({"t"}, events, writes)


def counts(found: GroupFindings) -> dict[str, int]:
    figures = {
        "lost": found.lost_records,
        "pending": found.pending,
        "replayed": found.replayed.records,
        "duplicates": found.duplicates.records,
        "out_of_order": found.out_of_order.records,
        "foreign": found.foreign,
    }
    return {name: figure for name, figure in figures.items() if figure}


def test_a_clean_history_has_no_findings() -> None:
    found = judged(
        [batch(0, 1), Committed(HERE, 2), batch(2), Committed(HERE, 3), Drained("a")], written((HERE, [0, 1, 2]))
    )
    assert counts(found) == {}
    assert (found.processed, found.processed_at, found.drained_at) == (3, {"a": 3}, "a")


def test_what_a_group_has_not_come_to_is_pending_until_it_has_read_to_the_end() -> None:
    writes = written((HERE, [0, 1, 2]))
    assert counts(judged([batch(0)], writes)) == {"pending": 2}
    assert counts(judged([batch(0), Drained("a")], writes)) == {"lost": 2}


def test_a_group_that_reads_on_is_not_drained_any_more() -> None:
    found = judged([batch(0), Drained("a"), batch(1, at=THERE)], written((HERE, [0, 1, 2])))
    assert found.drained_at is None
    assert counts(found) == {"pending": 1}


def test_a_record_before_one_that_was_processed_is_lost_at_once() -> None:
    found = judged([batch(0), batch(2)], written((HERE, [0, 1, 2, 3])))
    assert counts(found) == {"lost": 1, "pending": 1}
    assert found.lost == {HERE: [1]}


def test_what_was_written_on_a_side_that_the_group_has_left_is_lost() -> None:
    # The group has processed a record that was written on the other side later.
    writes = written((HERE, [0, 1]), (THERE, [2, 3]))
    assert counts(judged([batch(0), batch(2, at=THERE)], writes)) == {"lost": 1, "pending": 1}
    assert counts(judged([batch(0), batch(1, at=THERE)], writes)) == {"pending": 2}


def test_other_partitions_say_nothing_of_this_one() -> None:
    other = Origin("b", "t", 1)
    assert counts(judged([batch(5, at=other)], written((HERE, [0]), (other, [5])))) == {"pending": 1}


def test_a_topic_that_the_group_does_not_read_is_not_missed() -> None:
    assert counts(judge_group({"u"}, [Drained("a")], written((HERE, [0])))) == {}


def test_a_record_whose_commit_was_refused_comes_again_as_a_duplicate() -> None:
    found = judged([batch(0, 1), batch(0, 1, at=THERE, first=0)], written((HERE, [0, 1])))
    assert counts(found) == {"duplicates": 2}


def test_a_record_that_was_committed_and_comes_again_is_replayed() -> None:
    found = judged([batch(0, 1), Committed(HERE, 1), batch(0, 1, at=THERE)], written((HERE, [0, 1])))
    assert counts(found) == {"replayed": 1, "duplicates": 2}
    assert [(one.record, one.place) for one in found.replayed.first] == [(rid(0), (*THERE, 0))]


def test_a_commit_counts_for_its_partition_and_up_to_its_position_alone() -> None:
    other = Origin("a", "t", 1)
    events: list[GroupEvent] = [batch(0, 1), batch(7, at=other), Committed(HERE, 1)]
    found = judged([*events, batch(0), batch(1), batch(7, at=other)], written((HERE, [0, 1])))
    assert found.replayed.records == 1
    found = judged([*events, Committed(HERE, 2), batch(1)], written((HERE, [0, 1])))
    assert found.replayed.records == 1


def test_a_record_twice_in_one_batch_is_a_duplicate() -> None:
    assert counts(judged([batch(0, 0, first=0)], written((HERE, [0])))) == {"duplicates": 1}


def test_a_later_record_first_is_out_of_order_within_its_writer_and_key_alone() -> None:
    writes = written((HERE, [2, 1]))
    found = judged([batch(2, 1, first=0)], writes)
    assert counts(found) == {"out_of_order": 1}
    assert found.out_of_order.first[0].place.offset == 1
    writes.log(HERE).add(rid(5, key=7), 2, 1005)
    writes.log(HERE).add(rid(5, writer=1), 3, 1006)
    other_lanes = Processed(HERE, [rid(5, writer=1), rid(5, key=7), rid(2)], [0, 2, 3])
    assert judged([other_lanes], writes).out_of_order.records == 0


def test_a_record_that_nobody_acknowledged_has_no_promised_place() -> None:
    writes = written((HERE, [2]))
    writes.unacknowledged[Outcome.UNKNOWN].add(rid(1))
    found = judged([batch(2, 1, first=0)], writes)
    assert counts(found) == {}
    assert found.unacknowledged[Outcome.UNKNOWN] == 1


def test_a_repetition_is_not_out_of_order() -> None:
    assert judged([batch(1, 2), batch(1)], written((HERE, [0, 1, 2]))).out_of_order.records == 0


def test_a_transaction_that_is_acknowledged_late_keeps_its_place() -> None:
    writes = Writes(RUN)
    writes.log(HERE).add(rid(2), 1, 1001)
    writes.log(HERE).add(rid(1), 0, 1009)
    writes.settle()
    assert counts(judged([batch(1, first=0)], writes)) == {"pending": 1}


def test_what_another_run_or_somebody_else_has_written_is_foreign() -> None:
    foreign = Processed(HERE, [rid(0, run=RUN - 1), rid(1), (1 << 64) - 1], [0, 1, 2])
    found = judged([foreign, foreign], written((HERE, [1])))
    assert counts(found) == {"foreign": 4, "duplicates": 1}
    assert found.processed == 2


def test_what_was_aborted_is_not_missed_and_is_told_when_it_is_processed() -> None:
    writes = written((HERE, [0]))
    writes.unacknowledged[Outcome.ABORTED] |= {rid(1), rid(2)}
    found = judged([batch(0), batch(1), Drained("a")], writes)
    assert counts(found) == {}
    assert found.unacknowledged[Outcome.ABORTED] == 1


def test_a_torn_entry_is_told() -> None:
    assert judged([batch(0), Torn(), Torn()], written((HERE, [0]))).torn == 2


def test_offenders_are_counted_all_and_kept_first() -> None:
    many = list(range(SHOWN + 5))
    found = judged([batch(*many), batch(*many)], written((HERE, many)))
    assert (found.duplicates.records, len(found.duplicates.first)) == (len(many), SHOWN)


def test_ids_order_within_their_lane() -> None:
    assert lane_of(rid(1)) == lane_of(rid(2)) != lane_of(rid(1, key=1))
    assert lane_of(rid(1)) != lane_of(rid(1, writer=1))
    assert rid(1) < rid(2)
    assert record_id(4095, 15, 4095, (1 << 36) - 1) == (1 << 64) - 1


def test_an_outage_is_the_longest_gap_between_any_writers_acknowledgements() -> None:
    writes = Writes(RUN)
    for origin, at_ms in ((HERE, 10_000), (THERE, 14_500), (HERE, 11_000)):
        writes.log(origin).add(rid(at_ms), 0, at_ms)
    writes.ended_ms = 14_600
    outage = write_outage(writes, now_ms=99_000)
    assert outage is not None
    assert (outage.seconds, outage.from_ms, outage.ended) == (3.5, 11_000, True)


@pytest.mark.parametrize(("ended_ms", "seconds"), [(None, 89.0), (12_000, 2.0), (9_000, 0.0)])
def test_an_outage_that_does_not_end_lasts_until_the_writing_was_ended(ended_ms: int | None, seconds: float) -> None:
    writes = Writes(RUN, ended_ms=ended_ms)
    writes.log(HERE).add(rid(0), 0, 10_000)
    outage = write_outage(writes, now_ms=99_000)
    assert outage is not None
    assert (outage.seconds, outage.ended) == (seconds, False)


def test_there_is_no_outage_before_the_first_acknowledgement() -> None:
    assert write_outage(Writes(RUN), now_ms=99_000) is None


def document(writes: Writes, groups: dict[str, GroupFindings], dead: Sequence[str] = ()) -> dict[str, Any]:
    return Judgement(writes, groups, "stopped", {"workload-producers-0": "ended"}, dead, 2.0, 5000).document()


def test_the_document_counts_a_lost_record_once_and_names_its_groups() -> None:
    writes = written((HERE, [0, 1]), (THERE, [2]))
    writes.ended_ms = 1002
    groups = {name: judged([batch(0), batch(2, at=THERE), Drained("b")], writes) for name in ("h", "g")}
    found = document(writes, groups)
    assert found["schema"] == "drkit.ledger/1"
    assert (found["lost"], found["groups"]["g"]["lost"], found["drained"]) == (1, 1, True)
    assert (found["acknowledged"], found["acknowledged_at"]) == (3, {"a": 2, "b": 1})
    assert (found["processed"], found["processed_at"]) == (4, {"a": 2, "b": 2})
    assert found["offenders"]["lost"] == [
        {
            "id": f"{rid(1):016x}",
            "region": "a",
            "topic": "t",
            "partition": 0,
            "offset": 1,
            "at": 1.001,
            "groups": ["g", "h"],
        }
    ]
    assert (found["write_outage_seconds"], found["write_outage_began"]) == (0.001, 1.001)


def test_the_document_shows_the_first_offenders_of_each_kind_with_their_groups() -> None:
    many = list(range(SHOWN + 5))
    writes = written((HERE, many))
    groups = {
        name: judged([batch(*many), Committed(HERE, 100), batch(*many), Drained("a")], writes) for name in ("g", "h")
    }
    found = document(writes, groups)
    assert (found["replayed"], found["duplicates"]) == (2 * len(many), 2 * len(many))
    assert len(found["offenders"]["replayed"]) == SHOWN
    assert found["offenders"]["replayed"][0] == {
        "group": "g",
        "id": f"{rid(0):016x}",
        "region": "a",
        "topic": "t",
        "partition": 0,
        "offset": 0,
    }


def test_the_document_tells_of_dead_parts_and_torn_entries() -> None:
    writes = written((HERE, [0]))
    writes.torn = 1
    found = document(writes, {"g": judged([batch(0), Torn(), Drained("a")], writes)}, dead=["workload-producers-0"])
    assert (found["dead"], found["torn"]) == (["workload-producers-0"], 2)


def test_one_group_that_is_not_drained_is_enough() -> None:
    writes = written((HERE, [0]))
    groups = {"g": judged([batch(0), Drained("a")], writes), "h": judged([batch(0)], writes)}
    assert document(writes, groups)["drained"] is False
    assert document(writes, {})["drained"] is False


def test_an_empty_ledger_is_a_document_too() -> None:
    found = document(Writes(RUN), {"g": judged([], Writes(RUN))})
    assert (found["acknowledged"], found["write_outage_seconds"], found["write_outage_began"]) == (0, 0.0, None)
    assert found["rate"] == {"requested": 2.0, "achieved": 0.0}
