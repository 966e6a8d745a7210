"""Changes are compared with the cluster first, made as far as the cluster takes them, and read back."""

from __future__ import annotations

import pytest

from drkit.domain.change_state import ClusterChange
from drkit.domain.kafka import Acl
from drkit.domain.provisioning import AddPartitions, CreateAcl, CreateTopic, SetConfig
from drkit.errors import AuthError, RefusedError, StalePlanError, UnreachableError, VerificationError
from drkit.steps.provision import Provisioner
from tests.fakes.clock import FakeClock
from tests.fakes.kafka import FakeKafka
from tests.fakes.scripted import Fault

_WRITE = Acl("topic", "payments", "literal", "User:app", "*", "write", "allow")
_READ = Acl("group", "billing", "literal", "User:app", "*", "read", "allow")
_ORDERS = CreateTopic("orders", 2, 1, {"retention.ms": "1000"})
_EVENTS = CreateTopic("events", 1, 1, {})
_KEEP = SetConfig("events", "retention.ms", None, "500")
_COMPACT = SetConfig("events", "cleanup.policy", None, "compact")
_SECONDS = 5.0


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka("tokyo")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def provisioner(kafka: FakeKafka, clock: FakeClock) -> Provisioner:
    return Provisioner(kafka, kafka, kafka, clock, _SECONDS)


def _calls(kafka: FakeKafka) -> list[str]:
    return [call for call, _ in kafka.calls if call not in ("describe_topics", "acls")]


def test_everything_is_made_once_and_then_found(provisioner: Provisioner, kafka: FakeKafka) -> None:
    kafka.cluster.create("events")
    changes: list[ClusterChange] = [
        CreateAcl(_WRITE),
        CreateAcl(_READ),
        _KEEP,
        _COMPACT,
        AddPartitions("events", 1, 3),
        _ORDERS,
    ]
    made = provisioner.apply(changes)
    assert (len(made.made), made.present, made.failed) == (6, (), ())
    # Configs of one topic in one request, and all ACLs in another.
    assert _calls(kafka) == ["create_topic", "add_partitions", "alter_topic_configs", "create_acls"]
    assert kafka.cluster.acls == {_WRITE, _READ}
    assert kafka.cluster.configs == {
        "events": {"retention.ms": "500", "cleanup.policy": "compact"},
        "orders": {"retention.ms": "1000"},
    }
    assert len([p for p in kafka.cluster.logs if p.topic == "events"]) == 3
    kafka.calls.clear()
    again = provisioner.apply(changes)
    assert (again.made, len(again.present), again.failed) == ((), 6, ())
    assert _calls(kafka) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (CreateTopic("events", 2, 1, {}), "it is there already, and it has 1 partitions, not 2"),
        (CreateTopic("events", 1, 3, {}), "it has 1 replicas, not 3"),
        (CreateTopic("events", 1, 1, {"retention.ms": "9"}), "retention.ms is 7, not 9"),
        (AddPartitions("events", 2, 3), "it has 1 partitions now"),
        (AddPartitions("gone", 2, 3), "the topic is gone"),
        (SetConfig("events", "retention.ms", None, "9"), "it is 7 now"),
        (SetConfig("events", "cleanup.policy", "compact", "delete"), "it is the default now"),
    ],
)
def test_a_world_that_moved_stops_everything_before_the_first_change(
    provisioner: Provisioner, kafka: FakeKafka, change: CreateTopic | AddPartitions | SetConfig, reason: str
) -> None:
    kafka.cluster.create("events", configs={"retention.ms": "7"})
    with pytest.raises(StalePlanError, match=reason):
        provisioner.apply([_ORDERS, change, CreateAcl(_WRITE)])
    assert _calls(kafka) == []


