"""The translator against logs in memory: evidence is read, and what counting leaves open the records decide."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import replace

from drkit.domain.digests import fingerprint
from drkit.domain.kafka import Record, TopicPartition
from drkit.domain.offsets import Bounded, Exact, Unavailable, Verdict
from drkit.domain.samples import PositionSample
from drkit.ports import TopicTail
from drkit.verification.mirror_evidence import StatusTopic, SyncHistory
from drkit.verification.positions import Translator
from tests.unit.verification.memory_region import MemoryLog, MemoryRegion

T0 = TopicPartition("t", 0)
SYNCS = TopicPartition("syncs", 0)
STATUS = TopicPartition("status", 0)


class Followed(MemoryRegion):
    """Topics can be followed, too."""

    def tail(self, topic: str) -> TopicTail:
        return _Tail(self.logs.setdefault(TopicPartition(topic, 0), MemoryLog()))


class _Tail:
    def __init__(self, log: MemoryLog) -> None:
        self._log, self._next = log, 0

    def catch_up(self) -> list[Record]:
        new = [entry for entry in self._log.entries[self._next :] if entry is not None]
        self._next = len(self._log.entries)
        return new

    def close(self) -> None:
        pass


def sync(region: MemoryRegion, upstream: int, downstream: int, at_ms: int = 0) -> None:
    log = region.logs.setdefault(SYNCS, MemoryLog())
    key = struct.pack(">h", 1) + b"t" + struct.pack(">i", 0)
    log.entries.append(Record(SYNCS, log.end, at_ms, key, struct.pack(">qq", upstream, downstream)))


def mirrored(*, alike: bool = False) -> tuple[Followed, Followed]:
    """Thirty offsets, every third one a marker; MM2 carried the records over in transactions of five."""
    source, target = Followed("a"), Followed("b")
    source.add(T0, [None if n % 3 == 2 else ("same" if alike else f"record {n}") for n in range(30)])
    target.logs[T0] = MemoryLog()
    for number, record in enumerate(entry for entry in source.logs[T0].entries if entry is not None):
        target.copy(record, T0)
        if number % 5 == 4:
            target.logs[T0].entries.append(None)
    sync(target, 0, 0)
    sync(target, 28, 22)
    return source, target


def translate(target: Followed, offset: int, **known: object) -> Verdict:
    history = SyncHistory(target, "syncs")
    translator = Translator(target, history, dict, **{"exactly_once": True, **known})  # type: ignore[arg-type]
    (found,) = translator.translate({"g": {T0: offset}})
    return found.verdict


def truth(source: MemoryRegion, target: MemoryRegion, offset: int) -> int:
    wanted = next(entry for entry in source.logs[T0].entries[offset:] if entry is not None)
    return next(entry.offset for entry in target.logs[T0].entries if entry is not None and entry.value == wanted.value)


def test_the_target_alone_bounds_a_position_among_holes() -> None:
    _, target = mirrored()
    assert isinstance(translate(target, 15), Bounded)


def test_the_living_source_is_counted_too() -> None:
    source, target = mirrored()
    assert translate(target, 15, source=source) == Exact(truth(source, target, 15), "counted on both sides")


def test_a_source_whose_retention_took_some_away_is_compared_record_by_record() -> None:
    source, target = mirrored()
    where = truth(source, target, 15)
    log = source.logs[T0]
    log.entries, log.start = log.entries[10:], 10
    assert translate(target, 15, source=source) == Exact(where, "record match")


def test_samples_stand_in_for_a_dead_source() -> None:
    source, target = mirrored()
    asked: list[tuple[TopicPartition, int]] = []

    def samples(
        positions: Collection[tuple[TopicPartition, int]],
    ) -> Mapping[tuple[TopicPartition, int], PositionSample]:
        asked.extend(positions)
        entries = source.logs[T0].entries
        first, before = entries[15], entries[13]
        assert first is not None
        assert before is not None
        return {(T0, 15): PositionSample(T0, 15, 1, fingerprint(first), fingerprint(before))}

    assert translate(target, 15, samples=samples) == Exact(truth(source, target, 15), "record match")
    assert asked == [(T0, 15)]
    assert isinstance(translate(target, 17, samples=samples), Bounded), "nobody sampled that one"
    found = translate(target, 15, samples=samples, compacted=lambda: {"t"})
    assert isinstance(found, Bounded), "copies may be gone from a compacted topic"


def restarted(*, alike: bool = False) -> Followed:
    """Forty records without a hole; the mirror was killed at 20, went on at 12, and nobody saw it start."""
    source, target = Followed("a"), Followed("b")
    source.add(T0, ["same" if alike else f"record {n}" for n in range(40)])
    target.logs[T0] = MemoryLog()
    for record in [*source.logs[T0].entries[:20], *source.logs[T0].entries[12:]]:
        assert record is not None
        target.copy(replace(record, timestamp_ms=0) if alike else record, T0)
    for upstream, downstream in [*((n, n) for n in range(10)), *((n, n + 8) for n in range(25, 40))]:
        sync(target, upstream, downstream)
    return target


def test_a_restarted_mirror_is_seen_through_by_the_target_alone() -> None:
    target = restarted()
    found = [translate(target, n, exactly_once=False) for n in range(40)]
    assert all(isinstance(verdict, Exact) for verdict in found), found
    assert [verdict.downstream for verdict in found] == [*range(12), *range(20, 48)]


def test_records_that_look_the_same_show_no_repeats() -> None:
    found = [translate(restarted(alike=True), n, exactly_once=False) for n in range(40)]
    assert {n for n, verdict in enumerate(found) if isinstance(verdict, Bounded)} >= set(range(12, 25))
    for n, verdict in enumerate(found):
        truth = n + (8 if n >= 12 else 0)
        assert verdict.downstream is not None
        assert verdict.downstream <= truth <= verdict.downstream + (verdict.replay_at_most or 0)


def test_logs_that_are_compacted_each_for_itself_are_not_counted_against_each_other() -> None:
    source, target = mirrored()
    assert isinstance(translate(target, 15, source=source), Exact)
    assert isinstance(translate(target, 15, source=source, compacted=lambda: {"t"}), Bounded)


def test_an_open_transaction_is_not_waited_for() -> None:
    source, target = mirrored()
    target.logs[T0].entries += [None, None]
    target.logs[T0].open_from = 25
    log = source.logs[T0]
    log.entries, log.start = log.entries[10:], 10
    assert isinstance(translate(target, 29, source=source), Exact | Bounded)


def test_nobody_is_put_past_a_transaction_that_may_still_commit() -> None:
    """Connect's account and the log's marker are of one transaction, and are not there at the same moment."""
    source, target = mirrored()
    del target.logs[SYNCS].entries[1:]
    sync(target, 21, 16)
    target.logs[T0].open_from = 18
    translator = Translator(target, SyncHistory(target, "syncs"), lambda: {T0: 21}, exactly_once=True)
    (found,) = translator.translate({"g": {T0: 22}}, is_final=True)
    target.logs[T0].open_from = None
    assert found.verdict.downstream == 17, "the record after the last sync, and not the end"
    assert 17 <= truth(source, target, 22) == 18, "once it commits, its records are read"


def test_checkpoints_are_asked_for_only_where_there_are_no_syncs() -> None:
    _, target = mirrored()
    calls: list[str] = []

    def floors() -> Mapping[TopicPartition, list[tuple[int, int]]]:
        calls.append("floors")
        return {T0: [(14, 9)]}

    translate(target, 15, floors=floors)
    assert calls == []
    del target.logs[SYNCS]
    assert translate(target, 15, floors=floors).downstream == 9
    assert calls == ["floors"]


def test_a_topic_made_anew_is_not_read_with_the_old_map() -> None:
    _, target = mirrored()
    for number, record in enumerate(["new 0", "new 1", "new 2"]):
        target.add(T0, [record])
        sync(target, number, 24 + number, 200_000 + number)
    history = SyncHistory(target, "syncs", renewed_ms=lambda: {"t": 150_000})
    (found,) = Translator(target, history, dict, exactly_once=True).translate({"g": {T0: 1}})
    assert found.verdict == Exact(25, "an offset sync of this very record")


def test_what_the_target_does_not_have() -> None:
    history = SyncHistory(Followed("b"), "syncs")
    (found,) = Translator(Followed("b"), history, dict).translate({"g": {T0: 3}})
    assert found.verdict == Unavailable("the target has no such partition")


def test_starts_of_tasks_come_from_the_status_topic() -> None:
    target = Followed("b")
    target.add(T0, [str(n) for n in range(301)])
    for number in range(4):
        sync(target, 110 * number, 100 * number, 10_000 * number + 10_000)
    log = target.logs.setdefault(STATUS, MemoryLog())

    def started(at_ms: int) -> None:
        log.entries.append(Record(STATUS, log.end, at_ms, b"status-task-flow-0", b'{"state": "RUNNING"}'))

    started(5_000)
    history = SyncHistory(target, "syncs", StatusTopic(target, "status", "flow"))
    translator = Translator(target, history, lambda: {T0: 330})
    (calm,) = translator.translate({"g": {T0: 215}})
    assert calm.verdict == Bounded(195, 5, "10 source offsets without a copy lie between two offset syncs")
    started(25_000)
    later = SyncHistory(target, "syncs", StatusTopic(target, "status", "flow"))
    (blurred,) = Translator(target, later, lambda: {T0: 330}).translate({"g": {T0: 215}})
    assert isinstance(blurred.verdict, Bounded)
    assert blurred.verdict.at_most > 10


def test_the_living_source_tells_which_copy_is_the_last_one() -> None:
    """Every fourth offset is a marker; killed after six copies, the mirror went on at the fourth record."""
    source, target = Followed("a"), Followed("b")
    source.add(T0, [None if n % 4 == 3 else f"record {n}" for n in range(40)])
    records = [entry for entry in source.logs[T0].entries if entry is not None]
    for record in [*records[:6], *records[3:]]:
        target.copy(record, T0)
    for pair in ((0, 0), (8, 9), (38, 32)):
        sync(target, *pair, at_ms=1_000_000 if pair == (0, 0) else 9_000_000)
    status = target.logs.setdefault(STATUS, MemoryLog())
    for at_ms in (0, 5_000_000):
        status.entries.append(Record(STATUS, status.end, at_ms, b"status-task-flow-0", b'{"state": "RUNNING"}'))
    known = {"history": SyncHistory(target, "syncs", StatusTopic(target, "status", "flow")), "exactly_once": False}
    translator = Translator(target, mirrored=lambda: {T0: 38}, **known)  # type: ignore[arg-type]
    dead = [row.verdict for row in translator.translate({f"g{n}": {T0: n} for n in range(10)})]
    assert isinstance(dead[4], Bounded)
    alive = replace(translator, source=source, history=SyncHistory(target, "syncs", translator.history.statuses))
    found = {row.upstream: row.verdict for row in alive.translate({f"g{n}": {T0: n} for n in range(10)})}
    assert found[4] == Exact(6, "record match: its last copy")
    assert [verdict.downstream for verdict in found.values()] == [0, 1, 2, 6, 6, 7, 8, 9, 9, 10]
    assert all(isinstance(verdict, Exact) for verdict in found.values()), found
