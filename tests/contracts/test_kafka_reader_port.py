"""What every Kafka reader does: the fake, and a broker of the sandbox. Logs and records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import pytest

from drkit.domain.kafka import LogRange, Record, TopicPartition
from drkit.errors import AuthError, RefusedError, UnreachableError
from drkit.ports import ReadRange
from tests.contracts.kafka_bench import KafkaBench, open_to_all, rule
from tests.waiting import PATIENCE_SECONDS, eventually

AT_MS: Final = 1_750_000_000_000
WHOLE: Final = 1_000_000_000


def _one(kafka: KafkaBench) -> TopicPartition:
    return TopicPartition(kafka.topic(), 0)


def _values(kafka: KafkaBench, *ranges: ReadRange, committed: bool = True) -> list[bytes | None]:
    return [record.value for record in kafka.reader.read(ranges, committed=committed)]


def _log(kafka: KafkaBench, partition: TopicPartition) -> LogRange:
    return kafka.reader.log_ranges([partition])[partition]


def test_a_topic_has_its_partitions_and_the_configs_that_were_set(kafka: KafkaBench) -> None:
    topic = kafka.topic(3, cleanup_policy="compact")
    found = kafka.reader.topics()[topic]
    assert (found.name, found.configs) == (topic, {"cleanup.policy": "compact"})
    assert re.fullmatch(r"[\w-]{22}", found.topic_id, re.ASCII)
    assert [p.partition for p in found.partitions] == [0, 1, 2]
    assert all(p.leader == 1 and p.replicas == p.in_sync == (1,) for p in found.partitions)
    assert found.topic_partitions == tuple(TopicPartition(topic, number) for number in range(3))


def test_topics_are_described_by_name_and_what_is_not_there_is_missing(kafka: KafkaBench) -> None:
    first, second = kafka.topic(), kafka.topic(2)
    asked = kafka.reader.describe_topics([first, kafka.name(), "__consumer_offsets"])
    assert list(asked) == [first]
    assert dict(asked[first].configs) == {}
    everything = kafka.reader.describe_topics()
    assert {first, second} <= everything.keys()
    assert len(everything[second].partitions) == 2
    assert not any(name.startswith("__") for name in {*everything, *kafka.reader.topics()})
    assert kafka.reader.describe_topics([]) == {}


def test_the_cluster_tells_its_id_and_brokers(kafka: KafkaBench) -> None:
    found = kafka.reader.describe_cluster()
    assert found.cluster_id
    assert list(found.brokers) == [found.controller_id] == [1]
    assert found.brokers[1].endswith(":9092")
    assert kafka.reader.region


def test_an_empty_log_begins_and_ends_at_zero(kafka: KafkaBench) -> None:
    partitions = [TopicPartition(kafka.topic(2), number) for number in range(2)]
    assert kafka.reader.log_ranges(partitions) == dict.fromkeys(partitions, LogRange(0, 0, 0))
    assert kafka.reader.log_ranges([]) == {}


def test_log_ends_count_records_and_the_start_follows_retention(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"a", b"b", b"c"])
    assert _log(kafka, partition) == LogRange(0, 3, 3)
    kafka.delete_before(partition, 2)
    assert _log(kafka, partition) == LogRange(2, 3, 3)


def test_an_open_transaction_holds_the_stable_end_back(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"a"])
    transaction = kafka.begin(partition, [b"b", b"c"])
    kafka.write(partition, [b"d"])
    log = _log(kafka, partition)
    assert log == LogRange(0, 4, 1)
    assert not log.is_settled
    transaction.commit()
    # The marker is an offset, too.
    assert _log(kafka, partition) == LogRange(0, 5, 5)


@pytest.mark.parametrize("number", [0, 7])
def test_log_ends_of_what_is_not_there_are_refused(kafka: KafkaBench, number: int) -> None:
    there = _one(kafka)
    missing = TopicPartition(kafka.name() if number == 0 else there.topic, number)
    with pytest.raises(RefusedError) as caught:
        kafka.reader.log_ranges([there, missing])
    assert not isinstance(caught.value, UnreachableError)


def test_records_are_read_whole(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    headers = (("kind", b"\x00\xff"), ("none", None))
    kafka.write(partition, [b"\x00\x1b[31m\r\n", b""], key=b"k\x00\n", headers=headers, at_ms=AT_MS)
    kafka.write(partition, [None], at_ms=AT_MS + 1)
    assert list(kafka.reader.read([ReadRange(partition, 0, 3)])) == [
        Record(partition, 0, AT_MS, b"k\x00\n", b"\x00\x1b[31m\r\n", headers),
        Record(partition, 1, AT_MS, b"k\x00\n", b"", headers),
        Record(partition, 2, AT_MS + 1, None, None, ()),
    ]


def test_ranges_include_their_start_and_exclude_their_end(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"%d" % number for number in range(10)])
    assert _values(kafka, ReadRange(partition, 3, 5)) == [b"3", b"4"]
    assert _values(kafka, ReadRange(partition, 4, 4), ReadRange(partition, 6, 5)) == []
    assert _values(kafka) == []
    assert _offsets(kafka, []) == {}
    assert _offsets(kafka, [ReadRange(partition, 4, 4)]) == {partition: []}


def test_each_record_comes_once_and_in_order_whatever_the_ranges(kafka: KafkaBench) -> None:
    """Ranges far apart, near, overlapping, given in any order; small records, so that many come at once."""
    topic = kafka.topic(2)
    partitions = [TopicPartition(topic, number) for number in range(2)]
    for partition in partitions:
        kafka.write(partition, [b"%d" % number for number in range(3000)])
    bounds = [(2990, 3000), (0, 10), (5, 20), (300, 1500), (1600, 1601), (1900, 2500), (21, 22)]
    ranges = [ReadRange(partition, *bound) for bound in bounds for partition in partitions]
    wanted = [offset for offset in range(3000) if any(start <= offset < end for start, end in bounds)]
    assert _offsets(kafka, ranges) == dict.fromkeys(partitions, wanted)
    read = list(kafka.reader.read(ranges))
    for partition in partitions:
        assert [record.offset for record in read if record.partition == partition] == wanted
        assert all(record.value == b"%d" % record.offset for record in read)


def test_one_iterator_may_be_left_early(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"a", b"b"])
    assert next(iter(kafka.reader.read([ReadRange(partition, 0, 2)]))).value == b"a"
    assert _values(kafka, ReadRange(partition, 0, 2)) == [b"a", b"b"]


def test_what_was_aborted_is_never_read_committed_and_markers_are_no_records(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"0"])
    kafka.begin(partition, [b"1", b"2"]).abort()
    kafka.begin(partition, [b"4"]).commit()
    kafka.write(partition, [b"6"])
    whole = ReadRange(partition, 0, 7)
    assert _log(kafka, partition).end == 7
    assert _values(kafka, whole) == [b"0", b"4", b"6"]
    assert _offsets(kafka, [whole]) == {partition: [0, 4, 6]}
    assert _values(kafka, whole, committed=False) == [b"0", b"1", b"2", b"4", b"6"]
    assert _offsets(kafka, [ReadRange(partition, 1, 4)]) == {partition: []}


def test_a_committed_read_ends_where_a_transaction_is_open(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"0"])
    transaction = kafka.begin(partition, [b"1"])
    kafka.write(partition, [b"2"])
    whole = ReadRange(partition, 0, 3)
    assert _values(kafka, whole) == [b"0"]
    assert _values(kafka, ReadRange(partition, 2, 3)) == []
    assert _offsets(kafka, [whole]) == {partition: [0]}
    assert _values(kafka, whole, committed=False) == [b"0", b"1", b"2"]
    transaction.commit()
    assert _values(kafka, whole) == [b"0", b"1", b"2"]


def test_a_range_below_the_log_start_begins_there(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"0", b"1", b"2", b"3"])
    kafka.delete_before(partition, 2)
    assert _values(kafka, ReadRange(partition, 0, 4)) == [b"2", b"3"]
    assert _values(kafka, ReadRange(partition, 0, 2)) == []
    assert _offsets(kafka, [ReadRange(partition, 1, 3)]) == {partition: [2]}


def test_a_range_beyond_the_log_end_ends_there(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"0", b"1"])
    assert _values(kafka, ReadRange(partition, 1, WHOLE)) == [b"1"]
    assert _values(kafka, ReadRange(partition, 2, WHOLE)) == []
    assert _values(kafka, ReadRange(partition, 100, WHOLE)) == []
    empty = _one(kafka)
    assert _offsets(kafka, [ReadRange(partition, 1, WHOLE), ReadRange(empty, 0, 5)]) == {
        partition: [1],
        empty: [],
    }


def test_reading_what_is_not_there_is_refused(kafka: KafkaBench) -> None:
    there, missing = _one(kafka), TopicPartition(kafka.name(), 0)
    kafka.write(there, [b"0"])
    for partition in (missing, TopicPartition(there.topic, 3)):
        with pytest.raises(RefusedError) as caught:
            list(kafka.reader.read([ReadRange(there, 0, 1), ReadRange(partition, 0, 1)]))
        assert not isinstance(caught.value, UnreachableError)


def test_a_topic_that_drkit_may_not_see_is_as_if_it_were_not_there(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"0"])
    kafka.put_acls(open_to_all("topic", partition.topic), rule("topic", partition.topic, "all", "deny"))
    eventually(
        lambda: partition.topic not in kafka.reader.describe_topics(),
        timeout_seconds=PATIENCE_SECONDS,
        because="it is denied",
    )
    assert partition.topic not in kafka.reader.topics()
    for call in (
        lambda: kafka.reader.log_ranges([partition]),
        lambda: list(kafka.reader.read([ReadRange(partition, 0, 1)])),
        lambda: kafka.reader.tail(partition.topic),
    ):
        with pytest.raises((RefusedError, AuthError)) as caught:
            call()
        assert not isinstance(caught.value, UnreachableError)


def test_a_topic_that_drkit_may_not_see_is_told_from_one_that_is_not_there(kafka: KafkaBench) -> None:
    seen, hidden, missing = kafka.topic(), kafka.topic(), kafka.name()
    kafka.put_acls(open_to_all("topic", hidden), rule("topic", hidden, "all", "deny"))
    eventually(
        lambda: hidden not in kafka.reader.describe_topics(), timeout_seconds=PATIENCE_SECONDS, because="it is denied"
    )
    assert list(kafka.reader.hidden_topics([seen, hidden, missing])) == [hidden]
    assert not kafka.reader.hidden_topics([seen])


def test_a_topic_that_drkit_may_not_read_is_an_authorization_error(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"0"])
    tail = kafka.reader.tail(partition.topic)
    kafka.put_acls(open_to_all("topic", partition.topic), rule("topic", partition.topic, "read", "deny"))
    eventually(lambda: _is_denied(kafka, partition), timeout_seconds=PATIENCE_SECONDS, because="it is denied")
    assert _log(kafka, partition).end == 1
    with pytest.raises(AuthError):
        kafka.reader.data_offsets([ReadRange(partition, 0, 1)])
    with pytest.raises(AuthError):
        tail.catch_up()
    tail.close()


def _offsets(kafka: KafkaBench, ranges: Sequence[ReadRange]) -> dict[TopicPartition, list[int]]:
    return {partition: list(offsets) for partition, offsets in kafka.reader.data_offsets(ranges).items()}


def _is_denied(kafka: KafkaBench, partition: TopicPartition) -> bool:
    try:
        list(kafka.reader.read([ReadRange(partition, 0, 1)]))
    except AuthError:
        return True
    return False


def test_a_topic_is_followed_from_its_start(kafka: KafkaBench) -> None:
    topic = kafka.topic(2)
    first, second = (TopicPartition(topic, number) for number in range(2))
    kafka.write(first, [b"a", b"b"], key=b"k", at_ms=AT_MS)
    tail = kafka.reader.tail(topic)
    assert tail.catch_up() == [Record(first, 0, AT_MS, b"k", b"a"), Record(first, 1, AT_MS, b"k", b"b")]
    assert tail.catch_up() == []
    # A partition that had nothing before is followed like the others.
    kafka.write(second, [b"c"])
    kafka.write(first, [b"d"])
    assert sorted((record.partition, record.value) for record in tail.catch_up()) == [(first, b"d"), (second, b"c")]
    assert tail.catch_up() == []
    tail.close()
    tail.close()


def test_a_topic_is_followed_from_when_it_was_empty(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    tail = kafka.reader.tail(partition.topic)
    assert tail.catch_up() == []
    kafka.write(partition, [b"a"])
    assert [record.value for record in tail.catch_up()] == [b"a"]
    tail.close()


def test_two_follow_the_same_topic_on_their_own(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"a"])
    early = kafka.reader.tail(partition.topic)
    assert [record.value for record in early.catch_up()] == [b"a"]
    kafka.write(partition, [b"b"])
    late = kafka.reader.tail(partition.topic)
    assert [record.value for record in late.catch_up()] == [b"a", b"b"]
    assert [record.value for record in early.catch_up()] == [b"b"]
    early.close()
    late.close()


def test_following_skips_what_was_aborted_and_waits_for_what_is_open(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.begin(partition, [b"never"]).abort()
    kafka.write(partition, [b"a"])
    transaction = kafka.begin(partition, [b"b"])
    kafka.write(partition, [b"c"])
    tail = kafka.reader.tail(partition.topic)
    assert [record.value for record in tail.catch_up()] == [b"a"]
    assert tail.catch_up() == []
    transaction.commit()
    assert [record.value for record in tail.catch_up()] == [b"b", b"c"]
    tail.close()


def test_following_begins_at_the_log_start(kafka: KafkaBench) -> None:
    partition = _one(kafka)
    kafka.write(partition, [b"a", b"b", b"c"])
    kafka.delete_before(partition, 2)
    tail = kafka.reader.tail(partition.topic)
    assert [record.value for record in tail.catch_up()] == [b"c"]
    tail.close()


def test_what_is_not_there_cannot_be_followed(kafka: KafkaBench) -> None:
    with pytest.raises(RefusedError):
        kafka.reader.tail(kafka.name())
    partition = _one(kafka)
    kafka.write(partition, [b"a"])
    tail = kafka.reader.tail(partition.topic)
    tail.catch_up()
    kafka.drop(partition.topic)
    with pytest.raises(RefusedError):
        tail.catch_up()
    tail.close()
