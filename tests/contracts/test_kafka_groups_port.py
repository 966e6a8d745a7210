"""What every Kafka reader and writer do with consumer groups: the fake, and a broker of the sandbox."""

from __future__ import annotations

from typing import Literal

import pytest

from drkit.domain.kafka import GroupDescription, GroupState, TopicPartition
from drkit.errors import AuthError, RefusedError, UnreachableError
from drkit.ports import ProbeOutcome
from tests.contracts.kafka_bench import KafkaBench, open_to_all, rule
from tests.waiting import PATIENCE_SECONDS, eventually

Protocol = Literal["classic", "consumer"]


def _one(kafka: KafkaBench) -> TopicPartition:
    partition = TopicPartition(kafka.topic(), 0)
    kafka.write(partition, [b"0", b"1"])
    return partition


def _committed(kafka: KafkaBench, group: str) -> dict[TopicPartition, int]:
    return dict(kafka.reader.committed_offsets([group])[group])


def _state(kafka: KafkaBench, group: str) -> GroupState:
    return kafka.reader.describe_groups([group])[group].state


def _deny(kafka: KafkaBench, group: str, operation: str) -> None:
    kafka.put_acls(open_to_all("group", group), rule("group", group, operation, "deny"))


def test_a_group_that_was_never_there_is_dead_and_has_no_offsets(kafka: KafkaBench) -> None:
    group = kafka.name()
    assert group not in kafka.reader.groups()
    assert kafka.reader.describe_groups([group]) == {group: GroupDescription(group, GroupState.DEAD)}
    assert kafka.reader.committed_offsets([group]) == {group: {}}
    assert kafka.reader.describe_groups([]) == {}
    assert kafka.reader.committed_offsets([]) == {}


def test_offsets_are_committed_for_a_group_that_was_not_there(kafka: KafkaBench) -> None:
    topic = kafka.topic(2)
    group, first, second = kafka.name(), TopicPartition(topic, 0), TopicPartition(topic, 1)
    assert list(kafka.writer.alter_group_offsets(group, {first: 1, second: 0})) == []
    assert _committed(kafka, group) == {first: 1, second: 0}
    assert kafka.reader.groups()[group].state is GroupState.EMPTY
    described = kafka.reader.describe_groups([group])[group]
    assert described == GroupDescription(group, GroupState.EMPTY)
    assert described.accepts_offsets


def test_offsets_are_set_back_or_beyond_the_end_and_others_stay(kafka: KafkaBench) -> None:
    """A broker does not check them: who commits does."""
    topic = kafka.topic(2)
    group, first, second = kafka.name(), TopicPartition(topic, 0), TopicPartition(topic, 1)
    kafka.writer.alter_group_offsets(group, {first: 5, second: 7})
    assert list(kafka.writer.alter_group_offsets(group, {first: 1_000_000})) == []
    assert _committed(kafka, group) == {first: 1_000_000, second: 7}
    kafka.writer.alter_group_offsets(group, {first: 0})
    assert _committed(kafka, group) == {first: 0, second: 7}


def test_nothing_to_commit_is_no_request(kafka: KafkaBench) -> None:
    group = kafka.name()
    assert list(kafka.writer.alter_group_offsets(group, {})) == []
    assert group not in kafka.reader.groups()


def test_the_parts_of_a_commit_that_fail_are_named_and_the_others_are_made(kafka: KafkaBench) -> None:
    there, group = _one(kafka), kafka.name()
    missing = [TopicPartition(there.topic, 9), TopicPartition(kafka.name(), 0)]
    failed = kafka.writer.alter_group_offsets(group, {missing[0]: 1, there: 1, missing[1]: 1})
    assert sorted(failure.partition for failure in failed) == sorted(missing)
    assert all("unknown topic" in failure.reason.lower() for failure in failed)
    assert _committed(kafka, group) == {there: 1}


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_an_active_group_is_left_alone(kafka: KafkaBench, protocol: Protocol) -> None:
    partition, group = _one(kafka), kafka.name()
    kafka.writer.alter_group_offsets(group, {partition: 1})
    with kafka.member(group, partition.topic, protocol):
        assert kafka.reader.groups()[group].state is GroupState.ACTIVE
        described = kafka.reader.describe_groups([group])[group]
        assert described.state is GroupState.ACTIVE
        assert not described.accepts_offsets
        assert [member.split(" at ")[0] for member in described.members] == ["app"]
        for call in (
            lambda: kafka.writer.alter_group_offsets(group, {partition: 0}),
            lambda: kafka.writer.delete_group(group),
        ):
            with pytest.raises(RefusedError, match="members") as caught:
                call()
            assert not isinstance(caught.value, UnreachableError)
        assert _committed(kafka, group) == {partition: 1}
    eventually(
        lambda: _state(kafka, group) is GroupState.EMPTY, timeout_seconds=PATIENCE_SECONDS, because="its member left"
    )
    assert list(kafka.writer.alter_group_offsets(group, {partition: 0})) == []


def test_a_group_is_removed_with_its_offsets_and_twice_is_no_error(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), kafka.name()
    kafka.writer.alter_group_offsets(group, {partition: 1})
    for _ in range(2):
        kafka.writer.delete_group(group)
        assert _committed(kafka, group) == {}
        assert group not in kafka.reader.groups()


