"""An example of every verdict and reason; what holds for all histories is in ``tests/properties/test_offsets.py``."""

from __future__ import annotations

import time
from collections.abc import Iterable

from drkit.domain.anchors import Anchors
from drkit.domain.offsets import Ahead, Bounded, Exact, Floor, OffsetMap, Placed, Tail, TargetLog
from drkit.domain.task_starts import Folding

WORKING = Tail(None, None)
UNBROKEN = [(n, n) for n in range(0, 1001, 100)]


def steps(begin: tuple[int, int], number: int) -> list[tuple[int, int]]:
    """Syncs of a source without holes, a hundred records apart."""
    return [(begin[0] + 100 * n, begin[1] + 100 * n) for n in range(number)]


def told(pairs: Iterable[tuple[int, int]], *, starts_before: Iterable[int] = (), after: bool = False) -> Anchors:
    """Syncs with the starts of tasks: one before each of these places."""
    anchors = Anchors()
    anchors.know_starts()
    for place, pair in enumerate(pairs):
        if place in (0, *starts_before):
            anchors.add_start()
        anchors.extend([pair])
    if after:
        anchors.add_start()
    return anchors


def place(offsets: OffsetMap, upstream: int, data: Iterable[int] = range(100_000)) -> Placed:
    request = offsets.request(upstream)
    return offsets.translate(upstream, [] if request is None else [at for at in data if request[0] <= at < request[1]])


def test_transactions_are_counted_past_their_markers() -> None:
    offsets = OffsetMap([(0, 0), (4, 6)], TargetLog(0, 8), Tail(4, 6, None, is_final=True), exactly_once=True)
    assert place(offsets, 0, [0, 1, 3, 4, 6]) == Exact(0, "an offset sync of this very record")
    assert place(offsets, 1, [0, 1, 3, 4, 6]) == Exact(1, "the record after an offset sync")
    assert place(offsets, 2, [0, 1, 3, 4, 6]) == Exact(3, "counted between two offset syncs")
    assert place(offsets, 4, [0, 1, 3, 4, 6]) == Exact(6, "the last mirrored record")
    assert place(offsets, 5, [0, 1, 3, 4, 6]) == Exact(8, "the group had consumed exactly what was mirrored")
    assert place(offsets, 6, [0, 1, 3, 4, 6]) == Ahead(8, 1, "mirrored up to 4, consumed up to 5")
    assert place(offsets, 9, [0, 1, 3, 4, 6]) == Ahead(8, 4, "mirrored up to 4, consumed up to 8")


def test_a_sync_that_was_overtaken_is_put_in_order_only_within_its_run() -> None:
    overtaken = Anchors([(10, 10), (20, 20), (15, 15)])
    assert list(overtaken.pairs()) == [(10, 10), (15, 15), (20, 20)]
    # A task began again in between: nothing says which points are of which run.
    begun_again = Anchors([(10, 10), (20, 20), (5, 15)])
    assert list(begun_again.pairs()) == [(5, 15)]


def test_holes_of_the_source_bound_the_position() -> None:
    offsets = OffsetMap([(0, 0), (10, 6)], TargetLog(0, 7), WORKING, exactly_once=True)
    assert place(offsets, 5) == Bounded(1, 4, "4 source offsets without a copy lie between two offset syncs")
    assert place(offsets, 8) == Bounded(4, 2, "4 source offsets without a copy lie between two offset syncs")
    alive = [1, 2, 7, 8, 9]
    assert offsets.translate(8, range(1, 6), alive) == Exact(4, "counted on both sides")


def test_a_checkpoint_raises_the_lower_bound() -> None:
    offsets = OffsetMap(
        [(0, 0), (10, 6)], TargetLog(0, 7), WORKING, exactly_once=True, checkpoints=[(4, 3), (5, 2), (9, 40)]
    )
    found = place(offsets, 5)
    assert found == Bounded(
        3, 2, "4 source offsets without a copy lie between two offset syncs; not below a checkpoint"
    )


def test_a_checkpoint_above_what_was_counted_is_a_contradiction() -> None:
    offsets = OffsetMap([(0, 0), (10, 10)], TargetLog(0, 11), WORKING, exactly_once=True, checkpoints=[(4, 8)])
    assert place(offsets, 5) == Bounded(
        5, 3, "counted between two offset syncs; contradiction: a checkpoint says 8 or later"
    )


def test_checkpoints_are_all_there_is_where_syncs_died_with_the_source() -> None:
    offsets = OffsetMap([], TargetLog(0, 100), WORKING, exactly_once=True, checkpoints=[(40, 30)])
    assert place(offsets, 50) == Bounded(
        30, 50, "after the last offset sync, and the mirror may still be at work; not below a checkpoint"
    )


def test_more_records_than_the_source_had_lower_the_verdict() -> None:
    foreign = "somebody else wrote, or copies repeat"
    log, tail = TargetLog(0, 20), Tail(12, 19, None, is_final=True)
    offsets = OffsetMap([(0, 0), (4, 8), (12, 16)], log, tail, exactly_once=True)
    assert place(offsets, 2) == Bounded(1, 7, "the target holds more records here than the source had: " + foreign)
    offsets = OffsetMap([(0, 0), (4, 4)], TargetLog(0, 20), Tail(6, 19, None, is_final=True), exactly_once=True)
    assert place(offsets, 7) == Bounded(
        5, 15, "the target holds more records at its end than the source had: " + foreign
    )


