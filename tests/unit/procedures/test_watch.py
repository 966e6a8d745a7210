"""The watch on a service in memory: what it stores is what a dead source is translated from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from drkit.backup.position_log import PositionLog
from drkit.backup.sync_archive import SyncArchive, archive_label
from drkit.backup.topic_history import TopicHistory
from drkit.domain.kafka import TopicDescription, TopicPartition
from drkit.domain.log_samples import LogSamples, Pace, Silence, horizon, sightings_of
from drkit.domain.samples import Alone, PositionSample
from drkit.errors import RefusedError, UnreachableError
from drkit.procedures.watch import Look, Watch
from tests.fakes.scripted import Fault
from tests.fakes.service import ORDERS, SOURCE, TARGET, FakeService
from tests.unit.config.sample import settings

GROUP = "billing"


class Watched:
    """A service with one topic of two partitions, and a watch of it."""

    def __init__(self, *, most_read: int = 100) -> None:
        self.service = FakeService(settings())
        self.first = self.service.topic(partitions=2)
        self.second = TopicPartition(ORDERS, 1)
        self.primary = SOURCE
        self.watch = Watch(self.service.world, self._primary, "host-1", most_read)

    def _primary(self) -> str:
        return self.primary

    def look(self) -> Look:
        self.service.clock.sleep(5.0)
        return self.watch.look()

    def positions(self) -> PositionLog:
        return PositionLog(self.service.store, SOURCE)

    @property
    def archive(self) -> SyncArchive:
        topic_id = self.service.target.cluster.topic_ids[self.service.flow.offset_syncs_topic]
        return SyncArchive(self.service.store, archive_label(self.service.flow), topic_id)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_positions_and_the_records_there_are_stored(watched: Watched) -> None:
    watched.service.write(watched.first, 5)
    watched.service.source.cluster.commit(GROUP, {watched.first: 3, watched.second: 0})
    figures = watched.look().document()
    assert figures["problems"] == []
    assert (figures["groups"], figures["positions"], figures["moved"], figures["left_over"]) == (1, 2, 2, 0)
    known = watched.positions().newest()
    assert known is not None
    assert known.committed == {GROUP: {watched.first: 3, watched.second: 0}}
    sample = known.groups[GROUP][watched.first]
    assert sample.first is not None
    assert sample.before is not None
    assert (sample.first.offset, sample.before.offset) == (3, 2)
    assert known.groups[GROUP][watched.second].first is None, "nothing was written there yet"


def test_the_time_is_of_before_the_reading(watched: Watched) -> None:
    watched.service.source.cluster.commit(GROUP, {watched.first: 0})
    watched.service.source.on_next("groups", lambda: watched.service.clock.sleep(60.0))
    before = watched.service.clock.now()
    watched.look()
    known = watched.positions().newest()
    assert known is not None
    assert known.as_of_ms == int(before.timestamp() * 1000) + 5_000


def test_what_has_not_moved_keeps_its_sample_and_its_time(watched: Watched) -> None:
    watched.service.write(watched.first, 5)
    watched.service.source.cluster.commit(GROUP, {watched.first: 3})
    watched.look()
    first = watched.positions().newest()
    look = watched.look()
    known = watched.positions().newest()
    assert first is not None
    assert known is not None
    assert (look.figures["moved"], look.figures["sampled"]) == (0, 0)
    assert known.groups == first.groups
    assert known.as_of_ms == first.as_of_ms + 5_000


def test_a_record_that_comes_later_is_sampled_then(watched: Watched) -> None:
    watched.service.write(watched.first, 3)
    watched.service.source.cluster.commit(GROUP, {watched.first: 3})
    watched.look()
    watched.service.write(watched.first, 1)
    watched.look()
    known = watched.positions().newest()
    assert known is not None
    sample = known.groups[GROUP][watched.first]
    assert sample.first is not None
    assert sample.first.offset == 3


def test_no_more_than_so_many_records_are_read_and_all_get_their_turn() -> None:
    watched = Watched(most_read=2)
    watched.service.write(watched.first, 9)
    for number in range(5):
        watched.service.source.cluster.commit(f"g{number}", {watched.first: number})
    looks = [watched.look() for _ in range(3)]
    assert [look.figures["sampled"] for look in looks] == [2, 2, 1]
    assert [look.figures["left_over"] for look in looks] == [3, 1, 0]
    known = watched.positions().newest()
    assert known is not None
    assert all(sample.first for own in known.groups.values() for sample in own.values())


def test_positions_without_a_record_do_not_take_every_turn() -> None:
    watched = Watched(most_read=1)
    watched.service.write(watched.first, 2)
    for number, offset in enumerate((2, 0, 1)):
        watched.service.source.cluster.commit(f"g{number}", {watched.first: offset})
    for _ in range(4):
        watched.look()
    known = watched.positions().newest()
    assert known is not None
    found = {sample.upstream: sample.first is not None for own in known.groups.values() for sample in own.values()}
    assert found == {0: True, 1: True, 2: False}


def repeating(watched: Watched) -> PositionSample:
    """A look at a service whose mirror may copy records again, with one group."""
    service = watched.service
    replication = service.settings.replication.model_copy(update={"exactly_once": False})
    service.world = replace(service.world, settings=service.settings.model_copy(update={"replication": replication}))
    watched.watch = Watch(service.world, lambda: SOURCE, "host-1")
    return look_at(watched)


def look_at(watched: Watched) -> PositionSample:
    watched.look()
    known = watched.positions().newest()
    assert known is not None
    return known.groups[GROUP][watched.first]


def test_where_a_record_is_alone_is_looked_up_if_the_mirror_may_copy_again(watched: Watched) -> None:
    watched.service.write(watched.first, 5)
    watched.service.source.cluster.commit(GROUP, {watched.first: 3})
    assert look_at(watched).alone is None, "with exactly-once nothing is copied twice, and the reading is spared"
    watched.service.source.cluster.commit(GROUP, {watched.first: 2})
    assert repeating(watched).alone == Alone(0, 5)


def test_what_the_log_did_not_hold_yet_is_looked_up_later_and_not_in_every_look(watched: Watched) -> None:
    watched.service.write(watched.first, 5)
    watched.service.source.cluster.commit(GROUP, {watched.first: 3})
    first = repeating(watched)
    watched.service.write(watched.first, 300)
    assert look_at(watched) == first
    later = [look_at(watched) for _ in range(12)]
    assert later[-1] == replace(first, alone=Alone(0, 204)), "the same position, first seen when it was"
    assert [sample for sample in later if sample != first] == [later[-1]] * len([s for s in later if s != first])
    assert watched.look().figures["sampled"] == 0, "all that is looked for is known"


def test_offset_syncs_are_archived_and_kept_from_compaction(watched: Watched) -> None:
    watched.service.write(watched.first, 4)
    watched.service.carry(watched.first)
    assert watched.look().figures["archived_syncs"] == 1
    topic = watched.service.flow.offset_syncs_topic
    assert watched.service.target.cluster.configs[topic]["min.compaction.lag.ms"] == str(14 * 24 * 3600 * 1000)
    watched.service.sync(watched.first, 4, 4)
    assert watched.look().figures["archived_syncs"] == 0, "not in every look"
    watched.service.clock.sleep(60.0)
    assert watched.look().figures["archived_syncs"] == 1
    assert [one.sync.upstream for one in watched.archive.read()] == [0, 4]


def test_another_watch_archives_what_is_new_only(watched: Watched) -> None:
    watched.service.sync(watched.first, 0, 0)
    watched.look()
    watched.service.sync(watched.first, 1, 1)
    other = Watch(watched.service.world, lambda: SOURCE, "host-2")
    assert other.look().figures["archived_syncs"] == 1
    watched.service.clock.sleep(60.0)
    assert watched.look().figures["archived_syncs"] == 0
    assert [one.sync.upstream for one in watched.archive.read()] == [0, 1]


def test_a_source_that_does_not_answer_is_told_and_the_syncs_are_archived_still(watched: Watched) -> None:
    watched.service.source.cluster.commit(GROUP, {watched.first: 0})
    watched.look()
    known = watched.positions().newest()
    watched.service.source.is_dark = True
    watched.service.sync(watched.first, 0, 0)
    watched.service.clock.sleep(60.0)
    look = watched.look()
    assert [type(error) for error in look.errors] == [UnreachableError]
    assert look.figures["archived_syncs"] == 1
    again = watched.positions().newest()
    assert known is not None
    assert again is not None
    assert again.as_of_ms == known.as_of_ms, "what was not seen is not said to be of now"


def test_another_cluster_is_not_sampled(watched: Watched) -> None:
    watched.service.source.cluster.cluster_id = "another"
    (error,) = watched.look().errors
    assert isinstance(error, RefusedError)
    assert "another" in error.message
    assert watched.positions().newest() is None


def test_a_topic_made_anew_is_recorded_with_the_look_before(watched: Watched) -> None:
    watched.service.source.cluster.commit(GROUP, {watched.first: 0})
    watched.look()
    known = watched.positions().newest()
    watched.service.source.cluster.drop(ORDERS)
    watched.service.source.cluster.create(ORDERS, 2)
    watched.look()
    assert known is not None
    assert TopicHistory(watched.service.store, SOURCE).read().renewed_ms == {ORDERS: known.as_of_ms}


def test_the_watch_follows_the_primary(watched: Watched) -> None:
    watched.look()
    watched.primary = TARGET
    watched.service.target.cluster.commit(GROUP, {watched.first: 7})
    look = watched.look()
    assert (look.source, look.target) == (TARGET, SOURCE)
    moved = PositionLog(watched.service.store, TARGET).newest()
    assert moved is not None
    assert moved.committed == {GROUP: {watched.first: 7}}


def test_a_bucket_that_does_not_answer_is_told_and_tried_again(watched: Watched) -> None:
    watched.service.source.cluster.commit(GROUP, {watched.first: 0})
    watched.look()
    watched.service.store.is_dark = True
    assert watched.look().errors
    watched.service.store.is_dark = False
    assert watched.look().errors == ()
    known = watched.positions().newest()
    assert known is not None
    assert known.as_of_ms == int(watched.service.clock.now().timestamp() * 1000)


def test_which_region_is_primary_must_be_known_at_first_and_is_remembered_then(watched: Watched) -> None:
    def unknown() -> str:
        raise UnreachableError("the bucket does not answer")

    with pytest.raises(UnreachableError):
        Watch(watched.service.world, unknown, "host-1").look()
    watched.look()
    watched.watch.primary = unknown
    assert [error.message for error in watched.look().errors] == ["the bucket does not answer"]
    known = watched.positions().newest()
    assert known is not None
    assert known.as_of_ms == int(watched.service.clock.now().timestamp() * 1000)


def _logs(watched: Watched) -> LogSamples:
    known = watched.positions().newest()
    assert known is not None
    return known.logs


def test_log_ends_are_stored_with_their_pace_and_what_is_not_mirrored(watched: Watched) -> None:
    watched.service.write(watched.first, 5)
    assert watched.look().document()["logs"] == 2
    watched.service.write(watched.first, 10)
    watched.service.carry(watched.first)
    watched.service.write(watched.first, 4)
    watched.service.source.cluster.logs[watched.first].punch(17)
    watched.look()
    found = _logs(watched)
    assert {p: one.log.end for p, one in found.items()} == {watched.first: 19, watched.second: 0}
    moved, resting = found[watched.first], found[watched.second]
    assert (moved.pace, resting.pace) == (Pace(2.8, 2.8, _now_ms(watched)), None)
    assert moved.counted is not None
    assert (moved.counted.from_offset, moved.counted.records, resting.counted) == (15, 3, None)
    assert resting.at_ms == moved.at_ms - 5_000


def _now_ms(watched: Watched) -> int:
    return int(watched.service.clock.now().timestamp() * 1000)


def test_log_ends_are_dated_before_they_are_read(watched: Watched) -> None:
    watched.service.source.on_next("log_ranges", lambda: watched.service.clock.sleep(60.0))
    watched.look()
    assert {one.at_ms for one in _logs(watched).values()} == {_now_ms(watched) - 60_000}


def test_another_watch_goes_on_with_the_pace_of_the_first(watched: Watched) -> None:
    watched.look()
    watched.service.write(watched.first, 50)
    watched.service.clock.sleep(5.0)
    Watch(watched.service.world, lambda: SOURCE, "host-2").look()
    pace = _logs(watched)[watched.first].pace
    assert pace is not None
    assert pace.per_second == 10.0


def test_a_topic_made_anew_is_another_log(watched: Watched) -> None:
    watched.service.write(watched.first, 5)
    watched.look()
    watched.service.source.cluster.drop(ORDERS)
    watched.service.source.cluster.create(ORDERS, 2)
    watched.service.write(watched.first, 9)
    watched.look()
    assert _logs(watched)[watched.first].pace is None


def test_log_ends_that_cannot_be_read_take_nothing_from_the_positions_and_keep_their_age(watched: Watched) -> None:
    def refuse() -> None:
        raise RefusedError("no leader")

    watched.service.write(watched.first, 5)
    watched.service.source.cluster.commit(GROUP, {watched.first: 3})
    watched.look()
    seen_ms = _now_ms(watched)
    watched.service.source.cluster.commit(GROUP, {watched.first: 4})
    for _ in range(2):
        watched.service.source.on_next("log_ranges", refuse)
        assert [error.message for error in watched.look().errors] == ["no leader"]
    known = watched.positions().newest()
    assert known is not None
    assert known.committed == {GROUP: {watched.first: 4}}
    assert sightings_of(known.logs, known.as_of_ms, "watch")[watched.first].at_ms == seen_ms
    watched.look()
    known = watched.positions().newest()
    assert known is not None
    assert sightings_of(known.logs, known.as_of_ms, "watch")[watched.first].at_ms == _now_ms(watched)


def test_a_mirror_that_does_not_say_how_far_it_is_takes_nothing_from_what_is_known(watched: Watched) -> None:
    watched.service.write(watched.first, 5)
    watched.service.target.is_dark = True
    watched.look()
    found = _logs(watched)[watched.first]
    assert (found.log.end, found.counted) == (5, None)


def test_the_first_look_without_an_answer_is_noted(watched: Watched) -> None:
    watched.look()
    watched.service.source.is_dark = True
    began_ms = _now_ms(watched) + 5_000
    for _ in range(3):
        assert watched.look().errors
    assert watched.positions().silences() == [Silence(began_ms, began_ms)]


def test_a_source_that_dies_in_the_middle_of_a_look_is_noted_with_it(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.look()
    source, topics = watched.service.source, watched.service.source.topics

    def last_answer() -> Mapping[str, TopicDescription]:
        found = topics()
        source.is_dark = True
        return found

    monkeypatch.setattr(source, "topics", last_answer)
    began_ms = _now_ms(watched) + 5_000
    (error,) = watched.look().errors
    assert isinstance(error, UnreachableError)
    assert watched.positions().silences() == [Silence(began_ms, began_ms)]
    assert watched.look().errors
    assert watched.positions().silences() == [Silence(began_ms, began_ms)]


@pytest.mark.parametrize("call", ["log_ranges", "groups"])
def test_a_source_that_left_one_question_open_is_not_taken_for_dead(watched: Watched, call: str) -> None:
    watched.look()
    watched.service.source.on_next(call, Fault.NOT_ARRIVED)
    assert len(watched.look().errors) == 1
    assert watched.positions().silences() == []
    assert watched.look().errors == ()


def test_a_silence_that_cannot_be_stored_is_stored_later(watched: Watched) -> None:
    watched.look()
    watched.service.source.is_dark = watched.service.store.is_dark = True
    began_ms = _now_ms(watched) + 5_000
    assert watched.look().errors
    watched.service.store.is_dark = False
    assert watched.positions().silences() == []
    assert watched.look().errors
    assert watched.positions().silences() == [Silence(began_ms, began_ms)]


def test_a_source_that_was_only_slow_is_looked_at_all_the_same(watched: Watched) -> None:
    """The answer that the shorter deadline did not wait for comes within the longer one."""
    watched.look()
    watched.service.source.on_next("describe_cluster", Fault.NOT_ARRIVED)
    assert watched.look().errors == ()
    known = watched.positions().newest()
    assert known is not None
    assert known.as_of_ms == _now_ms(watched)
    until = horizon(known.as_of_ms, watched.positions().silences(), known.as_of_ms + 9)
    assert not until.is_seen
