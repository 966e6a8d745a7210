"""What every Kafka writer does: the fake, and a broker of the sandbox. Topics, ACLs and probes of writes."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import Acl, LogRange, TopicPartition
from drkit.errors import AuthError, RefusedError, UnreachableError
from drkit.ports import ProbeOutcome, ReadRange
from tests.contracts.kafka_bench import KafkaBench, open_to_all, rule
from tests.waiting import PATIENCE_SECONDS, eventually


def _created(kafka: KafkaBench, name: str, **configs: str) -> bool:
    made = kafka.writer.create_topic(name, partitions=2, replication_factor=1, configs=configs)
    eventually(
        lambda: name in kafka.reader.describe_topics([name]), timeout_seconds=PATIENCE_SECONDS, because="it was created"
    )
    return made


def _own(kafka: KafkaBench, *names: str) -> set[Acl]:
    return {acl for acl in kafka.reader.acls() if acl.resource_name in names}


def _configs(kafka: KafkaBench, topic: str) -> dict[str, str]:
    return dict(kafka.reader.topics()[topic].configs)


def test_a_topic_is_made_once(kafka: KafkaBench) -> None:
    name = kafka.name()
    assert _created(kafka, name, **{"cleanup.policy": "compact"}) is True
    assert _created(kafka, name, **{"cleanup.policy": "delete"}) is False
    found = kafka.reader.topics()[name]
    assert (len(found.partitions), found.configs) == (2, {"cleanup.policy": "compact"})


@pytest.mark.parametrize("name", ["a b", "a\n", "a/../b", "x" * 250, "", ".."])
def test_a_name_that_kafka_does_not_take_is_refused(kafka: KafkaBench, name: str) -> None:
    with pytest.raises(RefusedError) as caught:
        kafka.writer.create_topic(name, partitions=1, replication_factor=1, configs={})
    assert not isinstance(caught.value, UnreachableError)


def test_more_replicas_than_brokers_are_refused(kafka: KafkaBench) -> None:
    name = kafka.name()
    with pytest.raises(RefusedError) as caught:
        kafka.writer.create_topic(name, partitions=1, replication_factor=2, configs={})
    assert not isinstance(caught.value, UnreachableError)
    assert kafka.reader.describe_topics([name]) == {}


def test_configs_are_set_and_others_stay(kafka: KafkaBench) -> None:
    topic = kafka.topic(1, cleanup_policy="compact")
    kafka.writer.alter_topic_configs(topic, {"retention.ms": "1000"})
    wanted = {"cleanup.policy": "compact", "retention.ms": "1000"}
    eventually(lambda: _configs(kafka, topic) == wanted, timeout_seconds=PATIENCE_SECONDS, because="it was altered")
    kafka.writer.alter_topic_configs(topic, {"cleanup.policy": "delete"})
    wanted["cleanup.policy"] = "delete"
    eventually(lambda: _configs(kafka, topic) == wanted, timeout_seconds=PATIENCE_SECONDS, because="it was altered")
    kafka.writer.alter_topic_configs(topic, {})
    assert _configs(kafka, topic) == wanted


def test_configs_of_what_is_not_there_and_configs_that_are_none_are_refused(kafka: KafkaBench) -> None:
    topic = kafka.topic()
    for name, configs in ((kafka.name(), {"retention.ms": "1000"}), (topic, {"no.such.config": "1"})):
        with pytest.raises(RefusedError) as caught:
            kafka.writer.alter_topic_configs(name, configs)
        assert not isinstance(caught.value, UnreachableError)
    assert _configs(kafka, topic) == {}


def test_acls_are_read_back_as_they_were_made(kafka: KafkaBench) -> None:
    name = kafka.name()
    wanted = [
        rule("topic", name, "write", "deny", principal="User:orders"),
        rule("topic", name, "all", "allow", principal="User:*", pattern="prefixed"),
        rule("group", f"{name}\x1b\n雪", "read", "deny", principal="User:CN=a b,O=\u00e9"),
        rule("transactional_id", name, "describe", "allow", principal="User:orders"),
        Acl("topic", name, "literal", "User:orders", "10.0.0.1", "describe_configs", "allow"),
    ]
    kafka.writer.create_acls(wanted)
    names = {acl.resource_name for acl in wanted}
    eventually(lambda: _own(kafka, *names) == set(wanted), timeout_seconds=PATIENCE_SECONDS, because="they were made")
    kafka.writer.create_acls(wanted[:2])
    assert _own(kafka, *names) == set(wanted)
    kafka.writer.create_acls([])


def test_exactly_the_named_acls_are_removed_and_twice_is_no_error(kafka: KafkaBench) -> None:
    name = kafka.name()
    goes = rule("topic", name, "write", "deny", principal="User:orders")
    stay = {
        rule("topic", name, "write", "allow", principal="User:orders"),
        rule("topic", name, "write", "deny", principal="User:payments"),
        rule("topic", name, "write", "deny", principal="User:orders", pattern="prefixed"),
        rule("topic", name, "all", "deny", principal="User:orders"),
        rule("group", name, "write", "deny", principal="User:orders"),
        rule("topic", f"{name}.x", "write", "deny", principal="User:orders"),
        Acl("topic", name, "literal", "User:orders", "10.0.0.1", "write", "deny"),
    }
    kafka.writer.create_acls([goes, *stay])
    names = (name, f"{name}.x")
    eventually(lambda: _own(kafka, *names) == {goes, *stay}, timeout_seconds=PATIENCE_SECONDS, because="they were made")
    for _ in range(2):
        kafka.writer.delete_acls([goes])
        eventually(lambda: _own(kafka, *names) == stay, timeout_seconds=PATIENCE_SECONDS, because="one was removed")
    kafka.writer.delete_acls([])


def test_a_probe_is_written_to_partition_zero_and_read_back(kafka: KafkaBench) -> None:
    topic = kafka.topic(2)
    partition = TopicPartition(topic, 0)
    kafka.writer.warm_up(topic)
    assert kafka.reader.log_ranges([partition])[partition] == LogRange(0, 0, 0)
    assert kafka.writer.probe_write(topic, b"one") == (ProbeOutcome.ACCEPTED, 0)
    assert kafka.writer.probe_write(topic, b"two") == (ProbeOutcome.ACCEPTED, 1)
    ranges = [ReadRange(TopicPartition(topic, number), 0, 9) for number in range(2)]
    assert [(record.partition, record.value) for record in kafka.reader.read(ranges)] == [
        (partition, b"one"),
        (partition, b"two"),
    ]


@pytest.mark.parametrize(("pattern", "operation"), [("literal", "write"), ("prefixed", "write"), ("prefixed", "all")])
def test_a_denial_counts_more_than_an_allowance(kafka: KafkaBench, pattern: str, operation: str) -> None:
    """And a probe is let through again, by the same writer, once the denial is gone."""
    topic = kafka.topic()
    denial = rule("topic", topic[:-1] if pattern == "prefixed" else topic, operation, "deny", pattern=pattern)
    kafka.put_acls(open_to_all("topic", topic), rule("topic", topic, "write", "allow"))
    assert kafka.writer.probe_write(topic, b"before") == (ProbeOutcome.ACCEPTED, 0)
    kafka.writer.create_acls([denial])
    eventually(
        lambda: kafka.writer.probe_write(topic, b"x") == (ProbeOutcome.REFUSED, -1),
        timeout_seconds=PATIENCE_SECONDS,
        because="denied",
    )
    assert kafka.writer.probe_write(topic, b"x") == (ProbeOutcome.REFUSED, -1)
    kafka.writer.delete_acls([denial])
    outcomes: list[tuple[ProbeOutcome, int]] = []

    def is_let_through() -> bool:
        outcomes.append(kafka.writer.probe_write(topic, b"after"))
        return outcomes[-1][0] is ProbeOutcome.ACCEPTED

    eventually(is_let_through, timeout_seconds=PATIENCE_SECONDS, because="the denial is gone")
    ends = kafka.reader.log_ranges([TopicPartition(topic, 0)])
    assert ends[TopicPartition(topic, 0)].end == outcomes[-1][1] + 1


def test_a_first_rule_shuts_out_whom_it_does_not_name(kafka: KafkaBench) -> None:
    """``allow.everyone.if.no.acl.found``: why a fence must open what it is the first to speak of."""
    topic = kafka.topic()
    first = rule("topic", topic, "all", "deny", principal="User:orders")
    assert kafka.writer.probe_write(topic, b"x")[0] is ProbeOutcome.ACCEPTED
    kafka.put_acls(first)
    eventually(
        lambda: kafka.writer.probe_write(topic, b"x")[0] is ProbeOutcome.REFUSED,
        timeout_seconds=PATIENCE_SECONDS,
        because="shut out",
    )
    kafka.put_acls(open_to_all("topic", topic))
    eventually(
        lambda: kafka.writer.probe_write(topic, b"x")[0] is ProbeOutcome.ACCEPTED,
        timeout_seconds=PATIENCE_SECONDS,
        because="opened",
    )


def test_a_probe_of_what_is_not_there_says_so(kafka: KafkaBench) -> None:
    topic = kafka.name()
    with pytest.raises(RefusedError) as caught:
        kafka.writer.probe_write(topic, b"x")
    assert not isinstance(caught.value, UnreachableError)
    with pytest.raises(RefusedError) as caught:
        kafka.writer.warm_up(topic)
    assert not isinstance(caught.value, UnreachableError)
    assert kafka.reader.describe_topics([topic]) == {}


def test_acls_that_drkit_may_not_change_are_an_authorization_error(kafka: KafkaBench) -> None:
    denial = rule("cluster", "kafka-cluster", "alter", "deny")
    opened = open_to_all("cluster", "kafka-cluster")
    wanted = rule("topic", kafka.name(), "write", "deny")
    kafka.put_acls(opened, denial)
    eventually(lambda: denial in kafka.reader.acls(), timeout_seconds=PATIENCE_SECONDS, because="it was put")
    with pytest.raises(AuthError):
        kafka.writer.create_acls([wanted])
    with pytest.raises(AuthError):
        kafka.writer.delete_acls([wanted])
    assert wanted not in kafka.reader.acls()
