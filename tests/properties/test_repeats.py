"""Repeats of restarted mirrors, told apart by their records alone: by content, for every upstream offset."""

from __future__ import annotations

from hypothesis import event, given
from hypothesis import strategies as st

from drkit.domain.offsets import Bounded, Exact
from tests.properties.mm2_model import History
from tests.properties.test_offsets import judge, many, map_of

LONGEST = 60


@st.composite
def restarted(draw: st.DrawFn) -> History:
    """A source without holes and a mirror that is restarted, also while it repeats, and in the end is through."""
    first = draw(st.sampled_from([0, 0, 3]))
    length = draw(st.integers(20, LONGEST))
    target: list[int | None] = []
    syncs: list[tuple[int, int]] = []
    position, end, is_often, is_first_seen = first, 0, draw(st.booleans()), draw(st.booleans())
    for is_last in [*(False for _ in range(draw(st.integers(1, 3)))), True]:
        end = max(end, position, length if is_last else draw(st.integers(position, length - 4)))
        for record in range(position, end):
            if is_often or (is_first_seen and not syncs) or draw(st.integers(0, 5)) == 0:
                syncs.append((record, len(target)))
            target.append(record)
        position = draw(st.integers(max(position, end - 12), end))
    return History(
        length,
        tuple(target),
        tuple(syncs),
        length - 1,
        length,
        exactly_once=False,
        source=tuple(range(first, length)),
        committed=length - 1,
        is_hole_free=True,
        told_hole_free=True,
    )


@st.composite
def written(draw: st.DrawFn) -> list[int]:
    """What is in each record: mostly something of its own, and now and then the same as in another."""
    contents = list(range(LONGEST))
    for _ in range(draw(st.sampled_from([0, 0, 1, 3, 12]))):
        contents[draw(st.integers(0, LONGEST - 1))] = draw(st.integers(0, LONGEST - 1))
    return contents


@many
@given(restarted(), written(), st.booleans())
def test_what_the_records_show_is_exact(history: History, contents: list[int], is_drained: bool) -> None:
    offsets = map_of(history, history.tail(is_final=True, is_drained=is_drained))
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
            assert not is_whole or contents != list(range(LONGEST)), (upstream, repeats)
            continue
        found = positions.of(upstream)
        assert isinstance(found, Exact)
        judge(history, upstream, found)