def test_what_is_refused_is_no_obstacle_for_the_others(provisioner: Provisioner, kafka: FakeKafka) -> None:
    def refuse() -> None:
        raise RefusedError("Topic 'orders' is unknown to the policy")

    kafka.on_next("create_topic", refuse)
    made = provisioner.apply([_ORDERS, _EVENTS, CreateAcl(_WRITE)])
    assert made.made == (_EVENTS, CreateAcl(_WRITE))
    assert [(one.change, one.reason) for one in made.failed] == [(_ORDERS, "Topic 'orders' is unknown to the policy")]
    with pytest.raises(VerificationError, match="1 of 3 changes in tokyo were not made: create topic orders"):
        made.require_complete("tokyo")


def test_the_one_config_that_is_refused_is_found_out(provisioner: Provisioner, kafka: FakeKafka) -> None:
    kafka.cluster.create("events")
    wrong = SetConfig("events", "retention.mss", None, "1")
    made = provisioner.apply([_KEEP, wrong, _COMPACT])
    assert made.made == (_KEEP, _COMPACT)
    assert [one.change for one in made.failed] == [wrong]


def test_configs_of_many_topics_are_set_side_by_side_and_each_answer_counts(
    provisioner: Provisioner, kafka: FakeKafka
) -> None:
    names = [f"events-{number}" for number in range(20)]
    for name in names:
        kafka.cluster.create(name)
    good = [SetConfig(name, "retention.ms", None, "500") for name in names]
    wrong = SetConfig(names[7], "retention.mss", None, "1")
    made = provisioner.apply([*good, wrong])
    assert (list(made.made), [one.change for one in made.failed]) == (good, [wrong])
    assert all(kafka.cluster.configs[name] == {"retention.ms": "500"} for name in names)


def test_a_binding_that_is_refused_costs_its_request_only(provisioner: Provisioner, kafka: FakeKafka) -> None:
    def refuse() -> None:
        raise RefusedError("Invalid principal type")

    kafka.on_next("create_acls", refuse, refuse)
    made = provisioner.apply([CreateAcl(_WRITE), CreateAcl(_READ)])
    assert (made.made, [one.change for one in made.failed]) == ((CreateAcl(_READ),), [CreateAcl(_WRITE)])


def test_where_nothing_was_taken_the_clusters_answer_is_raised(provisioner: Provisioner, kafka: FakeKafka) -> None:
    def refuse() -> None:
        raise AuthError("create topic: not authorized")

    kafka.on_next("create_topic", refuse, refuse)
    with pytest.raises(AuthError, match="not authorized"):
        provisioner.apply([_ORDERS, _EVENTS])


def test_a_lost_answer_is_no_failure_and_the_next_attempt_finds_what_was_made(
    provisioner: Provisioner, kafka: FakeKafka
) -> None:
    kafka.on_next("create_topic", Fault.LOST_ANSWER)
    with pytest.raises(UnreachableError):
        provisioner.apply([_ORDERS, _EVENTS])
    made = provisioner.apply([_ORDERS, _EVENTS])
    assert (made.made, made.present) == ((_EVENTS,), (_ORDERS,))


def test_a_topic_that_somebody_else_made_meanwhile_is_no_success(provisioner: Provisioner, kafka: FakeKafka) -> None:
    kafka.on_next("create_topic", lambda: kafka.cluster.create("orders", 7))
    made = provisioner.apply([_ORDERS, _EVENTS])
    assert made.made == (_EVENTS,)
    assert "it has 7 partitions, not 2" in made.failed[0].reason


def test_what_was_accepted_and_is_not_there_is_waited_for(
    provisioner: Provisioner, kafka: FakeKafka, clock: FakeClock
) -> None:
    kafka.create_topic = lambda *_, **__: True  # type: ignore[method-assign]
    began = clock.monotonic()
    made = provisioner.apply([_ORDERS])
    assert "not seen on the cluster within 5 s" in made.failed[0].reason
    assert clock.monotonic() - began >= _SECONDS


def test_only_what_the_changes_are_about_is_read(provisioner: Provisioner, kafka: FakeKafka) -> None:
    provisioner.apply([CreateAcl(_WRITE)])
    assert "describe_topics" not in [call for call, _ in kafka.calls]
    kafka.calls.clear()
    provisioner.apply([_EVENTS])
    assert "acls" not in [call for call, _ in kafka.calls]
