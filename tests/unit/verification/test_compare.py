"""Verification of two regions in memory: a mirror with markers, and everything that can go wrong with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drkit.domain.checks import Check, CheckOutcome, Verification
from drkit.domain.kafka import GroupOffsets, LogRange, Record, TopicPartition
from drkit.domain.lag import Exactly, NotKnown
from drkit.domain.lineage import Cut, Epoch, EpochState, PartitionCut
from drkit.domain.scope import NameFilter
from drkit.errors import UnreachableError
from drkit.verification.compare import Comparison, starts_of
from drkit.verification.sides import CompareSettings, Starts
from tests.fakes.clock import FakeClock
from tests.unit.verification.memory_region import CANARY, MemoryLog, MemoryRegion

P = TopicPartition("shop.orders", 0)
Q = TopicPartition("shop.orders", 1)
SETTINGS = CompareSettings(NameFilter((r"shop\..*",)), CANARY, tail_records=10)
COMMITTED = {"g": {P: 3, Q: 0}}


class Mirrored:
    """A source with transaction markers, and its copy on the target with the mirror's own, at the cut."""

    def __init__(self, records: int = 30, target_topic: str = P.topic) -> None:
        self.source, self.target = MemoryRegion("a"), MemoryRegion("b")
        for partition in (P, Q):
            to = TopicPartition(target_topic, partition.partition)
            for number in range(records):
                self.source.add(partition, [f"{partition}/{number}"], keys=[f"k{number}"])
                if number % 7 == 6:
                    self.source.add(partition, [None])
                self.target.copy(self.record(partition, -1), to)
                if number % 5 == 4:
                    self.target.add(to, [None])
        self.cut: Cut = {
            p: PartitionCut(
                self.source.logs[p].end,
                self.record(p, -1).offset,
                self.target.logs[TopicPartition(target_topic, p.partition)].end,
            )
            for p in (P, Q)
        }
        self.target.committed = {group: dict(offsets) for group, offsets in COMMITTED.items()}

    def record(self, partition: TopicPartition, place: int) -> Record:
        return [entry for entry in self.source.logs[partition].entries if entry is not None][place]

    def verify(
        self,
        settings: CompareSettings = SETTINGS,
        *,
        source: bool = True,
        starts: Starts | None = None,
        committed: GroupOffsets = COMMITTED,
        snapshot: bool = False,
    ) -> Verification:
        return Comparison(
            source=self.source if source else None,
            target=self.target,
            writer=self.target,
            clock=FakeClock(),
            settings=settings,
            known_topics=self.source.topics() if snapshot else None,
        ).run(self.cut, committed, starts)


def named(verification: Verification, name: str) -> Check:
    return next(check for check in verification.checks if check.name == name)


def differences(verification: Verification) -> dict[str, tuple[str, ...]]:
    return {check.name: check.items for check in verification.of(CheckOutcome.DIFFERENCE)}


def test_a_faithful_copy_has_no_difference() -> None:
    verification = Mirrored().verify()
    assert {check.name: check.outcome for check in verification.checks} == dict.fromkeys(
        (
            "topics",
            "configs",
            "target-logs",
            "old-side",
            "record-counts",
            "digests",
            "group-positions",
            "canary",
        ),
        CheckOutcome.OK,
    )
    assert verification.outcome is CheckOutcome.OK
    assert named(verification, "topics").detail == "1 topics with 2 partitions"
    assert named(verification, "record-counts").detail == "60 records in 2 partitions"
    assert named(verification, "digests").detail == "20 records in 2 partitions are equal"


def test_what_is_written_on_the_target_after_the_cut_is_not_compared() -> None:
    both = Mirrored()
    both.target.add(P, ["new"] * 50)
    both.target.committed["g"][P] = 40
    assert both.verify().outcome is CheckOutcome.OK


def test_each_side_is_read_once_however_many_partitions_there_are() -> None:
    both = Mirrored()
    both.source.reads.clear()
    both.verify()
    # Counting, and the tails; ten records are found among fewer than two markers at once.
    assert len(both.source.reads) == 2


def test_a_lost_record_is_found_by_count_and_digest() -> None:
    both = Mirrored()
    both.target.logs[P].entries[-4] = None
    found = differences(both.verify())
    assert found["record-counts"] == ("shop.orders-0: 29 records, not 30",)
    assert found["digests"][0].startswith("shop.orders-0: 1 missing, 0 unexpected")
    assert named(both.verify(), "record-counts").lost == Exactly(1)


