"""Positions: what the sync history, Connect's offsets and checkpoints say, and what they add up to."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.domain.mm2_records import OffsetSync
from drkit.domain.offsets import Ahead, Bounded, Exact, OffsetMap, Tail, TargetLog, Unavailable
from drkit.domain.sync_log import LoggedSync
from drkit.errors import RefusedError
from drkit.verification.mirror_evidence import CheckpointPositions, ConnectOffsets, SyncHistory
from tests.fakes.service import OFFSETS_TOPIC, ORDERS, FakeService
from tests.unit.config.sample import changed, settings

GROUP = "billing"


@pytest.fixture
def service() -> FakeService:
    return FakeService(settings())


def _placed(service: FakeService, partition: TopicPartition, *upstreams: int, **options: bool) -> list[object]:
    """The verdict on each upstream offset."""
    translator = service.translator(**options)
    committed = {f"g{number:03}": {partition: upstream} for number, upstream in enumerate(upstreams)}
    rows = translator.translate(committed, drained_to={partition: service.source.cluster.logs[partition].end})
    translator.history.close()
    return [row.verdict for row in rows]


def test_the_sync_history_is_read_once_and_then_only_what_is_new(service: FakeService) -> None:
    partition = service.topic()
    history = SyncHistory(service.target, service.flow.offset_syncs_topic)
    assert history.read() == {}
    service.sync(partition, 5, 7)
    service.sync(partition, 9, 11)
    assert list(history.read()[partition].pairs()) == [(5, 7), (9, 11)]
    service.sync(partition, 12, 15)
    assert list(history.read()[partition].pairs()) == [(5, 7), (9, 11), (12, 15)]
    assert len(service.target.tails) == 1
    history.close()
    assert service.target.tails[0].is_closed


def test_a_history_that_mm2_has_not_begun_is_empty_until_it_has(service: FakeService) -> None:
    service.target.cluster.drop(service.flow.offset_syncs_topic)
    history = SyncHistory(service.target, service.flow.offset_syncs_topic)
    assert history.read() == {}
    service.target.cluster.create(service.flow.offset_syncs_topic)
    partition = service.topic()
    service.sync(partition, 0, 0)
    assert list(history.read()[partition].pairs()) == [(0, 0)]


def test_what_is_no_sync_is_refused(service: FakeService) -> None:
    service.target.cluster.write(TopicPartition(service.flow.offset_syncs_topic, 0), b"garbage")
    with pytest.raises(RefusedError, match="offset sync"):
        SyncHistory(service.target, service.flow.offset_syncs_topic).read()


def test_connects_positions_are_the_connectors_own_and_the_newest(service: FakeService) -> None:
    first, second = service.topic(), TopicPartition(ORDERS, 1)
    offsets = ConnectOffsets(service.target, OFFSETS_TOPIC, service.flow.source_connector)
    service.put_position(first, 4)
    service.put_position(first, 9)
    service.put_position(second, 2)
    service.put_position(first, 99, connector="another")
    assert offsets.read() == {first: 9, second: 2}
    service.put_position(second, None)
    assert offsets.read() == {first: 9}


def test_a_position_in_an_open_transaction_does_not_count_yet(service: FakeService) -> None:
    partition = service.topic()
    service.put_position(partition, 4)
    log = service.target.cluster.logs[TopicPartition(OFFSETS_TOPIC, 0)]
    record = log.entries[-1].record
    assert record is not None
    transaction = service.target.cluster.begin(log.partition)
    log.append(b'{"offset": 9}', key=record.key, transaction=transaction)
    offsets = ConnectOffsets(service.target, OFFSETS_TOPIC, service.flow.source_connector)
    assert offsets.read() == {partition: 4}
    transaction.commit()
    assert offsets.read() == {partition: 9}


@pytest.mark.parametrize(("key", "value"), [(b"{", b"{}"), (b'["{name}", {{}}]', b"1"), (b"7", b"{}")])
def test_what_is_no_position_is_refused(service: FakeService, key: bytes, value: bytes) -> None:
    log = service.target.cluster.logs[TopicPartition(OFFSETS_TOPIC, 0)]
    log.append(value, key=key.replace(b"{name}", service.flow.source_connector.encode()).replace(b"{{}}", b"{}"))
    with pytest.raises(RefusedError, match="not MirrorMaker 2's"):
        ConnectOffsets(service.target, OFFSETS_TOPIC, service.flow.source_connector).read()


def test_a_missing_offsets_topic_is_refused(service: FakeService) -> None:
    with pytest.raises(RefusedError, match="nowhere"):
        ConnectOffsets(service.target, "nowhere", service.flow.source_connector).read()


def test_every_position_of_a_drained_partition_is_exact(service: FakeService) -> None:
    """Through aborted records and markers on both sides, which shift the two logs against each other."""
    partition = service.topic()
    source, target = service.source.cluster, service.target.cluster
    service.write(partition, 3)
    source.begin(partition, b"never", b"never").abort()
    target.begin(partition, b"never").abort()
    service.carry(partition)
    service.write(partition, 4)
    service.carry(partition)
    ours = [record.offset for record in source.logs[partition].read(0, 99, committed=True)]
    theirs = [record.offset for record in target.logs[partition].read(0, 99, committed=True)]
    assert ours != theirs
    for upstream, found in enumerate(_placed(service, partition, *range(source.logs[partition].end + 1))):
        assert isinstance(found, Exact), (upstream, found)
        left = sum(offset >= upstream for offset in ours)
        assert sum(offset >= found.downstream for offset in theirs) == left, upstream


def test_a_source_that_lives_decides_what_the_target_cannot(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 10)
    for offset in (2, 3, 7):
        service.source.cluster.logs[partition].punch(offset)
    service.carry(partition)
    alive = _placed(service, partition, 5)
    gone = _placed(service, partition, 5, is_source_alive=False)
    assert [type(found) for found in alive] == [Exact]
    assert [type(found) for found in gone] == [Bounded]
    assert [found.downstream for found in alive if isinstance(found, Exact)] == [3]


def test_a_group_ahead_of_the_mirror_is_told(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 3)
    service.carry(partition)
    service.write(partition, 5)
    rows = service.translator().translate({GROUP: {partition: 8}}, is_final=True)
    assert [row.verdict.downstream for row in rows if isinstance(row.verdict, Ahead)] == [3]


def test_a_partition_that_the_target_lacks_is_unavailable_and_the_others_are_placed(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 3)
    service.carry(partition)
    missing = (TopicPartition(ORDERS, 1), TopicPartition("gone", 0))
    committed = {GROUP: {partition: 1, **dict.fromkeys(missing, 1)}}
    rows = {row.partition: row.verdict for row in service.translator().translate(committed, drained_to={partition: 3})}
    assert isinstance(rows[partition], Exact)
    assert all(isinstance(rows[one], Unavailable) for one in missing)


def test_renamed_topics_are_placed_under_their_new_name() -> None:
    service = FakeService(settings(changed("replication.policy", "default")))
    partition = service.topic()
    service.write(partition, 3)
    service.carry(partition)
    (row,) = service.translator().translate({GROUP: {partition: 2}}, drained_to={partition: 3})
    assert (row.partition, row.target) == (partition, TopicPartition(f"taipei.{ORDERS}", 0))
    assert isinstance(row.verdict, Exact)


def test_the_last_record_is_found_below_a_long_tail_of_markers(service: FakeService) -> None:
    partition = service.topic()
    service.write(partition, 3)
    service.carry(partition)
    log = service.target.cluster.logs[partition]
    for number in range(700):
        log.punch(log.append(b"%d" % number))
    (found,) = _placed(service, partition, 2)
    assert isinstance(found, Exact)
    assert found.downstream == 2


def test_checkpoints_are_the_newest_per_group_and_partition(service: FakeService) -> None:
    partition = service.topic()
    service.checkpoint(GROUP, partition, 4, at_ms=1000)
    service.checkpoint("shipping", partition, 1, at_ms=1500)
    service.checkpoint(GROUP, partition, 6, at_ms=2000)
    found = CheckpointPositions(service.target, service.flow).read()
    assert found == {GROUP: {partition: (6, 2000)}, "shipping": {partition: (1, 1500)}}
    assert all(tail.is_closed for tail in service.target.tails)


def test_without_a_checkpoints_topic_there_are_none(service: FakeService) -> None:
    service.target.cluster.drop(service.flow.checkpoints_topic)
    assert CheckpointPositions(service.target, service.flow).read() == {}


def test_a_checkpoints_topic_is_left_also_when_it_cannot_be_read(service: FakeService) -> None:
    service.target.cluster.write(TopicPartition(service.flow.checkpoints_topic, 0), b"garbage")
    with pytest.raises(RefusedError):
        CheckpointPositions(service.target, service.flow).read()
    assert [tail.is_closed for tail in service.target.tails] == [True]


def _logged(offset: int, partition: TopicPartition, upstream: int, downstream: int) -> LoggedSync:
    return LoggedSync(offset, 0, OffsetSync(partition, upstream, downstream))


def test_what_compaction_took_comes_from_the_archive(service: FakeService) -> None:
    partition = service.topic()
    log = service.target.cluster.logs[TopicPartition(service.flow.offset_syncs_topic, 0)]
    for number in range(5):
        service.sync(partition, 10 * number, 11 * number)
    log.compact_away(1, 3)
    asked = []

    def archive() -> list[LoggedSync]:
        asked.append("archive")
        return [_logged(1, partition, 10, 11), _logged(2, partition, 20, 22)]

    history = SyncHistory(service.target, service.flow.offset_syncs_topic, archive=archive)
    assert list(history.read()[partition].pairs()) == [(0, 0), (10, 11), (20, 22), (40, 44)]
    assert not history.is_whole, "the fourth is in neither"
    service.sync(partition, 50, 55)
    assert history.read()[partition].upstream[-1] == 50
    assert asked == ["archive"]
    assert history.size == 5


def test_a_whole_topic_needs_no_archive(service: FakeService) -> None:
    partition = service.topic()
    service.sync(partition, 5, 7)

    def archive() -> list[LoggedSync]:
        raise AssertionError("asked")

    history = SyncHistory(service.target, service.flow.offset_syncs_topic, archive=archive)
    assert list(history.read()[partition].pairs()) == [(5, 7)]
    assert history.is_whole


def test_where_syncs_are_missing_no_source_is_taken_for_one_without_holes(service: FakeService) -> None:
    partition = service.topic()
    log = service.target.cluster.logs[TopicPartition(service.flow.offset_syncs_topic, 0)]
    for number in range(30):
        service.sync(partition, 10 * number, 10 * number)
    tail = Tail(290, 290, 291)

    def is_hole_free() -> bool:
        history = SyncHistory(service.target, service.flow.offset_syncs_topic)
        return OffsetMap(history.read()[partition], TargetLog(0, 291), tail).is_hole_free

    assert is_hole_free()
    log.compact_away(25)
    assert not is_hole_free(), "four intervals after the gap are too few"


def _renewed(service: FakeService, partition: TopicPartition, *, seen_ms: int) -> list[tuple[int, int]]:
    history = SyncHistory(
        service.target, service.flow.offset_syncs_topic, renewed_ms=lambda: {partition.topic: seen_ms}
    )
    return list(history.read()[partition].pairs())


def test_a_topic_made_anew_begins_with_the_first_rewind_after_it_was_seen_last(service: FakeService) -> None:
    partition = service.topic()
    for upstream, downstream, at_ms in ((0, 0, 1_000), (50, 50, 2_000), (40, 51, 3_000), (60, 71, 400_000)):
        service.sync(partition, upstream, downstream, at_ms=at_ms)
    for upstream, downstream in ((0, 72), (10, 82)):
        service.sync(partition, upstream, downstream, at_ms=500_000)
    assert _renewed(service, partition, seen_ms=490_000) == [(0, 72), (10, 82)]
    assert _renewed(service, partition, seen_ms=2_500)[0] == (40, 51), "the earlier of two is the safe one"


def test_without_a_rewind_the_old_map_stays(service: FakeService) -> None:
    partition = service.topic()
    for upstream in (0, 50):
        service.sync(partition, upstream, upstream, at_ms=1_000)
    assert _renewed(service, partition, seen_ms=900) == [(0, 0), (50, 50)]
