"""What is lost with a source that is gone, and where its groups were: by watch, backup and snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from drkit.backup.position_log import PositionLog
from drkit.domain.inventory import Part
from drkit.domain.kafka import TopicPartition
from drkit.domain.lag import Estimated, MirrorLag, NotKnown
from drkit.domain.loss import loss_from_json
from drkit.engine.step import Mode
from drkit.procedures.backups import Backups
from drkit.procedures.watch import Watch
from drkit.steps.cut import RecordCut
from drkit.steps.snapshot import ReadSnapshot, TakeSnapshot
from drkit.steps.source_backup import SourceBackup
from drkit.steps.source_positions import SourcePositions
from drkit.verification.mirror_evidence import CheckpointPositions
from tests.fakes.service import SOURCE, TARGET, FakeService
from tests.unit.config.sample import changed, settings

GROUP = "shop.staging.billing"


class Lost:
    """A service whose source is looked at, backed up, and dies."""

    def __init__(self, *, exactly_once: bool = True) -> None:
        self.service = FakeService(settings(changed("replication.exactly_once", exactly_once)))
        self.first = self.service.topic()
        self.watch = Watch(self.service.world, lambda: SOURCE, "host-1")

    def look(self, records: int = 0, *, after_seconds: float = 5.0) -> None:
        """Time passes, applications write, the watch looks."""
        self.service.clock.sleep(after_seconds)
        self.service.write(self.first, records)
        self.watch.look()

    def back_up(self) -> None:
        """Groups and log ends go into a backup."""
        Backups(self.service.world, lambda: SOURCE, lambda: None).run([Part.GROUPS, Part.LOGS])

    def snapshot(self) -> None:
        """As a planned run takes it."""
        step = TakeSnapshot(self.service.world, SOURCE)
        step.apply(self.service.context(), None)

    def die(self) -> None:
        """The source answers nobody any more."""
        self.service.source.is_dark = True

    def loss(self, *, is_stopped: bool = False) -> MirrorLag:
        return self.service.loss.measure(self.service.mirror.positions(), is_stopped=is_stopped)

    def figures(self, *, is_stopped: bool = False) -> tuple[int, int, int]:
        records = self.loss(is_stopped=is_stopped).records
        assert isinstance(records, Estimated), records
        return records.at_least, records.estimate, records.highest

    def committed(self) -> int:
        found = SourcePositions(
            self.service.world,
            SOURCE,
            CheckpointPositions(self.service.target, self.service.flow),
            PositionLog(self.service.store, SOURCE),
            self.service.backup,
        )
        return found.without_source().committed[GROUP][self.first]


@pytest.fixture
def lost() -> Lost:
    return Lost()


def test_nobody_saw_the_source(lost: Lost) -> None:
    lost.service.write(lost.first, 3)
    lost.service.carry(lost.first)
    lost.die()
    records = lost.loss().records
    assert isinstance(records, NotKnown)
    assert "nobody saw how far shop.staging.orders-0 went" in records.reason


def test_what_the_watch_counted_is_proved_and_the_rest_estimated(lost: Lost) -> None:
    lost.look()
    lost.service.write(lost.first, 30)
    lost.service.carry(lost.first)
    lost.look(20)
    lost.die()
    # Fifty in five seconds; in the next look, five seconds later, there was no answer.
    lost.look()
    lost.service.clock.sleep(600.0)
    assert lost.figures() == (20, 70, 70)
    lost.service.carry(lost.first)
    assert lost.figures() == (0, 50, 50)


def test_without_a_look_that_had_no_answer_the_loss_grows_with_time(lost: Lost) -> None:
    lost.look()
    lost.look(50)
    lost.die()
    found = []
    for _ in range(3):
        lost.service.clock.sleep(10.0)
        found.append(lost.figures()[1])
    assert found == [150, 250, 350]
    silent_at = lost.service.clock.now() - timedelta(seconds=20)
    records = lost.service.loss.measure({}, silent_at=silent_at).records
    assert isinstance(records, Estimated)
    assert records.estimate == 150


def test_an_account_that_lags_behind_proves_nothing_until_the_mirror_has_stopped() -> None:
    lost = Lost(exactly_once=False)
    lost.look()
    lost.look(50)
    lost.die()
    assert lost.figures()[0] == 0
    assert lost.figures(is_stopped=True)[0] == 50


def test_of_watch_backup_and_snapshot_the_newest_counts(lost: Lost) -> None:
    ends = []

    def seen() -> tuple[str, int]:
        (one,) = lost.loss().partitions
        assert one.sighting is not None
        return one.sighting.origin, one.sighting.log.end

    for see in (lost.look, lost.back_up, lost.snapshot, lost.back_up, lost.look):
        lost.service.clock.sleep(5.0)
        lost.service.write(lost.first, 5)
        see()
        ends.append(seen())
    assert ends == [("watch", 5), ("backup", 10), ("snapshot", 15), ("backup", 20), ("watch", 25)]


def test_a_backup_of_another_cluster_says_nothing(lost: Lost) -> None:
    lost.service.write(lost.first, 5)
    lost.back_up()
    assert lost.service.backup.logs()[lost.first].log.end == 5
    other = FakeService(settings(changed(f"regions.{SOURCE}.cluster.cluster_id", "another-id")))
    world = replace(lost.service.world, settings=other.settings)
    assert SourceBackup(world, SOURCE).logs() == {}


def test_positions_of_groups_come_from_the_newest_backup_too(lost: Lost) -> None:
    lost.service.source.cluster.commit(GROUP, {lost.first: 2})
    lost.snapshot()
    lost.service.clock.sleep(5.0)
    lost.service.source.cluster.commit(GROUP, {lost.first: 4})
    lost.back_up()
    assert lost.committed() == 4
    lost.service.clock.sleep(5.0)
    lost.service.source.cluster.commit(GROUP, {lost.first: 6})
    lost.watch.look()
    assert lost.committed() == 6
    lost.service.clock.sleep(5.0)
    lost.service.source.cluster.commit(GROUP, {lost.first: 5})
    lost.back_up()
    # The newest, not the furthest: groups are set back by people, too.
    assert lost.committed() == 5


def test_a_backup_that_cannot_be_read_is_said_and_left_out(lost: Lost) -> None:
    lost.service.write(lost.first, 5)
    lost.back_up()
    for store in lost.service.buckets.values():
        for key in [key for key in store.objects if key.startswith("backups/objects/")]:
            store.objects[key] = b"damaged"
    backup = lost.service.backup
    assert (backup.groups(), backup.logs()) == ({}, {})
    document = backup.document(lost.service.clock.now())
    assert set(document) == {"groups", "logs"}
    assert all("problem" in about for about in document.values())


def test_a_backup_is_read_once(lost: Lost) -> None:
    lost.service.write(lost.first, 5)
    lost.back_up()
    backup, calls = lost.service.backup, [len(store.calls) for store in lost.service.buckets.values()]
    backup.logs()
    after = [len(store.calls) for store in lost.service.buckets.values()]
    backup.logs()
    assert calls != after == [len(store.calls) for store in lost.service.buckets.values()]


def test_the_cut_of_a_disaster_run_says_what_is_lost(lost: Lost) -> None:
    lost.look()
    lost.service.write(lost.first, 30)
    lost.service.carry(lost.first)
    lost.look(20)
    lost.die()
    read = ReadSnapshot(lost.service.world, SOURCE, PositionLog(lost.service.store, SOURCE), lost.service.backup)
    lost.service.clock.sleep(10.0)
    seen = read.confirm(lost.service.context(Mode.DISASTER))
    assert seen["watch"] | {"seen_at": ""} == {"seen_at": "", "age_seconds": 10.0, "groups": 0, "logs": 1}
    # What it takes to stop the mirror is no time in which a dead source writes.
    lost.service.clock.sleep(60.0)
    context = lost.service.context(Mode.DISASTER, snapshot=seen)
    s = lost.service
    step = RecordCut(s.world, TARGET, s.mirror, s.record, s.names, s.loss)
    step.apply(context, step.observe(context))
    evidence = step.confirm(context)
    records, _ = loss_from_json(evidence["loss"])
    assert isinstance(records, Estimated)
    assert (records.at_least, records.estimate) == (20, 120)
    assert evidence["loss"]["partitions"].keys() == {lost.first.topic}


def test_a_partition_that_was_never_mirrored_is_lost_too(lost: Lost) -> None:
    lost.service.source.cluster.create("shop.staging.new", 1)
    lost.look()
    lost.service.write(TopicPartition("shop.staging.new", 0), 9)
    lost.look()
    lost.die()
    new = next(one for one in lost.loss().partitions if one.partition.topic == "shop.staging.new")
    assert isinstance(new.records, Estimated)
    assert new.records.at_least == 9
