"""``drkit status``: its JSON, its text, and the replay exposure in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from drkit.domain.health import (
    CanaryRefused,
    ClusterAnswered,
    Degraded,
    Finding,
    Healthy,
    Problem,
    RegionHealth,
    Role,
    Sample,
    Silent,
    Unreachable,
)
from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import AtMost, Exactly, MirrorLag, NotKnown, PartitionLag
from drkit.domain.log_samples import Horizon, Pace, Sighting
from drkit.domain.loss import loss_without_source
from drkit.domain.replay import exposure_without_source, replay_exposure
from drkit.domain.status import LastRun, NotRead, RedirectStatus, Status, status_text, status_to_json

P, Q = TopicPartition("t", 0), TopicPartition("t", 1)
UP = (Sample(ClusterAnswered("id", 3, 0.0)),)
TAIPEI = RegionHealth("taipei", Role.PRIMARY, Healthy(), UP)
TOKYO = RegionHealth(
    "tokyo",
    Role.STANDBY,
    Degraded((Finding(Problem.TASK_FAILED, "1 of 2 tasks of src\x1b[2J have failed"),)),
    (Sample(ClusterAnswered("id", 1, 0.0), canary=CanaryRefused()),),
)
STATUS = Status(
    project="shop",
    environment="staging",
    taken_at="2026-01-01T00:00:00+00:00",
    primary="taipei",
    standby="tokyo",
    regions={"taipei": TAIPEI, "tokyo": TOKYO},
    lag=MirrorLag((PartitionLag(P, Exactly(2), 0.5), PartitionLag(Q, AtMost(10), 1.5))),
    replay=replay_exposure({"g": {P: 30, Q: 7}}, {"g": {P: 10, Q: 7}}),
    offsets={"exact": 7, "partitions": 9, "replay": {"records": 3}, "mm2_replay": {"records": None}},
    redirects={
        "kafka.shop": RedirectStatus(
            "kafka.shop", ("127.0.0.1",), "taipei", {"ns1": ("127.0.0.1",), "ns2": ("127.0.0.9",), "ns3": ()}
        )
    },
    last_run=LastRun("run-1", "failover", "planned", "succeeded", "2025-12-01T00:00:00+00:00"),
)
NOTHING = Status(
    project="shop",
    environment="staging",
    taken_at="2026-01-01T00:00:00+00:00",
    primary="taipei",
    standby="tokyo",
    regions={"taipei": RegionHealth("taipei", Role.PRIMARY, Unreachable(()), (Sample(Silent("timed out")),))},
    lag=NotRead("Connect does not answer"),
    replay=None,
    offsets=NotRead("taipei does not answer"),
    redirects={"kafka.shop": NotRead("throttled")},
    last_run=None,
)


def test_exposure_is_what_was_committed_after_the_last_checkpoint() -> None:
    exposure = replay_exposure(
        {"g": {P: 30, Q: 7}, "new": {P: 5}, "ahead": {P: 5}}, {"g": {P: 10, Q: 7}, "ahead": {P: 6}}
    )
    assert exposure.groups == {
        "ahead": Exactly(0),
        "g": AtMost(20),
        "new": NotKnown("nobody saw where new is in t-0"),
    }
    assert exposure.records == NotKnown("nobody saw where new is in t-0")


def test_without_the_source_the_exposure_is_unknown_per_group() -> None:
    exposure = exposure_without_source({"g": {P: 10}})
    assert isinstance(exposure.groups["g"], NotKnown)
    assert isinstance(exposure.records, NotKnown)


def test_json() -> None:
    document = json.loads(json.dumps(status_to_json(STATUS)))
    assert document["schema"] == "drkit.status/1"
    assert document["regions"]["tokyo"]["verdict"] == "degraded"
    assert document["regions"]["tokyo"]["role"] == "standby"
    assert document["mirror"] == {
        "from": "taipei",
        "to": "tokyo",
        "lag_records": {"records": 12, "certainty": "at_most"},
        "lag_seconds": 1.5,
        "partitions": {
            "t": {
                "0": {"records": {"records": 2, "certainty": "exact"}, "seconds": 0.5},
                "1": {"records": {"records": 10, "certainty": "at_most"}, "seconds": 1.5},
            }
        },
    }
    assert document["exposure"]["loss"] == {"records": {"records": 12, "certainty": "at_most"}, "seconds": 1.5}
    assert document["exposure"]["replay"]["records"] == {"records": 20, "certainty": "at_most"}
    assert document["redirects"]["kafka.shop"]["points_at"] == "taipei"
    assert document["last_run"]["outcome"] == "succeeded"


def test_json_of_what_could_not_be_read() -> None:
    document = json.loads(json.dumps(status_to_json(NOTHING)))
    assert document["mirror"]["error"] == "Connect does not answer"
    assert document["exposure"]["loss"]["records"]["certainty"] == "unknown"
    assert document["exposure"]["replay"]["records"]["certainty"] == "unknown"
    assert document["redirects"]["kafka.shop"] == {"error": "throttled"}
    assert document["last_run"] is None


def test_text() -> None:
    assert status_text(STATUS).splitlines() == [
        "service   shop staging     as of 2026-01-01T00:00:00+00:00",
        "primary   taipei           healthy, 3 brokers",
        "standby   tokyo            degraded, 1 broker, fenced",
        "mirror    taipei -> tokyo  <= 12 records behind, 1.5 s",
        "exposure  loss now         <= 12 records, 1.5 s",
        "exposure  replay now       <= 20 records in 1 groups",
        "offsets   moved now        7 of 9 positions exact; read again: 3 records, by MirrorMaker 2 alone unknown",
        "redirect  kafka.shop       127.0.0.1 (taipei); 1 of 3 name servers agree",
        "last run  run-1            failover, planned: succeeded, 2025-12-01T00:00:00+00:00",
        "  tokyo: 1 of 2 tasks of src\\x1b[2J have failed",
    ]


def test_a_silent_primary_s_loss_is_told_with_the_age_of_what_it_goes_by() -> None:
    p, at_ms = TopicPartition("t", 0), int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    seen = Sighting(LogRange(0, 100, 100), at_ms - 30_000, "watch", Pace(10.0, 20.0, 0))
    lag = loss_without_source([p], {p: 99}, {p: seen}, Horizon(at_ms - 28_000, at_ms - 25_000, is_seen=True))
    found = replace(STATUS, lag=lag)
    loss = status_to_json(found)["exposure"]["loss"]
    assert loss["records"]["certainty"] == "estimated"
    assert (loss["seen_by"], loss["seen_seconds_ago"], loss["silent_seconds_ago"]) == (["watch"], 30.0, 25.0)
    assert status_text(found).splitlines()[4] == (
        "exposure  loss now         about 20 (at least 0, 100 at the highest rate seen) records, 2.0 s; "
        "the source was seen 30 s ago"
    )


def test_text_of_what_could_not_be_read() -> None:
    lines = status_text(NOTHING).splitlines()
    assert lines[1:] == [
        "primary   taipei           unreachable",
        "mirror    taipei -> tokyo  unknown: Connect does not answer",
        "exposure  loss now         unknown",
        "exposure  replay now       unknown",
        "offsets   moved now        unknown: taipei does not answer",
        "redirect  kafka.shop       unknown: throttled",
        "last run  none",
    ]
