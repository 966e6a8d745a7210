"""What is lost with a silent source: proved, estimated, unknown."""

from __future__ import annotations

import json

import pytest

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import Amount, Estimated, MirrorLag, NotKnown
from drkit.domain.log_samples import Counted, Horizon, Pace, Sighting
from drkit.domain.loss import loss_from_json, loss_to_json, loss_without_source

P, Q = TopicPartition("t", 0), TopicPartition("t", 1)
PACE = Pace(10.0, 20.0, 0)
UNTIL = Horizon(12_000, 15_000, is_seen=True)


def lost(
    sighting: Sighting | None,
    mirrored: int | None,
    until: Horizon | None = UNTIL,
    *,
    is_settled: bool = True,
    is_renewed: bool = False,
) -> tuple[Amount, float | None]:
    lag = loss_without_source(
        [P],
        {} if mirrored is None else {P: mirrored},
        {} if sighting is None else {P: sighting},
        until,
        is_settled=is_settled,
        renewed=["t"] if is_renewed else [],
    )
    (one,) = lag.partitions
    return one.records, one.seconds


def seen(end: int = 100, *, at_ms: int = 10_000, pace: Pace | None = PACE, counted: Counted | None = None) -> Sighting:
    return Sighting(LogRange(5, end, end), at_ms, "watch", pace, counted)


def figures(amount: Amount) -> tuple[int, int, int]:
    assert isinstance(amount, Estimated), amount
    return amount.at_least, amount.estimate, amount.highest


def test_a_mirror_that_was_at_the_end_loses_what_came_after_the_look() -> None:
    amount, seconds = lost(seen(), 99)
    assert (figures(amount), seconds) == ((0, 20, 100), 2.0)


def test_what_the_mirror_copied_after_the_look_is_not_lost() -> None:
    assert figures(lost(seen(), 109)[0]) == (0, 10, 90)
    amount, seconds = lost(seen(), 150)
    assert (figures(amount), seconds) == ((0, 0, 49), 0.0)


def test_what_was_counted_is_lost_for_certain() -> None:
    counted = Counted(90, 8, 9_000)
    amount, seconds = lost(seen(counted=counted), 89)
    assert (figures(amount), seconds) == ((8, 30, 110), 3.0)
    # Of those five that have arrived since, nobody knows which were records.
    assert figures(lost(seen(counted=counted), 94)[0]) == (3, 25, 105)


def test_an_account_that_lags_behind_proves_nothing() -> None:
    assert figures(lost(seen(counted=Counted(90, 8)), 89, is_settled=False)[0]) == (0, 30, 110)


def test_of_a_log_that_was_never_mirrored_everything_that_there_was_is_lost() -> None:
    assert figures(lost(seen(), None)[0]) == (0, 115, 195)


def test_the_age_of_what_was_left_at_the_look_is_by_the_rate_where_nobody_knows_its_time() -> None:
    assert lost(seen(), 79)[1] == 2.0 + 20 / 10
    assert lost(seen(pace=Pace(0.0, 0.0, 0)), 79)[1] is None


@pytest.mark.parametrize(
    ("sighting", "mirrored", "until", "reason"),
    [
        (None, 41, UNTIL, "the source does not answer, and nobody saw how far t-0 went; offset 41 was mirrored last"),
        (None, None, None, "the source does not answer, and nobody saw how far t-0 went; nothing of it was mirrored"),
        (seen(pace=None), 99, UNTIL, "t-0 was seen to end at 100, and nobody saw how fast it grew"),
        (
            seen(),
            99,
            Horizon(999_000, 999_000, is_seen=False),
            "t-0 was seen to end at 100 989 s before: too long ago for an estimate",
        ),
        (seen(at_ms=90_000), 99, UNTIL, "t-0 was seen to end at 100, by a clock that is 75 s ahead"),
    ],
    ids=["not seen", "not mirrored either", "once", "long ago", "another clock"],
)
def test_unknown_stays_unknown(sighting: Sighting | None, mirrored: int | None, until: Horizon, reason: str) -> None:
    assert lost(sighting, mirrored, until) == (NotKnown(reason), None)


def test_what_is_proved_is_said_where_the_rest_is_unknown() -> None:
    amount, _ = lost(seen(pace=None, counted=Counted(90, 8)), 89)
    assert isinstance(amount, NotKnown)
    assert amount.at_least == 8


def test_an_offset_of_a_log_that_was_made_anew_is_not_gone_by() -> None:
    amount, _ = lost(seen(), 100, is_renewed=True)
    assert isinstance(amount, NotKnown)
    assert "made anew" in amount.reason
    assert figures(lost(seen(), 99, is_renewed=True)[0]) == (0, 20, 100)


def test_the_estimate_says_what_it_goes_by() -> None:
    reasons = []
    for is_seen in (True, False):
        amount, _ = lost(seen(), 99, Horizon(12_000, 12_000, is_seen=is_seen))
        assert isinstance(amount, Estimated)
        reasons.append(amount.basis)
    assert reasons == [
        "at the rate seen last, up to when the watch had no answer any more",
        "at the rate seen last, up to when the source was found not to answer: it grows with every second until then",
    ]


def found(*ends: int) -> MirrorLag:
    partitions = [TopicPartition("t", number) for number in range(len(ends))]
    return loss_without_source(
        partitions,
        dict.fromkeys(partitions, 99),
        {p: seen(end) for p, end in zip(partitions, ends, strict=True)},
        UNTIL,
    )


def test_the_document_has_the_totals_and_the_partitions_that_may_have_lost_something() -> None:
    # The second one was never to be seen to grow beyond what is mirrored.
    lag = loss_without_source([P, Q], {P: 99, Q: 99}, {P: seen(), Q: seen(100, pace=Pace(0.0, 0.0, 0))}, UNTIL)
    document = loss_to_json(lag, 20_000)
    assert json.loads(json.dumps(document)) == document
    records = {
        "records": None,
        "certainty": "estimated",
        "at_least": 0,
        "estimate": 20,
        "highest": 100,
        "reason": "at the rate seen last, up to when the watch had no answer any more",
    }
    assert document == {
        "records": records,
        "seconds": 2.0,
        "seen_seconds_ago": 10.0,
        "seen_by": ["watch"],
        "silent_seconds_ago": 5.0,
        "partitions": {
            "t": {
                "0": {
                    "records": records,
                    "seconds": 2.0,
                    "at_most_when_seen": 0,
                    "end_seen": 100,
                    "seen_seconds_ago": 10.0,
                    "offsets_per_second": 10.0,
                }
            }
        },
        "left_out": 0,
    }
    assert loss_from_json(document) == (lag.records, lag.seconds)
    assert loss_from_json(None) == (NotKnown("the loss was not measured"), None)


def test_no_partition_is_not_no_record() -> None:
    records, seconds = loss_from_json(loss_to_json(MirrorLag((), UNTIL), 20_000))
    assert (records, seconds) == (NotKnown("nothing of the service was mirrored, or seen"), None)


def test_the_document_is_bounded_and_the_highest_losses_are_in_it() -> None:
    document = loss_to_json(found(*range(100, 250)), 20_000)
    assert (sum(map(len, document["partitions"].values())), document["left_out"]) == (100, 50)
    assert "149" in document["partitions"]["t"]
    assert "0" not in document["partitions"]["t"]
    everywhere = loss_without_source([P, Q], {P: 99, Q: 99}, {P: seen()}, UNTIL)
    assert loss_to_json(everywhere, 20_000)["seen_seconds_ago"] is None, "one was never seen"
