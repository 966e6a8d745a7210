"""The forecast on a service in memory: MM2's figure is what its own positions on the target mean."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.domain.mode import FailoverMode
from drkit.procedures.forecast import Forecaster
from drkit.procedures.readings import Readings
from tests.fakes.service import SOURCE, TARGET, FakeService
from tests.unit.config.sample import settings

GROUP = "billing"


@pytest.fixture
def service() -> FakeService:
    return FakeService(settings())


def _forecaster(service: FakeService, mode: FailoverMode = FailoverMode.PLANNED) -> Forecaster:
    return Forecaster(service.world, Readings(service.world), SOURCE, TARGET, mode)


def _mirrored(service: FakeService, records: int = 10) -> TopicPartition:
    partition = service.topic()
    service.write(partition, records)
    service.carry(partition)
    return partition


def test_without_a_checkpoint_mm2_begins_at_the_log_start(service: FakeService) -> None:
    partition = _mirrored(service)
    service.source.cluster.commit(GROUP, {partition: 7})
    totals = _forecaster(service).forecast().totals
    assert (totals["exact"], totals["mm2_without_position"]) == (1, 1)
    assert totals["replay"] == {"records": 0, "certainty": "exact"}
    assert totals["mm2_replay"] == {"records": 7, "certainty": "exact"}


def test_with_a_checkpoint_mm2_begins_there(service: FakeService) -> None:
    partition = _mirrored(service)
    service.source.cluster.commit(GROUP, {partition: 7})
    now_ms = int(service.clock.now().timestamp() * 1000)
    service.checkpoint(GROUP, partition, 4, downstream=4, at_ms=now_ms - 20_000)
    (row,) = _forecaster(service).forecast().document()["groups"]
    assert row["mm2_replay"] == {"records": 3, "certainty": "exact"}
    assert (row["mm2_evidence"], row["mm2_evidence_age_seconds"]) == (["checkpoint"], 20.0)


def test_what_a_group_has_on_the_target_already_counts_where_it_is_further(service: FakeService) -> None:
    partition = _mirrored(service)
    service.source.cluster.commit(GROUP, {partition: 7})
    service.checkpoint(GROUP, partition, 4, downstream=4)
    service.target.cluster.commit(GROUP, {partition: 9})
    (row,) = _forecaster(service).forecast().document()["groups"]
    assert row["mm2_evidence"] == ["committed on the target"]
    assert row["mm2_skips"] == {"records": 2, "certainty": "at_most"}
    assert row["ahead_on_target"] == 1


def test_the_pace_is_measured_while_it_waits(service: FakeService) -> None:
    partition = _mirrored(service)
    service.source.cluster.commit(GROUP, {partition: 2})
    service.while_waiting(lambda: service.source.cluster.commit(GROUP, {partition: 8}))
    (row,) = _forecaster(service).forecast(measure_seconds=3.0).document()["groups"]
    assert row["rate_records_per_second"] == 2.0
    assert row["mm2_replay_seconds"] == 4.0


def test_one_group_alone(service: FakeService) -> None:
    partition = _mirrored(service)
    for group in (GROUP, "other"):
        service.source.cluster.commit(group, {partition: 2})
    document = _forecaster(service).forecast(["other"], measure_seconds=1.0).document()
    assert [row["group"] for row in document["groups"]] == ["other"]


def test_without_the_source_it_goes_by_what_was_seen_last(service: FakeService) -> None:
    partition = _mirrored(service)
    service.source.is_dark = True
    now_ms = int(service.clock.now().timestamp() * 1000)
    service.checkpoint(GROUP, partition, 4, downstream=1, at_ms=now_ms - 5_000)
    document = _forecaster(service, FailoverMode.DISASTER).forecast(measure_seconds=3.0).document()
    assert not document["source_answers"]
    assert document["evidence"]["age_seconds"] == 5.0
    assert document["totals"]["mm2_replay"]["records"] == 3
    assert any("does not answer" in note for note in document["notes"])


def test_records_below_the_first_mirrored_one_are_missed(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 10)
    service.target.cluster.write(partition, b"6", b"7", b"8", b"9")
    service.sync(partition, 6, 0)
    service.sync(partition, 9, 3)
    service.put_position(partition, 9)
    service.source.cluster.commit(GROUP, {partition: 2})
    service.source.cluster.commit("at the end", {partition: 10})
    totals = _forecaster(service).forecast().totals
    assert totals["never_mirrored_records"] == {"records": 4, "certainty": "exact"}
