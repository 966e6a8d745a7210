"""Pin, cut and the record of the direction: the lineage is only ever changed by who saw what it replaces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.domain.lineage import EpochState, PartitionCut, cut_from_json
from drkit.engine.step import Mode
from drkit.errors import RefusedError, StalePlanError, UnreachableError
from drkit.steps.cut import RecordCut
from drkit.steps.lineage_record import RecordDirection
from drkit.steps.pin import Pin
from tests.fakes.scripted import Fault
from tests.fakes.service import ORDERS, RUN_ID, SOURCE, TARGET, FakeService
from tests.unit.config.sample import changed, settings


def _cut(service: FakeService) -> RecordCut:
    return RecordCut(service.world, TARGET, service.mirror, service.record, service.names, service.loss)


def _record_cut(service: FakeService, mode: Mode = Mode.PLANNED, **ends: int) -> None:
    context = service.context(mode, drain_mirror={"source_end": {ORDERS: {"0": ends["source"]}}} if ends else {})
    step = _cut(service)
    observation = step.observe(context)
    assert not step.is_satisfied(context, observation)
    step.apply(context, observation)


def _put_in_force(service: FakeService) -> None:
    step, context = RecordDirection(service.record), service.context()
    step.apply(context, step.observe(context))


def test_both_ends_are_recorded_and_read_back(service: FakeService) -> None:
    partition = service.topic()
    service.target.cluster.begin(partition, b"never").abort()
    service.write(partition, 3)
    service.carry(partition)
    _record_cut(service, source=3)
    epoch = service.record.read().of_run(RUN_ID)
    assert epoch is not None
    assert (epoch.source, epoch.target, epoch.mode, epoch.state) == (SOURCE, TARGET, "planned", EpochState.PREPARED)
    evidence = _cut(service).confirm(service.context())
    assert evidence["partitions"] == 1
    assert cut_from_json(evidence["cut"]) == {partition: PartitionCut(3, 2, 5)}


def test_without_the_source_its_end_is_not_known(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 3)
    service.carry(partition)
    service.source.is_dark = True
    _record_cut(service, Mode.DISASTER)
    evidence = _cut(service).confirm(service.context(Mode.DISASTER))
    assert cut_from_json(evidence["cut"]) == {partition: PartitionCut(None, 2, 3)}


def test_what_is_not_on_the_target_and_what_is_not_mirrored_has_no_cut(service: FakeService) -> None:
    partition, other = service.topic(), service.topic("elsewhere")
    for one in (partition, other):
        service.write(one, 1)
        service.carry(one)
    service.target.cluster.drop(ORDERS)
    service.put_position(TopicPartition(ORDERS, 7), 4)
    _record_cut(service, source=1)
    assert _cut(service).confirm(service.context())["cut"] == {}


def test_the_source_must_end_where_its_fence_was_proved(service: FakeService) -> None:
    service.topic()
    service.topic("shop.staging.made-since")
    step = _cut(service)
    step.apply(service.context(fence_producers={"ends": {ORDERS: {"0": 0}}}), step.observe(service.context()))
    for ends, now in (({ORDERS: {"0": 3}}, "3 and ends at 0 now"), ({"shop.staging.gone": {"0": 3}}, "3 and is gone")):
        context = service.context(fence_producers={"ends": ends})
        with pytest.raises(RefusedError, match=now):
            step.apply(context, step.observe(context))
        left_behind = service.context(Mode.DISASTER, fence_producers={"ends": ends})
        step.apply(left_behind, step.observe(left_behind))


def test_a_renamed_copy_is_measured_under_its_own_name() -> None:
    service = FakeService(settings(changed("replication.policy", "default")))
    partition = service.topic()
    service.write(partition, 2)
    service.carry(partition)
    _record_cut(service, source=2)
    cut = cut_from_json(_cut(service).confirm(service.context())["cut"])
    assert cut == {partition: PartitionCut(2, 1, 2)}


def test_a_repetition_measures_again(service: FakeService) -> None:
    partition = service.topic()
    _record_cut(service, source=0)
    service.write(partition, 2)
    service.carry(partition)
    _record_cut(service, source=2)
    assert len(service.record.read().epochs) == 1
    assert cut_from_json(_cut(service).confirm(service.context())["cut"]) == {partition: PartitionCut(2, 1, 2)}


def test_of_two_that_change_the_lineage_one_stops(service: FakeService) -> None:
    service.topic()
    _record_cut(service, source=0)
    before = service.store.objects["lineage.json"]
    service.store.on_next("replace", lambda: service.store.objects.update({"lineage.json": before + b" "}))
    with pytest.raises(StalePlanError, match="changed by another process"):
        _put_in_force(service)
    assert service.store.objects["lineage.json"] == before + b" "


def test_a_cut_that_somebody_removed_is_missed(service: FakeService) -> None:
    service.topic()
    _record_cut(service, source=0)
    del service.store.objects["lineage.json"]
    with pytest.raises(RefusedError, match="does not hold this run's cut"):
        _cut(service).confirm(service.context())


def test_undoing_withdraws_and_keeps_history(service: FakeService) -> None:
    service.topic()
    _record_cut(service, source=0)
    for _ in range(2):
        assert _cut(service).compensate(service.context()) == {"state": "withdrawn"}
        assert [epoch.state for epoch in service.record.read().epochs] == [EpochState.WITHDRAWN]
    assert service.record.read().primary(SOURCE) == SOURCE


def test_the_target_is_primary_once_the_direction_is_recorded(service: FakeService) -> None:
    service.topic()
    _record_cut(service, source=0)
    step, context = RecordDirection(service.record), service.context()
    assert not step.is_satisfied(context, step.observe(context))
    assert service.record.read().primary(SOURCE) == SOURCE
    service.store.on_next("replace", Fault.LOST_ANSWER)
    with pytest.raises(UnreachableError):
        _put_in_force(service)
    assert step.is_satisfied(context, step.observe(context))
    assert step.confirm(context) == {"primary": TARGET}


def test_pin_knows_its_clusters(service: FakeService) -> None:
    found = Pin(service.world, service.record).confirm(service.context())
    assert found == {"primary": SOURCE, "clusters": {SOURCE: "cluster-1", TARGET: "cluster-2"}}


@pytest.mark.parametrize("region", [SOURCE, TARGET])
def test_pin_refuses_a_cluster_that_it_does_not_know(service: FakeService, region: str) -> None:
    {SOURCE: service.source, TARGET: service.target}[region].cluster.cluster_id = "another"
    with pytest.raises(RefusedError, match=f"the cluster at {region} has id another"):
        Pin(service.world, service.record).confirm(service.context())


def test_pin_asks_the_target_alone_when_the_source_is_gone(service: FakeService) -> None:
    service.source.is_dark = True
    with pytest.raises(UnreachableError):
        Pin(service.world, service.record).confirm(service.context())
    found = Pin(service.world, service.record).confirm(service.context(Mode.DISASTER))
    assert found["clusters"] == {TARGET: "cluster-2"}


def test_pin_refuses_a_direction_that_is_over_but_for_its_own_run(service: FakeService) -> None:
    service.topic()
    _record_cut(service, source=0)
    _put_in_force(service)
    assert Pin(service.world, service.record).confirm(service.context())["primary"] == TARGET
    service.record.change(lambda lineage: type(lineage)(tuple(lineage.epochs[:0])))
    _record_cut(service, source=0)
    other = service.store.objects["lineage.json"].replace(RUN_ID.encode(), b"another-run")
    service.store.objects["lineage.json"] = other.replace(b'"prepared"', b'"in_force"')
    with pytest.raises(StalePlanError, match=f"{TARGET} is the primary, not {SOURCE}"):
        Pin(service.world, service.record).confirm(service.context())


def test_a_cut_of_its_own_does_not_make_another_runs_move_its_own(service: FakeService) -> None:
    """It was stopped after its cut, and another run moved the service meanwhile."""
    service.topic()
    _record_cut(service, source=0)
    own = service.record.read().epochs[0]
    other = replace(own, run_id="another-run", state=EpochState.IN_FORCE)
    service.record.change(lambda lineage: lineage.with_epoch(other))
    with pytest.raises(StalePlanError, match=f"{TARGET} is the primary, not {SOURCE}"):
        Pin(service.world, service.record).confirm(service.context())
