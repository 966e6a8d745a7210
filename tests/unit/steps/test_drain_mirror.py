"""The drain: nothing is left to mirror, told from the mirror's own positions; markers and holes are not records."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import Acl, TopicPartition
from drkit.engine.step import NotYetError
from drkit.errors import RefusedError
from drkit.steps.drain_mirror import DrainMirror
from tests.fakes.service import OFFSETS_TOPIC, ORDERS, SOURCE, FakeService


def _step(service: FakeService) -> DrainMirror:
    return DrainMirror(service.world, SOURCE, service.mirror)


def _remaining(service: FakeService) -> list[str]:
    step, context = _step(service), service.context()
    observation = step.observe(context)
    assert step.is_satisfied(context, observation) == (not observation.remaining)
    return [str(partition) for partition in observation.remaining]


def test_what_was_carried_over_is_drained_and_one_more_record_is_not(service: FakeService) -> None:
    partition = service.topic()
    assert _remaining(service) == []
    service.write(partition, 3)
    assert _remaining(service) == [f"{ORDERS}-0"]
    service.carry(partition)
    assert _remaining(service) == []
    evidence = _step(service).confirm(service.context())
    assert evidence == {"partitions": 1, "source_end": {ORDERS: {"0": 3}}, "source_last": {ORDERS: {"0": 2}}}
    service.write(partition, 1)
    with pytest.raises(NotYetError, match=f"records arrived in {ORDERS}-0"):
        _step(service).confirm(service.context())


def test_markers_aborted_records_and_holes_need_no_mirror(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 1)
    service.carry(partition)
    service.source.cluster.begin(partition, b"never").abort()
    service.write(partition, 1)
    service.source.cluster.logs[partition].punch(3)
    assert _remaining(service) == []
    assert service.source.cluster.logs[partition].end == 4


def test_an_open_transaction_is_not_drained_and_its_end_decides(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 1)
    service.carry(partition)
    transaction = service.source.cluster.begin(partition, b"a")
    assert _remaining(service) == [f"{ORDERS}-0"]
    transaction.commit()
    assert _remaining(service) == [f"{ORDERS}-0"]
    service.carry(partition)
    assert _remaining(service) == []


@pytest.mark.parametrize("is_data", [True, False])
def test_a_long_tail_is_searched_too(service: FakeService, *, is_data: bool) -> None:
    partition = service.topic()
    log = service.source.cluster.logs[partition]
    service.write(partition, 1)
    service.carry(partition)
    service.write(partition, 2500)
    for offset in range(1, 2501):
        log.punch(offset)
    if is_data:
        service.write(partition, 1)
    assert _remaining(service) == ([f"{ORDERS}-0"] if is_data else [])


def test_what_retention_has_removed_cannot_be_mirrored_any_more(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 5)
    service.source.cluster.logs[partition].delete_before(5)
    assert _remaining(service) == []


def test_a_topic_that_was_made_anew_is_not_drained_before_the_mirror_is_in_it(service: FakeService) -> None:
    partition = service.topic()
    service.put_position(partition, 1000)
    service.write(partition, 5)
    assert _remaining(service) == [f"{ORDERS}-0"]
    step, context = _step(service), service.context()
    with pytest.raises(NotYetError, match=f"first {ORDERS}-0, which ends at 5 and was mirrored up to 1000"):
        step.apply(context, step.observe(context))
    service.while_waiting(lambda: service.put_position(partition, 4))
    step.apply(context, step.observe(context))
    assert _remaining(service) == []


def test_a_partition_that_its_topic_has_no_more_is_not_drained(service: FakeService) -> None:
    topic = service.topic(partitions=1).topic
    service.put_position(TopicPartition(topic, 1), 3)
    assert _remaining(service) == [f"{ORDERS}-1"]
    step, context = _step(service), service.context()
    with pytest.raises(NotYetError, match=f"{ORDERS}-1, which is gone and was mirrored up to 3") as caught:
        step.apply(context, step.observe(context))
    assert "remove its offset" in caught.value.hint


def _hide(service: FakeService, topic: str) -> None:
    """Another alone may see it."""
    service.source.cluster.acls.add(Acl("topic", topic, "literal", "User:payments", "*", "all", "allow"))


@pytest.mark.parametrize("by", ["position", "copy"])
def test_a_mirrored_topic_that_drkit_may_not_see_is_no_drained_topic(service: FakeService, by: str) -> None:
    hidden = service.topic("shop.staging.payments")
    service.write(hidden, 5)
    if by == "position":
        service.put_position(hidden, 2)
        service.target.cluster.drop(hidden.topic)
    _hide(service, hidden.topic)
    step, context = _step(service), service.context()
    for look in (step.check, step.observe):
        with pytest.raises(RefusedError, match=r"may not describe them in .*, first shop.staging.payments"):
            look(context)


def test_a_topic_that_is_gone_or_not_the_services_is_no_obstacle(service: FakeService) -> None:
    gone, other = service.topic("shop.staging.gone"), service.topic("elsewhere")
    service.put_position(gone, 2)
    service.put_position(other, 2)
    service.source.cluster.drop(gone.topic)
    _hide(service, other.topic)
    _step(service).check(service.context())
    assert _remaining(service) == []


def test_topics_of_others_and_positions_of_other_connectors_do_not_count(service: FakeService) -> None:
    partition, other = service.topic(), service.topic("elsewhere")
    service.write(other, 5)
    service.write(partition, 1)
    service.put_position(partition, 0, connector="somebody-elses")
    assert _remaining(service) == [f"{ORDERS}-0"]


def test_a_position_that_connect_took_back_counts_no_more(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 1)
    service.carry(partition)
    assert _remaining(service) == []
    service.put_position(partition, None)
    assert _remaining(service) == [f"{ORDERS}-0"]


def test_it_waits_for_the_mirror_and_gives_up_in_time(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 3)
    step, context = _step(service), service.context()
    with pytest.raises(NotYetError, match=f"still has records to carry over in 1 partitions .*first {ORDERS}-0"):
        step.apply(context, step.observe(context))
    passed = service.clock.monotonic() - 1000
    assert passed == pytest.approx(service.settings.timeouts.drain_seconds, abs=1)
    service.while_waiting(lambda: service.carry(partition))
    step.apply(context, step.observe(context))
    assert _remaining(service) == []


def test_a_wrong_offsets_topic_is_found_before_anything_is_changed(service: FakeService) -> None:
    service.target.cluster.drop(OFFSETS_TOPIC)
    with pytest.raises(RefusedError, match=OFFSETS_TOPIC):
        _step(service).prepare(service.context())
