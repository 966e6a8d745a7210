"""Translation against simulated mirrors: for every upstream offset of every history, by record content.

``DRKIT_EXAMPLES`` sets the number of histories per property.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from drkit.domain.anchors import Anchors
from drkit.domain.offsets import Ahead, Bounded, Exact, Floor, OffsetMap, Placed, Tail, TargetLog
from tests.properties.mm2_model import History, at_least_once, exactly_once, exactly_once_of_late

EXAMPLES = int(os.environ.get("DRKIT_EXAMPLES", "1200"))
many = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
any_history = st.one_of(exactly_once(), exactly_once_of_late(), at_least_once())


def map_of(history: History, tail: Tail, checkpoints: Sequence[tuple[int, int]] = ()) -> OffsetMap:
    offsets = OffsetMap(
        history.anchors,
        history.log,
        tail,
        exactly_once=history.exactly_once,
        hole_free=history.told_hole_free,
        is_compacted=history.is_compacted,
        checkpoints=checkpoints,
    )
    # Holes that repeats hide over a whole history are what a certificate by history rests on.
    assume(history.is_hole_free or not offsets.is_hole_free)
    return offsets


def past_by(history: History, contents: Sequence[int], offsets: OffsetMap) -> OffsetMap:
    """The map, with what records that look so show of restarts."""
    proof = offsets.proof
    if proof is None:
        return offsets
    ranges = (*proof.intervals, (proof.last, proof.last + 1))
    is_past = proof.holds([mark for one in ranges for mark in history.fingerprints(contents, one)])
    event(f"past by records: {is_past}")
    return offsets.once_past() if is_past else offsets


def translate(history: History, tail: Tail, upstream: int) -> Placed:
    """With no more records than were asked for."""
    offsets = map_of(history, tail)
    return offsets.translate(upstream, history.within(*offsets.requests([upstream])))


def check(history: History, tail: Tail) -> None:
    for upstream in range(history.source_length + 4):
        judge(history, upstream, translate(history, tail, upstream))


def judge(history: History, upstream: int, verdict: Placed) -> None:
    """Against the truth by content: nothing lost, and no more read again than was said."""
    event(type(verdict).__name__)
    position = verdict.downstream
    assert history.log.start <= position <= history.log.end, (upstream, verdict)
    assert history.lost(upstream, position) == [], (upstream, verdict)
    again = history.read_again(upstream, position)
    match verdict:
        case Exact():
            assert again == 0, (upstream, verdict)
        case Bounded(_, at_most, _):
            assert again <= at_most, (upstream, verdict)
        case Floor(_, _, at_most):
            assert at_most is not None
            assert again <= at_most, (upstream, verdict)
        case Ahead(_, missing, _):
            assert position == history.log.end
            assert 0 < missing <= upstream
            assert all(name < upstream or name in history.removed for name in history.last_copies)


@many
@given(exactly_once())
def test_a_stopped_flow_with_transactions(history: History) -> None:
    check(history, history.tail(is_final=True))


@many
@given(exactly_once_of_late())
def test_a_flow_that_had_restarts_before_its_transactions(history: History) -> None:
    check(history, history.tail(is_final=True))


@many
@given(at_least_once())
def test_a_stopped_flow_without_transactions(history: History) -> None:
    check(history, history.tail(is_final=True))


@many
@given(at_least_once())
def test_a_flow_at_work_without_a_trusted_tail(history: History) -> None:
    check(history, history.tail(is_final=False))


@many
@given(any_history)
def test_a_drained_flow(history: History) -> None:
    assume(history.source_end is not None)
    check(history, history.tail(is_final=True, is_drained=True))


@many
@given(any_history)
def test_a_drained_flow_has_nobody_ahead_and_puts_who_read_everything_at_the_end(history: History) -> None:
    assume(history.source_end is not None)
    assert history.source_end is not None
    assume(history.exactly_once)
    verdict = translate(history, history.tail(is_final=False, is_drained=True), history.source_end)
    assert history.read_again(history.source_end, verdict.downstream) == 0
    assert isinstance(verdict, Exact)


@many
@given(any_history, st.booleans(), st.booleans())
def test_positions_do_not_go_back(history: History, is_final: bool, is_drained: bool) -> None:
    offsets = map_of(history, history.tail(is_final=is_final, is_drained=is_drained))
    upstreams = range(history.source_length + 4)
    records = history.within(*offsets.requests(upstreams))
    positions = [offsets.translate(upstream, records).downstream for upstream in upstreams]
    assert positions == sorted(positions)


@many
@given(any_history, st.booleans())
def test_ranges_are_few_and_enough(history: History, is_final: bool) -> None:
    offsets = map_of(history, history.tail(is_final=is_final))
    upstreams = range(history.source_length + 4)
    ranges = offsets.requests(upstreams)
    assert all(start < end for start, end in ranges)
    assert all(one[1] < two[0] for one, two in pairwise(ranges))
    assert all(history.log.start <= start and end <= history.log.end for start, end in ranges)
    everything = history.data
    for upstream in upstreams:
        alone = offsets.translate(upstream, history.within(*offsets.requests([upstream])))
        assert alone == offsets.translate(upstream, history.within(*ranges)) == offsets.translate(upstream, everything)


@many
@given(exactly_once())
def test_hole_free_and_whole_means_exact_everywhere(history: History) -> None:
    names = [name for name in history.target if name is not None]
    assume(history.log_start == 0 and names == list(range(len(names))) and history.last is not None)
    assume(len(names) - 1 == history.last)
    for upstream in range(len(names) + 1):
        verdict = translate(history, history.tail(is_final=True), upstream)
        assert isinstance(verdict, Exact)


@many
@given(any_history, st.data())
def test_a_history_folded_in_parts_is_the_same(history: History, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(history.syncs)))
    whole, parts = Anchors(history.syncs), Anchors(history.syncs[:cut])
    parts.extend(history.syncs[cut:])
    assert list(whole.pairs()) == list(parts.pairs())
    assert whole.runs == parts.runs
    ups, downs = list(whole.upstream), list(whole.downstream)
    assert downs == sorted(set(downs))
    for begin, end in pairwise([*whole.runs, len(whole)]):
        assert ups[begin:end] == sorted(set(ups[begin:end]))


@many
@given(any_history, st.data())
def test_checkpoints_raise_the_lowest_position_and_no_more(history: History, data: st.DataObject) -> None:
    """MM2's own rule: after the newest sync at or below a group's offset, as of any time of the history."""
    tail = history.tail(is_final=data.draw(st.booleans()))
    told = data.draw(st.lists(st.tuples(st.integers(0, history.source_length + 2), st.integers(0, 40)), max_size=6))
    checkpoints = [(u, at) for u, number in told if (at := _checkpoint(history.syncs[:number], u)) is not None]
    offsets, plain = map_of(history, tail, checkpoints), map_of(history, tail)
    upstreams = range(history.source_length + 4)
    records = history.within(*offsets.requests(upstreams))
    for upstream in upstreams:
        verdict = offsets.translate(upstream, records)
        judge(history, upstream, verdict)
        assert verdict.downstream >= plain.translate(upstream, records).downstream


def _checkpoint(syncs: Sequence[tuple[int, int]], upstream: int) -> int | None:
    usable = [(up, down) for up, down in _since_rewind(syncs) if up <= upstream]
    if not usable:
        return None
    up, down = usable[-1]
    return down if up == upstream else down + 1


def _since_rewind(syncs: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    """``OffsetSyncStore`` forgets everything when the upstream offset goes back."""
    begin = max((n + 1 for n, (one, two) in enumerate(pairwise(syncs)) if two[0] < one[0]), default=0)
    return syncs[begin:]


@many
@given(any_history, st.data())
def test_a_record_decides_where_counting_does_not(history: History, data: st.DataObject) -> None:
    """With equal records, and with whatever was seen of where the record is alone."""
    assume(not history.is_compacted)
    contents = data.draw(st.lists(st.integers(0, data.draw(st.sampled_from([1, 3, 50]))), min_size=32, max_size=32))
    seen = data.draw(st.integers(0, history.source_length))
    reach = data.draw(st.none() | st.tuples(st.integers(0, 32), st.integers(0, 32)))
    tail = history.tail(
        is_final=data.draw(st.booleans()), is_drained=history.source_end is not None and data.draw(st.booleans())
    )
    offsets = past_by(history, contents, map_of(history, tail))
    for upstream in range(history.source_length + 1):
        records = history.within(*offsets.requests([upstream]))
        sample = history.sample(upstream, contents, max(seen, upstream), reach)
        search = offsets.search(sample, records)
        plain = offsets.translate(upstream, records)
        if search is None:
            continue
        assert isinstance(plain, Bounded)
        target = history.fingerprints(contents, search.request)
        verdict = search.find(target)
        event(f"{type(verdict).__name__} {verdict.reason[-20:]}")
        judge(history, upstream, verdict)
        assert "contradiction" not in verdict.reason
        assert verdict.downstream >= plain.downstream
        assert (verdict.replay_at_most or 0) <= plain.at_most
        alone = search.to_be_known(target)
        if isinstance(verdict, Bounded) and alone is not None:
            known = history.sample(upstream, contents, history.source_length, (32, 32))
            better = replace(search, sample=replace(sample, alone=known.alone)).find(target)
            event(f"looked for others: {type(better).__name__}")
            judge(history, upstream, better)
            assert known.alone is not None
            is_alone = known.alone.start <= alone.start and known.alone.end >= alone.end
            assert isinstance(better, Exact) or not is_alone, (upstream, alone, known, better)


@many
@given(any_history, st.integers(1, 32), st.data())
def test_records_show_that_a_mirror_has_got_past_its_restarts(
    history: History, different: int, data: st.DataObject
) -> None:
    contents = data.draw(st.permutations([name % different for name in range(32)]))
    offsets = past_by(history, contents, map_of(history, history.tail(is_final=data.draw(st.booleans()))))
    records = history.within(*offsets.requests(range(history.source_length + 4)))
    for upstream in range(history.source_length + 4):
        judge(history, upstream, offsets.translate(upstream, records))


@many
@given(at_least_once(), st.data())
def test_the_last_copy_decides_where_its_record_is_alone(history: History, data: st.DataObject) -> None:
    """Few records look the same, and all that could be seen was: what is then still open nobody could decide."""
    assume(not history.is_compacted)
    alike = data.draw(st.sets(st.integers(0, 31), max_size=6))
    contents = [100 if name in alike else name for name in range(32)]
    is_drained = history.source_end is not None and data.draw(st.booleans())
    tail = history.tail(is_final=data.draw(st.booleans()), is_drained=is_drained)
    offsets = past_by(history, contents, map_of(history, tail))
    for upstream in range(history.source_length + 1):
        sample = history.sample(upstream, contents, history.source_length, (32, 32))
        search = offsets.search(sample, history.within(*offsets.requests([upstream])))
        if search is None or sample.first is None:
            continue
        target = history.fingerprints(contents, search.request)
        verdict = search.find(target)
        event(f"{verdict.reason[-14:]}")
        judge(history, upstream, verdict)
        wanted = search.to_be_known(target)
        if isinstance(verdict, Bounded) and wanted is not None:
            assert sample.alone is not None
            assert sample.alone.start > wanted.start or sample.alone.end < wanted.end


def test_a_negative_committed_offset_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="not negative"):
        OffsetMap([], TargetLog(0, 0), Tail(None, None)).translate(-1)