def test_several_groups_are_asked_at_once(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    groups = {kafka.name(): number for number in range(3)}
    for group, offset in groups.items():
        kafka.writer.alter_group_offsets(group, {partition: offset})
    missing = kafka.name()
    found = kafka.reader.committed_offsets([*groups, missing])
    assert found == {**{group: {partition: offset} for group, offset in groups.items()}, missing: {}}
    states = {name: group.state for name, group in kafka.reader.describe_groups([*groups, missing]).items()}
    assert states == {**dict.fromkeys(groups, GroupState.EMPTY), missing: GroupState.DEAD}


def test_a_position_in_an_open_transaction_is_not_stable(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), kafka.name()
    kafka.writer.alter_group_offsets(group, {partition: 1})
    commit = kafka.begin_commit(group, partition, 2)
    assert _committed(kafka, group) == {partition: 1}
    with pytest.raises(RefusedError, match="a transaction that has not ended holds it"):
        kafka.reader.committed_offsets([group], stable=True)
    commit()
    # Its marker may be written after the commit is answered: that is waited for.
    assert kafka.reader.committed_offsets([group], stable=True) == {group: {partition: 2}}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_share_group_is_no_consumer_group_and_is_seen(kafka: KafkaBench) -> None:
    group = kafka.name()
    assert group not in kafka.reader.foreign_groups()
    with kafka.share_member(group, kafka.topic()):
        assert group not in kafka.reader.groups()
        assert group in kafka.reader.foreign_groups()


def test_names_are_any_text(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), f"{kafka.name()}\x1b[31m\r\n 雪 %s"
    kafka.writer.alter_group_offsets(group, {partition: 1})
    assert kafka.reader.groups()[group].group == group
    assert _committed(kafka, group) == {partition: 1}
    kafka.writer.delete_group(group)
    assert group not in kafka.reader.groups()


def test_a_group_that_drkit_may_not_write_is_an_authorization_error(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), kafka.name()
    kafka.writer.alter_group_offsets(group, {partition: 1})
    _deny(kafka, group, "read")
    eventually(lambda: _is_refused(kafka, group, partition), timeout_seconds=PATIENCE_SECONDS, because="it is denied")
    with pytest.raises(AuthError, match=r"(?i)authoriz|may not"):
        kafka.writer.alter_group_offsets(group, {partition: 0})
    assert _committed(kafka, group) == {partition: 1}


def test_a_group_that_drkit_may_not_see_is_an_authorization_error(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), kafka.name()
    kafka.writer.alter_group_offsets(group, {partition: 1})
    _deny(kafka, group, "all")
    eventually(lambda: _is_refused(kafka, group, partition), timeout_seconds=PATIENCE_SECONDS, because="it is denied")
    for call in (
        lambda: kafka.reader.committed_offsets([group]),
        lambda: kafka.reader.describe_groups([group]),
        lambda: kafka.writer.delete_group(group),
    ):
        with pytest.raises(AuthError):
            call()


def test_a_topic_that_drkit_may_not_read_fails_alone(kafka: KafkaBench) -> None:
    """And a broker keeps quiet about its committed offsets."""
    there, denied, group = _one(kafka), _one(kafka), kafka.name()
    kafka.writer.alter_group_offsets(group, {there: 1, denied: 1})
    kafka.put_acls(open_to_all("topic", denied.topic), rule("topic", denied.topic, "all", "deny"))
    eventually(lambda: _committed(kafka, group) == {there: 1}, timeout_seconds=PATIENCE_SECONDS, because="it is denied")
    failed = kafka.writer.alter_group_offsets(group, {there: 0, denied: 0})
    assert [failure.partition for failure in failed] == [denied]
    assert _committed(kafka, group) == {there: 0}
    assert kafka.writer.probe_commit(group, denied, 0) is ProbeOutcome.REFUSED


def test_a_probe_of_a_partition_that_is_not_there_is_refused(kafka: KafkaBench) -> None:
    with pytest.raises(RefusedError) as caught:
        kafka.writer.probe_commit(kafka.name(), TopicPartition(kafka.name(), 0), 0)
    assert not isinstance(caught.value, UnreachableError)


def test_a_probe_commits_and_is_seen(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), kafka.name()
    assert kafka.writer.probe_commit(group, partition, 1) is ProbeOutcome.ACCEPTED
    assert _committed(kafka, group) == {partition: 1}
    assert _state(kafka, group) is GroupState.EMPTY
    assert kafka.writer.probe_commit(group, partition, 0) is ProbeOutcome.ACCEPTED
    assert _committed(kafka, group) == {partition: 0}


def test_a_probe_of_commits_is_refused_while_it_is_denied(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), kafka.name()
    denial = rule("group", group, "read", "deny")
    assert kafka.writer.probe_commit(group, partition, 1) is ProbeOutcome.ACCEPTED
    kafka.put_acls(open_to_all("group", group), denial)
    eventually(lambda: _is_refused(kafka, group, partition), timeout_seconds=PATIENCE_SECONDS, because="it is denied")
    assert _committed(kafka, group) == {partition: 1}
    kafka.writer.delete_acls([denial])
    eventually(
        lambda: not _is_refused(kafka, group, partition),
        timeout_seconds=PATIENCE_SECONDS,
        because="it is not denied any more",
    )
    assert kafka.writer.probe_commit(group, partition, 0) is ProbeOutcome.ACCEPTED
    assert _committed(kafka, group) == {partition: 0}


def test_a_first_probe_may_be_a_refused_one(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), kafka.name()
    _deny(kafka, group, "read")
    eventually(lambda: _is_refused(kafka, group, partition), timeout_seconds=PATIENCE_SECONDS, because="it is denied")
    assert group not in kafka.reader.groups()


def _is_refused(kafka: KafkaBench, group: str, partition: TopicPartition) -> bool:
    return kafka.writer.probe_commit(group, partition, 1) is ProbeOutcome.REFUSED