def test_repeats_in_one_partition_do_not_make_up_for_what_another_lacks() -> None:
    both = Mirrored()
    both.target.logs[P].entries[-4] = None
    both.target.copy(both.record(Q, -1), Q)
    both.cut = {**both.cut, Q: PartitionCut(None, both.record(Q, -1).offset, both.target.logs[Q].end)}
    counts = named(both.verify(), "record-counts")
    assert counts.items == ("shop.orders-0: 29 records, not 30", "shop.orders-1: 31 records, not 30")
    assert counts.lost == Exactly(1)


def test_a_record_changed_on_its_way_is_found_by_digest_alone() -> None:
    both = Mirrored()
    log = both.target.logs[Q]
    old = log.entries[-2]
    assert old is not None
    log.entries[-2] = Record(Q, old.offset, old.timestamp_ms + 1, old.key, old.value)
    found = differences(both.verify())
    assert set(found) == {"digests"}
    assert found["digests"][0].startswith("shop.orders-1: 1 missing, 1 unexpected")


def test_a_replayed_block_is_found_as_duplicates() -> None:
    both = Mirrored()
    for place in (-3, -2, -1):
        both.target.copy(both.record(P, place), P)
    both.cut = {**both.cut, P: PartitionCut(None, both.record(P, -1).offset, both.target.logs[P].end)}
    found = differences(both.verify())
    assert "3 duplicated" in found["digests"][0]
    assert found["record-counts"] == ("shop.orders-0: 33 records, not 30",)


def test_a_write_on_the_old_side_after_the_cut_is_an_orphan() -> None:
    both = Mirrored()
    both.source.add(P, [None, "late", None])
    found = both.verify()
    assert differences(found) == {"old-side": ("shop.orders-0: 1 records were never mirrored",)}
    assert named(found, "old-side").lost == Exactly(1)
    assert named(Mirrored().verify(), "old-side").lost == Exactly(0)


def test_a_partition_that_the_old_side_has_no_more() -> None:
    both = Mirrored()
    del both.source.logs[Q]
    found = differences(both.verify())
    assert found["old-side"] == ("shop.orders-1 is no longer there",)
    assert "digests" not in found
    assert named(both.verify(), "old-side").lost == NotKnown("shop.orders-1 is no longer there")


def test_a_partition_that_was_never_mirrored() -> None:
    both = Mirrored()
    both.cut = {**both.cut, Q: PartitionCut(None, None, 0)}
    both.target.logs[Q] = MemoryLog()
    both.target.committed["g"][Q] = 0
    assert differences(both.verify()) == {"old-side": ("shop.orders-1: 30 records were never mirrored",)}


def test_inventory() -> None:
    both = Mirrored()
    both.source.add(TopicPartition("shop.late", 0), [])
    del both.target.logs[Q]
    both.source.configs[P.topic] = {"retention.ms": "1", "min.insync.replicas": "2"}
    verification = both.verify()
    found = differences(verification)
    assert found["topics"] == ("shop.late is missing", "shop.orders has 1 partitions, not 2")
    assert found["configs"] == ("shop.orders: retention.ms is default, not 1",)
    assert found["target-logs"] == ("shop.orders-1 does not exist, or has no leader",)


def test_configs_that_mm2_never_syncs_are_told_and_no_difference() -> None:
    both = Mirrored()
    both.source.configs[P.topic] = {"min.insync.replicas": "2"}
    check = named(both.verify(), "configs")
    assert check.outcome is CheckOutcome.OK
    assert check.detail == "1 topics; different, and never synced by MM2: min.insync.replicas (1 topics)"


def test_positions() -> None:
    both = Mirrored()
    both.target.committed = {"g": {P: 2}, "ahead": {P: 9999}}
    committed = {"g": {P: 3, Q: 0}, "ahead": {P: 3}}
    assert differences(both.verify(committed=committed))["group-positions"] == (
        f"ahead stands at 9999 in shop.orders-0, beyond its end {both.target.logs[P].end}",
        "g stands at 2 in shop.orders-0, before 3",
        "g has no position in shop.orders-1; 0 was committed",
    )


def test_a_target_that_refuses_writes_is_a_difference() -> None:
    both = Mirrored()
    both.target.fenced = True
    assert differences(both.verify()) == {"canary": ("the target refuses drkit's write",)}


def test_without_the_source_only_the_target_is_checked_and_that_is_said() -> None:
    for source in (True, False):
        both = Mirrored()
        if source:
            both.source.die()
        verification = both.verify(source=source)
        assert verification.outcome is CheckOutcome.NOT_CHECKED
        outcomes = {check.name: check.outcome.value for check in verification.checks}
        assert [name for name, outcome in outcomes.items() if outcome == "ok"] == [
            "target-logs",
            "group-positions",
            "canary",
        ]
        assert "only what the target shows" in named(verification, "digests").detail


def test_a_snapshot_stands_in_for_the_source_s_topics() -> None:
    both = Mirrored()
    del both.target.logs[Q]
    verification = both.verify(source=False, snapshot=True)
    assert differences(verification)["topics"] == ("shop.orders has 1 partitions, not 2",)


