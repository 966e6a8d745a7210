"""What every inventory of a Kafka cluster does: the fake, and a broker of the sandbox."""

from __future__ import annotations

import time
from typing import Literal

import pytest

from drkit.domain.inventory import CommittedPosition, GroupInventory, GroupMember, GroupType, ScramUser
from drkit.domain.kafka import GroupState, TopicPartition
from drkit.errors import AuthError, RefusedError, UnreachableError
from drkit.ports import LogTimes
from tests.contracts.kafka_bench import KafkaBench, open_to_all, partitions_of, rule
from tests.waiting import PATIENCE_SECONDS, eventually

Protocol = Literal["classic", "consumer"]
TYPES = {"classic": GroupType.CLASSIC, "consumer": GroupType.CONSUMER}
FIVE = CommittedPosition(5, leader_epoch=3, metadata="at the red light; 雪")
PLAIN = CommittedPosition(7)


def _refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(RefusedError) as caught:
        call()
    assert not isinstance(caught.value, UnreachableError)


def _one(kafka: KafkaBench) -> TopicPartition:
    return TopicPartition(kafka.topic(), 0)


def _group(kafka: KafkaBench, name: str) -> GroupInventory:
    return kafka.inventory.group_inventory([name])[name]


def test_users_are_told_with_their_mechanisms(kafka: KafkaBench) -> None:
    name = kafka.user(SCRAM_SHA_256=4096, SCRAM_SHA_512=8192)
    other = kafka.user(SCRAM_SHA_512=4096)
    eventually(
        lambda: {name, other} <= kafka.inventory.scram_users().keys(),
        timeout_seconds=PATIENCE_SECONDS,
        because="they were made",
    )
    found = kafka.inventory.scram_users()
    assert found[name] == ScramUser(name, {"SCRAM-SHA-256": 4096, "SCRAM-SHA-512": 8192})
    assert found[other] == ScramUser(other, {"SCRAM-SHA-512": 4096})
    assert list(found) == sorted(found)


def test_users_that_drkit_may_not_see_are_an_authorization_error(kafka: KafkaBench) -> None:
    denial = rule("cluster", "kafka-cluster", "describe", "deny")
    kafka.put_acls(open_to_all("cluster", "kafka-cluster"), denial)
    try:
        eventually(lambda: _may_not_see_users(kafka), timeout_seconds=PATIENCE_SECONDS, because="it is denied")
    finally:
        kafka.writer.delete_acls([denial])
    eventually(lambda: not _may_not_see_users(kafka), timeout_seconds=PATIENCE_SECONDS, because="it is not any more")


def _may_not_see_users(kafka: KafkaBench) -> bool:
    try:
        kafka.inventory.scram_users()
    except AuthError:
        return True
    return False


def test_positions_keep_their_metadata_and_leader_epoch(kafka: KafkaBench) -> None:
    topic, group = kafka.topic(2), kafka.name()
    first, second = partitions_of(topic, 2)
    assert list(kafka.inventory.commit_positions(group, {second: PLAIN, first: FIVE})) == []
    expected = GroupInventory(group, GroupType.CLASSIC, GroupState.EMPTY, positions={first: FIVE, second: PLAIN})
    assert _group(kafka, group) == expected
    assert list(_group(kafka, group).positions) == [first, second]
    assert kafka.inventory.group_inventory()[group] == expected
    assert kafka.reader.committed_offsets([group]) == {group: {first: 5, second: 7}}


def test_a_later_commit_replaces_all_of_a_position(kafka: KafkaBench) -> None:
    topic, group = kafka.topic(2), kafka.name()
    first, second = partitions_of(topic, 2)
    kafka.inventory.commit_positions(group, {first: FIVE, second: FIVE})
    kafka.inventory.commit_positions(group, {first: CommittedPosition(5, leader_epoch=4)})
    assert _group(kafka, group).positions == {first: CommittedPosition(5, leader_epoch=4), second: FIVE}
    kafka.writer.alter_group_offsets(group, {second: 5})
    assert _group(kafka, group).positions[second] == CommittedPosition(5)


def test_an_epoch_and_an_offset_of_zero_are_what_they_are(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), kafka.name()
    zero = CommittedPosition(0, leader_epoch=0)
    kafka.inventory.commit_positions(group, {partition: zero})
    assert _group(kafka, group).positions == {partition: zero}


def test_a_group_that_does_not_exist_is_missing(kafka: KafkaBench) -> None:
    there, missing = kafka.name(), kafka.name()
    kafka.inventory.commit_positions(there, {_one(kafka): PLAIN})
    assert set(kafka.inventory.group_inventory([missing, there, there])) == {there}
    assert kafka.inventory.group_inventory([]) == {}
    assert missing not in kafka.inventory.group_inventory()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_group_with_members_is_told_and_left_alone(kafka: KafkaBench, protocol: Protocol) -> None:
    partition, group = _one(kafka), kafka.name()
    kafka.inventory.commit_positions(group, {partition: FIVE})
    with kafka.member(group, partition.topic, protocol):
        found = _group(kafka, group)
        assert (found.group_type, found.state) == (TYPES[protocol], GroupState.ACTIVE)
        assert found.members == (GroupMember("app", "/127.0.0.1"),) or found.members[0].host.startswith("/127.")
        assert [member.client_id for member in found.members] == ["app"]
        assert found.assignor
        assert found.positions == {partition: FIVE}
        with pytest.raises(RefusedError, match="members"):
            kafka.inventory.commit_positions(group, {partition: PLAIN})
        assert _group(kafka, group).positions == {partition: FIVE}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_share_group_has_no_inventory(kafka: KafkaBench) -> None:
    group = kafka.name()
    with kafka.share_member(group, kafka.topic()):
        assert group not in kafka.inventory.group_inventory()
        # librdkafka's call that lists all groups leaves the protocol of a share group empty.
        assert kafka.reader.foreign_groups()[group] in ("share", "")


