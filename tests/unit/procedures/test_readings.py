"""What a plan reads of a service whose mirror is at work."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.domain.lag import AtMost, Exactly
from drkit.domain.mode import FailoverMode
from drkit.domain.offsets import Exact
from drkit.procedures.forecast import Forecaster
from drkit.procedures.plan import PositionsForecast
from drkit.procedures.readings import Readings
from tests.fakes.service import ORDERS, SOURCE, TARGET, FakeService
from tests.unit.config.sample import settings

GROUP = "billing"


@pytest.fixture
def service() -> FakeService:
    """Twelve records with a hole among them are mirrored, with syncs for the first and the seventh."""
    service = FakeService(settings())
    partition = service.topic()
    service.write(partition, 6)
    service.source.cluster.logs[partition].punch(3)
    service.carry(partition)
    service.write(partition, 6)
    service.carry(partition)
    service.source.cluster.commit(GROUP, {partition: 8})
    return service


def forecast(service: FakeService) -> PositionsForecast:
    return Readings(service.world).positions(SOURCE, TARGET, FailoverMode.PLANNED)


def test_a_mirror_at_rest_decides_at_once(service: FakeService) -> None:
    service.while_waiting(lambda: pytest.fail("there is nothing to wait for"))
    found = forecast(service)
    assert (found.totals["exact"], found.replay) == (1, Exactly(0))


def test_copies_that_connect_has_not_accounted_for_yet_are_looked_at_again(service: FakeService) -> None:
    """Under load, every other plan met such a moment, and was refused for records that nobody would read again."""
    partition = TopicPartition(ORDERS, 0)
    service.put_position(partition, 5)
    service.while_waiting(lambda: service.put_position(partition, 11))
    found = forecast(service)
    assert (found.totals["exact"], found.replay) == (1, Exactly(0))


def test_what_is_only_looked_at_is_looked_at_as_often(service: FakeService) -> None:
    """A forecast and a translation say what a plan would say."""
    partition = TopicPartition(ORDERS, 0)
    service.while_waiting(lambda: service.put_position(partition, 11))
    readings = Readings(service.world)
    service.put_position(partition, 5)
    forecaster = Forecaster(service.world, readings, SOURCE, TARGET, FailoverMode.PLANNED)
    assert forecaster.forecast().totals["exact"] == 1
    service.put_position(partition, 5)
    assert isinstance(readings.translate(SOURCE, TARGET, FailoverMode.PLANNED)[0].verdict, Exact)


def test_what_is_known_from_offset_syncs_alone_makes_the_loss_unknown(service: FakeService) -> None:
    """Of a connector that was made anew under another name: Kafka Connect has no position of it."""
    service.source.is_dark = True
    readings = Readings(service.world)
    assert readings.positions(SOURCE, TARGET, FailoverMode.DISASTER).unplaced == ""
    service.sync(TopicPartition(ORDERS, 1), 0, 0)
    service.sync(TopicPartition("another.service", 0), 0, 0)
    found = readings.positions(SOURCE, TARGET, FailoverMode.DISASTER)
    assert found.unplaced == f"how far 1 partitions were mirrored, known from offset syncs alone (first {ORDERS}-1)"


def test_what_stays_open_is_said(service: FakeService) -> None:
    service.put_position(TopicPartition(ORDERS, 0), 5)
    found = forecast(service)
    assert (found.totals["bounded"], found.replay) == (1, AtMost(1))