def test_a_target_shorter_than_at_the_cut_is_found_without_the_source() -> None:
    both = Mirrored()
    both.target.logs[P].entries = both.target.logs[P].entries[:-3]
    end = both.target.logs[P].end
    found = differences(both.verify(source=False))
    assert found["target-logs"] == (f"shop.orders-0 ends at {end}, before the cut at {end + 3}",)


def test_a_source_that_dies_in_between_leaves_checks_open() -> None:
    class Dying(MemoryRegion):
        def log_ranges(self, partitions: object) -> dict[TopicPartition, LogRange]:
            raise UnreachableError("gone in between")

    both = Mirrored()
    both.source = Dying("a", logs=both.source.logs)
    verification = both.verify()
    assert named(verification, "digests") == Check("digests", CheckOutcome.NOT_CHECKED, "gone in between")
    assert named(verification, "old-side").outcome is CheckOutcome.NOT_CHECKED
    assert named(verification, "group-positions").outcome is CheckOutcome.OK


def test_counts_need_a_common_start() -> None:
    both = Mirrored()
    log = both.source.logs[P]
    log.start, log.entries = 8, log.entries[8:]
    check = named(both.verify(), "record-counts")
    assert check.outcome is CheckOutcome.OK
    assert check.detail == "30 records in 1 partitions; 1 partitions not counted: retention has removed records"
    # The eighth record of the source is at offset 8, because of a marker, and at 8 on the target, likewise.
    pair = both.record(P, 0)
    copy = next(e for e in both.target.logs[P].entries if e is not None and e.value == pair.value)
    counted = named(both.verify(starts={P: (pair.offset, copy.offset)}), "record-counts")
    assert counted.detail == f"{30 + 23} records in 2 partitions"


def test_more_than_the_budget_is_not_counted_and_that_is_no_success() -> None:
    settings = CompareSettings(SETTINGS.topics, CANARY, tail_records=10, counted_offsets=5)
    verification = Mirrored().verify(settings)
    check = named(verification, "record-counts")
    assert check.outcome is CheckOutcome.NOT_CHECKED
    assert check.detail == "no partition was counted; 2 partitions not counted: more records than are counted"
    assert verification.outcome is CheckOutcome.NOT_CHECKED


def test_compacted_topics_are_compared_by_key_and_not_counted() -> None:
    both = Mirrored()
    both.target.configs[P.topic] = {"cleanup.policy": "compact"}
    both.source.configs[P.topic] = {"cleanup.policy": "compact"}
    # The target has compacted away what the source still has.
    both.target.logs[P].entries[-3] = None
    verification = both.verify()
    assert named(verification, "digests").outcome is CheckOutcome.OK
    assert "on one side only" in named(verification, "digests").detail
    assert named(verification, "record-counts").outcome is CheckOutcome.NOT_CHECKED


def test_a_topic_with_times_of_its_own_is_compared_without_them() -> None:
    both = Mirrored()
    both.target.configs[P.topic] = {"message.timestamp.type": "LogAppendTime"}
    log = both.target.logs[P]
    log.entries = [
        None if entry is None else Record(P, entry.offset, 99_999, entry.key, entry.value) for entry in log.entries
    ]
    check = named(both.verify(), "digests")
    assert check.outcome is CheckOutcome.OK
    assert "without timestamps for shop.orders" in check.detail


def test_renamed_topics_are_paired() -> None:
    both = Mirrored(target_topic="a.shop.orders")
    settings = CompareSettings(SETTINGS.topics, CANARY, rename=lambda name: f"a.{name}", tail_records=10)
    both.target.committed = {}
    verification = both.verify(settings, committed={})
    assert verification.outcome is CheckOutcome.OK
    assert named(verification, "digests").detail == "20 records in 2 partitions are equal"


def test_an_open_transaction_is_not_waited_for() -> None:
    both = Mirrored()
    both.target.logs[P].open_from = both.target.logs[P].end - 1
    check = named(both.verify(), "record-counts")
    assert check.detail == "30 records in 1 partitions; 1 partitions not counted: a transaction is open"


@pytest.mark.parametrize(("target", "expected"), [("a", {P: (12, 10)}), ("c", {})])
def test_starts_come_from_the_cut_before(target: str, expected: Starts) -> None:
    cut = {P: PartitionCut(10, 9, 12), Q: PartitionCut(None, 9, 12)}
    epoch = Epoch("r", "b", target, "planned", "2026-01-01", EpochState.IN_FORCE, cut)
    assert starts_of(epoch, "a") == expected
    assert starts_of(None, "a") == {}
    assert starts_of(replace(epoch, state=EpochState.WITHDRAWN), "a") == {}