def test_without_transactions_a_source_without_holes_is_exact() -> None:
    offsets = OffsetMap(UNBROKEN, TargetLog(0, 1001), Tail(1000, 1000, None, is_final=True, in_order=False))
    assert offsets.is_hole_free
    assert offsets.requests(range(1002)) == (), "nothing has to be read"
    assert place(offsets, 450) == Exact(450, "counted on a source without holes")
    assert place(offsets, 1001) == Exact(1001, "the group had consumed exactly what was mirrored")


def test_too_short_a_history_certifies_nothing_and_the_caller_may() -> None:
    short = [(0, 0), (100, 100), (200, 200)]
    unknown = OffsetMap(short, TargetLog(0, 201), WORKING)
    assert place(unknown, 50) == Bounded(1, 200, "records may have been copied more than once here")
    certified = OffsetMap(short, TargetLog(0, 201), WORKING, hole_free=True)
    assert place(certified, 150) == Exact(150, "counted on a source without holes")
    assert isinstance(place(OffsetMap(UNBROKEN, TargetLog(0, 1001), WORKING, hole_free=False), 450), Bounded)


def test_a_source_said_to_have_no_holes_that_has_some_is_named() -> None:
    offsets = OffsetMap([(0, 0), (10, 8), (11, 9)], TargetLog(0, 10), WORKING, hole_free=True)
    assert place(offsets, 5).reason.endswith("; the source was said to have no holes, and has some")


def test_a_restart_blurs_what_it_may_have_copied_again_and_nothing_else() -> None:
    """Copied up to 950, and from 900 on once more."""
    syncs = [*steps((0, 0), 10), *steps((900, 951), 20)]
    offsets = OffsetMap(syncs, TargetLog(0, 2852), Tail(2800, 2851, None, is_final=True))
    assert place(offsets, 849) == Exact(849, "counted on a source without holes")
    assert place(offsets, 850) == Bounded(850, 51, "records may have been copied more than once here")
    assert place(offsets, 899) == Bounded(899, 51, "records may have been copied more than once here")
    assert place(offsets, 900) == Exact(951, "an offset sync of this very record")
    assert place(offsets, 901) == Exact(952, "counted on a source without holes")


def test_a_restart_that_no_sync_shows_is_seen_by_its_repeats() -> None:
    syncs = [*steps((0, 0), 10), *steps((1000, 1051), 19)]
    offsets = OffsetMap(syncs, TargetLog(0, 2852), Tail(2800, 2851, None, is_final=True))
    repeated = "records may have been copied more than once here"
    # 151 copies up to the record at 1000 begin at 850 or above.
    assert place(offsets, 849) == Exact(849, "counted on a source without holes")
    assert place(offsets, 950) == Bounded(950, 51, repeated)
    assert place(offsets, 1001) == Exact(1052, "counted on a source without holes")


def test_a_replay_that_stopped_half_way_leaves_the_old_copies_the_last() -> None:
    """Copied up to 950, again from 900, and killed at 908: what comes after 908 is where it was."""
    offsets = OffsetMap([*steps((0, 0), 10), (900, 951)], TargetLog(0, 960), Tail(890, 959))
    reason = "the mirror was restarted, and is not known to have got past what it had copied before"
    assert place(offsets, 750) == Exact(750, "counted on a source without holes")
    assert place(offsets, 905) == Bounded(905, 55, reason)
    assert place(offsets, 940) == Bounded(940, 20, reason)


def test_known_starts_leave_everything_else_countable_also_with_holes() -> None:
    syncs = [(0, 0), (100, 90), (200, 180), (190, 200), (300, 290), (400, 380)]
    offsets = OffsetMap(told(syncs, starts_before=[3]), TargetLog(0, 381), Tail(400, 380, None, is_final=True))
    holes = "10 source offsets without a copy lie between two offset syncs"
    assert place(offsets, 50) == Bounded(40, 10, holes)
    assert place(offsets, 250).reason.startswith("20 source offsets")
    assert isinstance(place(offsets, 195), Bounded)
    assert place(offsets, 190) == Exact(200, "an offset sync of this very record")


def test_a_start_after_the_last_sync_puts_the_end_in_doubt() -> None:
    calm = OffsetMap(told(UNBROKEN), TargetLog(0, 1051), Tail(990, 1050))
    assert place(calm, 1000) == Exact(1000, "an offset sync of this very record")
    assert place(calm, 1020) == Exact(1020, "counted on from the last offset sync")
    assert place(calm, 1070) == Bounded(1051, 19, "after the last offset sync, and the mirror may still be at work")
    started = OffsetMap(told(UNBROKEN, after=True), TargetLog(0, 1051), Tail(990, 1050))
    assert place(started, 1000) == Bounded(1000, 50, "records may have been copied more than once here")
    assert place(started, 940) == Exact(940, "counted on a source without holes")


