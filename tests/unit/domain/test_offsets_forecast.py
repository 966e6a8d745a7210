"""The forecast: drkit's figure and MM2's, each with how sure it is."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import GroupState, TopicPartition
from drkit.domain.lag import AtMost, Exactly, NotKnown
from drkit.domain.offsets import Ahead, Bounded, Exact, Floor, Unavailable, Verdict
from drkit.domain.offsets_forecast import (
    Mm2Evidence,
    Mm2Position,
    OffsetsForecast,
    PositionForecast,
    countable,
    rates,
)
from drkit.domain.positions import GroupPosition

P, T = TopicPartition("t", 0), TopicPartition("a.t", 0)


def one(
    verdict: Verdict, mm2: int, between: int | None = None, *, group: str = "g", committed: int | None = None
) -> PositionForecast:
    position = Mm2Position(mm2, Mm2Evidence.CHECKPOINT, 40_000)
    return PositionForecast(GroupPosition(group, P, T, 100, verdict), position, between, committed)


@pytest.mark.parametrize(
    ("forecast", "replay"),
    [
        (one(Exact(50, ""), 50), Exactly(0)),
        (one(Exact(50, ""), 20, 25), Exactly(25)),
        (one(Exact(50, ""), 20), AtMost(30)),
        (one(Exact(50, ""), 60), Exactly(0)),
        (one(Bounded(50, 4, ""), 20, 25), AtMost(29)),
        (one(Bounded(50, 4, ""), 52), AtMost(2)),
        (one(Bounded(50, 4, ""), 60), Exactly(0)),
        (one(Ahead(50, 9, ""), 20, 30), Exactly(30)),
        (one(Floor(50, "gone"), 20, 30), NotKnown("gone", 30)),
        (one(Unavailable("no partition"), 20), NotKnown("no partition")),
    ],
)
def test_what_mm2_would_replay(forecast: PositionForecast, replay: object) -> None:
    assert forecast.mm2_replay == replay


def test_what_mm2_would_skip_is_said_only_where_it_is_certain() -> None:
    assert one(Exact(50, ""), 60).mm2_skips == AtMost(10)
    assert one(Bounded(50, 4, ""), 60).mm2_skips == Exactly(0)
    assert one(Exact(50, ""), 40).mm2_skips == Exactly(0)


def test_a_group_that_is_ahead_on_the_target_is_told() -> None:
    assert one(Exact(50, ""), 0, committed=51).is_ahead_on_target
    assert not one(Exact(50, ""), 0, committed=50).is_ahead_on_target
    assert not one(Bounded(50, 4, ""), 0, committed=54).is_ahead_on_target
    assert not one(Exact(50, ""), 0).is_ahead_on_target


def test_the_shortest_gaps_are_counted() -> None:
    found = [one(Exact(100, ""), 0), one(Exact(100, ""), 90), one(Exact(100, ""), 90), one(Exact(100, ""), 60)]
    assert countable(found, 49) == [(T, 90, 100)]
    assert countable(found, 50) == [(T, 90, 100), (T, 60, 100)]
    assert countable([one(Exact(5, ""), 5), one(Unavailable(""), 0)], 50) == []


def test_the_pace_is_what_was_committed_meanwhile() -> None:
    before = {"g": {P: 100}, "idle": {P: 5}, "rewound": {P: 9}}
    after = {"g": {P: 130, TopicPartition("t", 1): 7}, "idle": {P: 5}, "rewound": {P: 2}, "new": {P: 3}}
    assert rates(before, after, 2.0) == {"g": 15.0, "idle": 0.0, "rewound": 0.0, "new": 0.0}


def forecast(*positions: PositionForecast, **changes: object) -> OffsetsForecast:
    fields: dict[str, object] = {
        "source": "taipei",
        "target": "tokyo",
        "taken_at": "now",
        "positions": positions,
        "rates": {"g": 10.0},
        "states": {"g": GroupState.ACTIVE},
        "age_seconds": 0.0,
        "history": (7, True),
        "now_ms": 50_000,
    }
    return OffsetsForecast(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_document() -> None:
    document = forecast(
        one(Exact(50, ""), 20, 25), one(Bounded(50, 4, "holes"), 30, 20), one(Exact(9, ""), 9, group="h")
    ).document()
    assert document["schema"] == "drkit.offsets-forecast/1"
    assert document["source_answers"]
    assert document["evidence"] == {"age_seconds": 0.0, "offset_syncs": 7, "no_sync_missing": True}
    first, second = document["groups"]
    assert (first["group"], first["exact"], first["bounded"], first["partitions"]) == ("g", 1, 1, 2)
    assert first["replay"] == {"records": 4, "certainty": "at_most"}
    assert first["mm2_replay"] == {"records": 49, "certainty": "at_most"}
    assert (first["replay_seconds"], first["mm2_replay_seconds"]) == (0.4, 4.9)
    assert (first["rate_records_per_second"], first["state_on_target"]) == (10.0, "active")
    assert first["mm2_evidence_age_seconds"] == 10.0
    assert [row["reason"] for row in first["not_exact"]] == ["holes"]
    assert (second["group"], second["mm2_replay_seconds"], second["rate_records_per_second"]) == ("h", 0.0, None)
    assert second["state_on_target"] == "dead"
    assert document["totals"]["mm2_replay"] == {"records": 49, "certainty": "at_most"}
    assert document["totals"]["active_on_target"] == 1


def test_groups_that_would_read_most_again_come_first_and_the_unknown_before_all() -> None:
    document = forecast(
        one(Exact(50, ""), 49, 1, group="a"),
        one(Exact(50, ""), 20, 30, group="b"),
        one(Unavailable("gone"), 0, group="c"),
    ).document()
    assert [row["group"] for row in document["groups"]] == ["c", "b", "a"]
    assert document["totals"]["mm2_replay"]["certainty"] == "unknown"
    assert document["totals"]["mm2_replay_seconds"] is None


def test_without_the_source_its_answers_have_an_age() -> None:
    document = forecast(one(Exact(50, ""), 20), age_seconds=12.5, rates={}).document()
    assert not document["source_answers"]
    assert document["evidence"]["age_seconds"] == 12.5
    assert document["totals"]["mm2_replay_seconds"] is None
