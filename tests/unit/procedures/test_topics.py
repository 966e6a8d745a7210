"""``drkit topics`` on both regions in memory: what is missing is made, what is there is left alone."""

from __future__ import annotations

import json

import pytest

from drkit.domain.topic_catalogue import TopicState, WantedTopic
from drkit.errors import RefusedError, UsageError, VerificationError
from drkit.procedures.topics import HeldTopics, TopicCatalogue
from tests.fakes.move import Move, mirrored_service, operator
from tests.fakes.scripted import Fault
from tests.fakes.service import ORDERS, SOURCE, TARGET, FakeService

PREFIX = "shop.staging."
WANTED = (
    WantedTopic(f"{PREFIX}order.confirmed", 3, 1, {"retention.ms": "9"}),
    WantedTopic(f"{PREFIX}order.cancelled", 2, 1),
)


@pytest.fixture
def service() -> FakeService:
    return mirrored_service()


def _topics(service: FakeService) -> TopicCatalogue:
    return operator(service).topics


def _states(held: HeldTopics) -> dict[str, TopicState]:
    return {one.name.removeprefix(PREFIX): one.state for one in held.findings}


def test_what_is_missing_is_made_in_the_primary_and_only_once(service: FakeService) -> None:
    held = _topics(service).hold(WANTED, None)
    assert (held.region, held.is_as_wanted) == (SOURCE, False)
    assert _states(held) == {
        "order.confirmed": TopicState.MISSING,
        "order.cancelled": TopicState.MISSING,
        "orders": TopicState.UNLISTED,
    }
    made = _topics(service).create(held, lambda _: None)
    assert (made.is_as_wanted, made.made) == (True, (f"{PREFIX}order.cancelled", f"{PREFIX}order.confirmed"))
    assert service.source.cluster.configs[f"{PREFIX}order.confirmed"] == {"retention.ms": "9"}
    assert f"{PREFIX}order.confirmed" not in service.target.cluster.configs
    again = _topics(service).create(_topics(service).hold(WANTED, None), lambda _: None)
    assert again.made == ()
    document = json.loads(json.dumps(made.document))
    assert (document["schema"], document["as_wanted"]) == ("drkit.topics/1", True)


def test_what_is_there_is_said_to_differ_and_left_alone(service: FakeService) -> None:
    service.source.cluster.create(WANTED[0].name, 1)
    made = _topics(service).create(_topics(service).hold(WANTED, None), lambda _: None)
    assert made.made == (WANTED[1].name,)
    assert not made.is_as_wanted
    (different,) = [one for one in made.findings if one.state is TopicState.DIFFERENT]
    assert different.differences == ("1 partitions, not 3", "retention.ms is the broker's default, not 9")
    assert service.source.cluster.configs[WANTED[0].name] == {}


def test_the_standby_gets_topics_where_it_is_named_and_that_is_noted(service: FakeService) -> None:
    held = _topics(service).hold(WANTED, TARGET)
    assert "the mirror makes the primary's topics there by itself" in held.notes[0]
    assert _topics(service).create(held, lambda _: None).is_as_wanted
    assert WANTED[0].name in service.target.cluster.configs


def test_a_name_that_kafka_takes_for_another_topic_s_is_refused_with_all_of_them(service: FakeService) -> None:
    service.source.cluster.create("shop_staging.order_confirmed")
    service.source.cluster.create("shop.staging.order_cancelled")
    with pytest.raises(RefusedError, match="no difference") as caught:
        _topics(service).hold(WANTED, None)
    assert f"{PREFIX}order.confirmed and shop_staging.order_confirmed" in caught.value.message
    assert f"{PREFIX}order.cancelled and shop.staging.order_cancelled" in caught.value.message


def test_more_replicas_than_brokers_are_refused_before_anything_is_made(service: FakeService) -> None:
    wanted = (*WANTED, WantedTopic(f"{PREFIX}order.paid", 1, 3))
    held = _topics(service).hold(wanted, None)
    with pytest.raises(RefusedError, match=r"1 brokers, fewer than replicas are wanted of shop\.staging\.order\.paid"):
        _topics(service).create(held, lambda _: None)
    assert WANTED[0].name not in service.source.cluster.configs


def test_a_topic_that_the_cluster_refuses_is_named_and_the_others_are_made(service: FakeService) -> None:
    def refuse() -> None:
        raise RefusedError("policy violation")

    held = _topics(service).hold(WANTED, None)
    service.source.on_next("create_topic", refuse)
    with pytest.raises(VerificationError, match="policy violation"):
        _topics(service).create(held, lambda _: None)
    assert WANTED[0].name in service.source.cluster.configs


def test_a_lost_answer_costs_nothing_but_another_attempt(service: FakeService) -> None:
    held = _topics(service).hold(WANTED, None)
    service.source.on_next("create_topic", Fault.LOST_ANSWER)
    with pytest.raises(RefusedError):
        _topics(service).create(held, lambda _: None)
    assert _topics(service).create(_topics(service).hold(WANTED, None), lambda _: None).is_as_wanted


def test_nothing_is_made_beside_an_unfinished_run_or_on_another_cluster(service: FakeService) -> None:
    held = _topics(service).hold(WANTED, None)
    service.target.on_next("probe_write", Fault.NOT_ARRIVED)
    with pytest.raises(Exception, match="stopped"):
        Move(service).run()
    with pytest.raises(RefusedError, match="unfinished"):
        _topics(service).create(held, lambda _: None)
    service.source.cluster.cluster_id = "another"
    with pytest.raises(RefusedError, match="has id another"):
        _topics(service).hold(WANTED, None)
    assert WANTED[0].name not in service.source.cluster.configs


def test_a_region_is_one_of_the_service(service: FakeService) -> None:
    with pytest.raises(UsageError, match="osaka"):
        _topics(service).hold(WANTED, "osaka")


def test_drkits_own_topic_is_none_of_the_catalogue_s(service: FakeService) -> None:
    assert ORDERS in {one.name for one in _topics(service).hold((), None).findings}
    assert service.settings.canary_topic not in {one.name for one in _topics(service).hold((), None).findings}
