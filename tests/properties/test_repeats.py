"""Repeats of restarted mirrors, told apart by their records alone: by content, for every upstream offset."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st

from drkit.domain.offsets import Bounded, Exact
from tests.properties.mm2_model import History
from tests.properties.test_offsets import judge, many, map_of, past_by

LONGEST = 60


@st.composite
def restarted(draw: st.DrawFn) -> History:
    """A mirror that is restarted, also while it repeats; the source may have holes.

    In the end it is through, or it was stopped before it had got past what it had copied.
    """
    first = draw(st.sampled_from([0, 0, 3]))
    length = draw(st.integers(20, LONGEST))
    holes = draw(st.sampled_from([0, 0, 1, 3]))
    missing = draw(st.sets(st.integers(0, length - 2), min_size=holes, max_size=holes))
    target: list[int | None] = []
    syncs: list[tuple[int, int]] = []
    position, end, is_often, is_first_seen = first, 0, draw(st.booleans()), draw(st.booleans())
    is_through = draw(st.sampled_from([True, True, False]))
    for is_last in [*(False for _ in range(draw(st.integers(1, 3)))), True]:
        furthest = min(length - 4, position + draw(st.sampled_from([6, LONGEST])))
        end = length if is_last and is_through else draw(st.integers(position, furthest))
        for record in range(position, end):
            if record in missing:
                continue
            if is_often or (is_first_seen and not syncs) or draw(st.integers(0, 5)) == 0:
                syncs.append((record, len(target)))
            target.append(record)
        position = draw(st.integers(max(position, end - 12), end))
    last = next((record for record in reversed(target) if record is not None), None)
    return History(
        length,
        tuple(target),
        tuple(syncs),
        last,
        length if is_through else None,
        exactly_once=False,
        source=tuple(record for record in range(first, length) if record not in missing),
        committed=last,
        is_hole_free=not missing,
        told_hole_free=draw(st.sampled_from([None, False] if missing else [True, None, False])),
    )


@st.composite
def written(draw: st.DrawFn) -> list[int]:
    """What is in each record: mostly something of its own, and now and then the same as in another."""
    contents = list(range(LONGEST))
    for _ in range(draw(st.sampled_from([0, 0, 1, 3, 12]))):
        contents[draw(st.integers(0, LONGEST - 1))] = draw(st.integers(0, LONGEST - 1))
    return contents


@many
@given(restarted(), written(), st.booleans(), st.integers(0, 3))
def test_what_the_records_show_is_exact(history: History, contents: list[int], is_drained: bool, behind: int) -> None:
    tail = history.tail(is_final=True, is_drained=is_drained and history.source_end is not None)
    if tail.drained_to is None and tail.upstream_last is not None:
        # A killed worker's account is behind.
        tail = replace(tail, in_order=False, upstream_last=max(0, tail.upstream_last - max(0, behind - 1)))
    offsets = past_by(history, contents, map_of(history, tail))
    for upstream in range(history.source_length + 1):
        verdict = offsets.translate(upstream, history.within(*offsets.requests([upstream])))
        repeats = offsets.repeats(upstream)
        if not isinstance(verdict, Bounded) or repeats is None:
            event(f"{type(verdict).__name__}, needs no records: {repeats is None}")
            continue
        target = history.fingerprints(contents, repeats.request)
        positions = repeats.told_apart(target)
        event(f"told apart: {positions is not None}")
        if positions is None:
            # With every sync, only records that look the same keep it from being told.
            is_whole = len(history.syncs) == len(history.target) and upstream >= history.source[0]
            is_whole &= offsets.is_hole_free and tail.drained_to is not None
            assert not is_whole or contents != list(range(LONGEST)), (upstream, repeats)
            continue
        found = positions.of(upstream)
        assert isinstance(found, Exact)
        judge(history, upstream, found)