def test_a_killed_workers_account_is_no_tail() -> None:
    """Connect says 1010, and the target goes up to the copy of 1050."""
    offsets = OffsetMap(told(UNBROKEN), TargetLog(0, 1051), Tail(1010, 1050, None, is_final=True, in_order=False))
    assert place(offsets, 1030) == Exact(1030, "counted on from the last offset sync")
    assert place(offsets, 1011) == Exact(1011, "counted on from the last offset sync")


def test_retention_of_the_target() -> None:
    offsets = OffsetMap(UNBROKEN, TargetLog(550, 1001), Tail(1000, 1000, None, is_final=True))
    gone = "the target's retention has deleted records below, which the group may not have read"
    assert place(offsets, 300) == Floor(550, gone, 0)
    assert place(offsets, 550) == Exact(550, "counted on a source without holes")


def test_a_flow_that_started_at_the_end_of_the_source() -> None:
    offsets = OffsetMap([(5000, 0), (5100, 100)], TargetLog(0, 101), WORKING, exactly_once=True)
    assert place(offsets, 10) == Exact(0, "before the first mirrored record")
    assert place(offsets, 5000) == Exact(0, "an offset sync of this very record")


def test_a_target_that_ends_below_its_syncs_was_made_anew_or_cut() -> None:
    offsets = OffsetMap(UNBROKEN, TargetLog(0, 40), WORKING, exactly_once=True)
    assert place(offsets, 990) == Bounded(
        0,
        990,
        "after the last offset sync, and the mirror may still be at work; "
        "the target's log ends below what offset syncs speak of: it was made anew, or cut",
    )


def test_of_a_source_made_anew_only_the_new_copies_count() -> None:
    old = Folding(Anchors(UNBROKEN))
    assert old.is_rewind(0, 1001)
    new = old.renewed().anchors
    new.extend(steps((0, 1001), 8))
    offsets = OffsetMap(new, TargetLog(0, 1702), Tail(700, 1701, None, is_final=True), hole_free=True)
    assert place(offsets, 650) == Exact(1651, "counted on a source without holes")
    assert place(offsets, 0) == Exact(1001, "an offset sync of this very record")
    # No sync of the new log yet: nothing of the old one is used.
    nothing = OffsetMap(old.renewed().anchors, TargetLog(0, 1011), WORKING, exactly_once=True)
    assert place(nothing, 5) == Bounded(1001, 5, "after the last offset sync, and the mirror may still be at work")


def test_a_drained_flow_has_nobody_between_its_end_and_the_sources() -> None:
    offsets = OffsetMap(UNBROKEN, TargetLog(0, 1001), Tail(1000, 1000, drained_to=1005))
    assert place(offsets, 1003) == Exact(1001, "everything was mirrored: the group continues at the end")
    assert place(offsets, 1010) == Ahead(1001, 5, "beyond the source's end at 1005")


def test_what_was_mirrored_and_is_in_no_log_any_more() -> None:
    offsets = OffsetMap([(10, 10)], TargetLog(11, 11), Tail(20, None, None, is_final=True), exactly_once=True)
    assert place(offsets, 15) == Exact(11, "the target holds no copy of it or of what follows")


def test_a_million_syncs_and_six_thousand_positions_take_seconds() -> None:
    anchors = Anchors((100 * n, 100 * n + n // 50_000) for n in range(1_000_000))
    assert anchors.upstream.itemsize + anchors.downstream.itemsize == 16
    begin = time.process_time()
    offsets = OffsetMap(anchors, TargetLog(0, 10**8), WORKING)
    positions = range(0, 90_000_000, 15_000)
    assert all(isinstance(offsets.translate(upstream), Exact | Bounded) for upstream in positions)
    assert time.process_time() - begin < 5


def test_a_start_after_the_last_sync_reaches_as_low_as_connects_account_allows() -> None:
    """Ten copies follow the last sync: they may begin anywhere that ten records below what is committed do."""
    near = OffsetMap(UNBROKEN, TargetLog(0, 1011), Tail(1000, 1010))
    far = OffsetMap(UNBROKEN, TargetLog(0, 1011), Tail(500, 1010))
    assert place(near, 950) == Exact(950, "counted on a source without holes")
    assert place(far, 950) == Bounded(950, 10, "records may have been copied more than once here")
    assert place(far, 450) == Exact(450, "counted on a source without holes")


def test_a_checkpoint_of_a_replay_that_is_not_finished_is_no_floor() -> None:
    # Copies of 9, 10, 11, 12, and then of 9 again: the only sync is of the last, and MM2 translates by it.
    offsets = OffsetMap([(9, 5)], TargetLog(0, 6), Tail(9, 5), checkpoints=[(9, 5)])
    assert offsets.translate(9, [*range(6)]).downstream == 0


def test_without_any_sync_a_checkpoint_is_a_floor() -> None:
    offsets = OffsetMap([], TargetLog(0, 20), Tail(None, None), exactly_once=True, checkpoints=[(9, 5)])
    assert offsets.translate(9).downstream == 5
