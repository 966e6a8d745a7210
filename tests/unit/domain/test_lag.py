"""Lag and loss: what is exact, what is a bound, what is unknown."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import (
    Amount,
    AtMost,
    Estimated,
    Exactly,
    NotKnown,
    amount_from_json,
    amount_text,
    amount_to_json,
    mirror_lag,
    offsets_left,
    total,
)

P = TopicPartition("t", 0)
Q = TopicPartition("t", 1)


@pytest.mark.parametrize(
    ("log", "last", "expected"),
    [
        (LogRange(0, 10, 10), 9, Exactly(0)),
        (LogRange(0, 10, 10), 4, AtMost(5)),
        (LogRange(0, 10, 10), None, AtMost(10)),
        (LogRange(7, 10, 10), 2, AtMost(3)),  # retention has overtaken the mirror
        (LogRange(0, 0, 0), None, Exactly(0)),
        (LogRange(10, 10, 10), 2, Exactly(0)),
    ],
)
def test_offsets_left_bound_the_records_left(log: LogRange, last: int | None, expected: Amount) -> None:
    mirrored = {} if last is None else {P: last}
    lag = mirror_lag({P: log}, mirrored, now_ms=0)
    assert lag.records == expected


def test_counted_records_are_exact_and_have_an_age() -> None:
    lag = mirror_lag({P: LogRange(0, 10, 10)}, {P: 4}, now_ms=60_000, counted={P: 3}, oldest_ms={P: 58_500})
    assert lag.records == Exactly(3)
    assert lag.seconds == 1.5


def test_markers_alone_are_no_lag() -> None:
    lag = mirror_lag({P: LogRange(0, 10, 10)}, {P: 8}, now_ms=60_000, counted={P: 0})
    assert lag.records == Exactly(0)
    assert lag.seconds == 0.0


def test_the_age_is_unknown_when_one_partition_s_is() -> None:
    logs = {P: LogRange(0, 10, 10), Q: LogRange(0, 10, 10)}
    lag = mirror_lag(logs, {P: 8, Q: 9}, now_ms=60_000)
    assert lag.seconds is None
    known = mirror_lag(logs, {P: 8, Q: 9}, now_ms=60_000, oldest_ms={P: 61_000})
    assert known.seconds == 0.0  # a producer's clock that is ahead


def test_a_log_that_ends_below_the_last_mirrored_offset_is_unknown_not_zero() -> None:
    lag = mirror_lag({P: LogRange(0, 5, 5)}, {P: 9}, now_ms=0)
    assert isinstance(lag.records, NotKnown)
    assert "recreated" in lag.records.reason


def test_offsets_left_names_only_partitions_with_some() -> None:
    logs = {P: LogRange(0, 10, 10), Q: LogRange(3, 9, 9)}
    assert offsets_left(logs, {P: 9, Q: 0}) == {Q: (3, 9)}


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ([], Exactly(0)),
        ([Exactly(2), Exactly(3)], Exactly(5)),
        ([Exactly(2), AtMost(3)], AtMost(5)),
        ([Exactly(2), AtMost(0)], Exactly(2)),
        ([Exactly(2), AtMost(3), NotKnown("why", 4)], NotKnown("why", 6)),
        ([NotKnown("why"), NotKnown("or why")], NotKnown("why (and 1 more)")),
        ([Estimated(1, 5, 9, "rate"), Estimated(0, 2, 2, "rate")], Estimated(1, 7, 11, "rate")),
        ([Estimated(1, 5, 9, "rate"), Exactly(2), AtMost(3)], Estimated(3, 10, 14, "rate")),
        ([Estimated(1, 5, 9, "rate"), NotKnown("why", 4)], NotKnown("why", 5)),
    ],
)
def test_a_total_is_as_sure_as_its_least_sure_part(amounts: list[Amount], expected: Amount) -> None:
    assert total(amounts) == expected


def test_amounts_are_shown_with_their_certainty() -> None:
    assert [amount_text(one) for one in (Exactly(3), AtMost(3), NotKnown("why"), NotKnown("why", 2))] == [
        "3",
        "<= 3",
        "unknown",
        "unknown (>= 2)",
    ]
    assert amount_text(Estimated(1, 5, 9, "rate")) == "about 5 (at least 1, 9 at the highest rate seen)"
    assert amount_to_json(AtMost(3)) == {"records": 3, "certainty": "at_most"}
    assert amount_to_json(Exactly(3)) == {"records": 3, "certainty": "exact"}
    assert amount_to_json(NotKnown("why", 2)) == {
        "records": None,
        "certainty": "unknown",
        "at_least": 2,
        "reason": "why",
    }
    assert amount_to_json(Estimated(1, 5, 9, "rate")) == {
        "records": None,
        "certainty": "estimated",
        "at_least": 1,
        "estimate": 5,
        "highest": 9,
        "reason": "rate",
    }


@pytest.mark.parametrize("amount", [Exactly(3), AtMost(3), NotKnown("why", 2), Estimated(1, 5, 9, "rate")])
def test_a_journal_s_amount_is_the_amount(amount: Amount) -> None:
    assert amount_from_json(amount_to_json(amount)) == amount