def test_names_are_any_text(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), f"{kafka.name()}\x1b[31m\r\n ../雪 %s"
    kafka.inventory.commit_positions(group, {partition: FIVE})
    assert kafka.inventory.group_inventory()[group].positions == {partition: FIVE}
    kafka.writer.delete_group(group)


def test_nothing_to_commit_is_no_request(kafka: KafkaBench) -> None:
    group = kafka.name()
    assert list(kafka.inventory.commit_positions(group, {})) == []
    assert kafka.inventory.group_inventory([group]) == {}


def test_the_parts_of_a_commit_that_fail_are_named_and_the_others_are_made(kafka: KafkaBench) -> None:
    topic, group = kafka.topic(2), kafka.name()
    there, talkative = partitions_of(topic, 2)
    missing = TopicPartition(topic, 9)
    long = CommittedPosition(1, metadata="x" * 5000)
    failed = kafka.inventory.commit_positions(group, {missing: FIVE, there: FIVE, talkative: long})
    assert sorted(failure.partition for failure in failed) == [talkative, missing]
    assert all(failure.reason for failure in failed)
    assert _group(kafka, group).positions == {there: FIVE}


def test_a_group_that_drkit_may_not_see_or_write_is_an_authorization_error(kafka: KafkaBench) -> None:
    partition, group = _one(kafka), kafka.name()
    kafka.inventory.commit_positions(group, {partition: FIVE})
    kafka.put_acls(open_to_all("group", group), rule("group", group, "all", "deny"))

    def is_refused() -> bool:
        try:
            kafka.inventory.commit_positions(group, {partition: FIVE})
        except AuthError:
            return True
        return False

    eventually(is_refused, timeout_seconds=PATIENCE_SECONDS, because="it is denied")
    with pytest.raises(AuthError):
        kafka.inventory.group_inventory([group])


def test_a_topic_that_drkit_may_not_read_is_missing_from_the_positions(kafka: KafkaBench) -> None:
    there, denied, group = _one(kafka), _one(kafka), kafka.name()
    kafka.inventory.commit_positions(group, {there: FIVE, denied: FIVE})
    kafka.put_acls(open_to_all("topic", denied.topic), rule("topic", denied.topic, "all", "deny"))
    eventually(
        lambda: _group(kafka, group).positions == {there: FIVE},
        timeout_seconds=PATIENCE_SECONDS,
        because="it is denied",
    )


def test_a_log_tells_the_time_of_its_first_record_and_of_its_newest(kafka: KafkaBench) -> None:
    topic = kafka.topic(3)
    one, other, empty = partitions_of(topic, 3)
    now = int(time.time() * 1000)
    for late in (20, 10, 30, 0):
        kafka.write(one, [b"x"], at_ms=now + late)
    kafka.write(other, [b"x"], at_ms=now + 5)
    assert kafka.inventory.log_times([one, other, empty]) == {
        one: LogTimes(now + 20, now + 30),
        other: LogTimes(now + 5, now + 5),
        empty: LogTimes(None, None),
    }
    kafka.delete_before(one, 3)
    # A broker does not tell the newest that is left, where a newer one was removed.
    assert kafka.inventory.log_times([one])[one] in {LogTimes(now, now), LogTimes(now, None)}
    kafka.delete_before(one, 4)
    assert kafka.inventory.log_times([one]) == {one: LogTimes(None, None)}


def test_times_of_a_partition_that_is_not_there_are_refused(kafka: KafkaBench) -> None:
    there = _one(kafka)
    _refused(lambda: kafka.inventory.log_times([there, TopicPartition(there.topic, 9)]))
    _refused(lambda: kafka.inventory.log_times([TopicPartition(kafka.name(), 0)]))
    assert kafka.inventory.log_times([]) == {}


def test_a_topic_is_given_more_partitions_and_never_fewer(kafka: KafkaBench) -> None:
    topic = kafka.topic(2)
    kafka.inventory.add_partitions(topic, 5)
    eventually(
        lambda: len(kafka.reader.describe_topics([topic])[topic].partitions) == 5,
        timeout_seconds=PATIENCE_SECONDS,
        because="three were added",
    )
    for total in (5, 4, 1):
        with pytest.raises(RefusedError, match="partitions"):
            kafka.inventory.add_partitions(topic, total)
    _refused(lambda: kafka.inventory.add_partitions(kafka.name(), 2))
    assert len(kafka.reader.describe_topics([topic])[topic].partitions) == 5
