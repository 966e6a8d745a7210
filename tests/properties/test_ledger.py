"""The ledger against a model of it that is written the slow way, record by record, from the words' meanings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.domain.ledger import (
    Committed,
    Drained,
    GroupEvent,
    Origin,
    Outcome,
    Processed,
    Writes,
    lane_of,
    record_id,
)
from drkit.domain.ledger_history import judge_group
from drkit.domain.ledger_report import write_outage

RUN = 1
SIDES = ("a", "b")
PARTITIONS = (("t", 0), ("t", 1), ("u", 0))
RECORDS = 12


@dataclass(frozen=True)
class World:
    """What was written where, which of it was acknowledged, and what one group did."""

    places: dict[int, tuple[Origin, int, int]]
    """Acknowledged record to place, offset and time."""
    unknown: frozenset[int]
    events: tuple[GroupEvent, ...]

    @property
    def writes(self) -> Writes:
        writes = Writes(RUN)
        for record, (origin, offset, at_ms) in self.places.items():
            writes.log(origin).add(record, offset, at_ms)
        writes.unacknowledged[Outcome.UNKNOWN] |= self.unknown
        writes.settle()
        return writes


@st.composite
def worlds(draw: st.DrawFn) -> World:
    every = [
        record_id(RUN, draw(st.integers(0, 1)), draw(st.integers(0, 1)), sequence) for sequence in range(1, RECORDS + 1)
    ]
    acknowledged = draw(st.lists(st.sampled_from(every), unique=True))
    ends: dict[Origin, int] = {}
    places = {}
    for record in acknowledged:
        origin = Origin(draw(st.sampled_from(SIDES)), *draw(st.sampled_from(PARTITIONS)))
        ends[origin] = ends.get(origin, -1) + draw(st.integers(1, 3))
        places[record] = (origin, ends[origin], draw(st.integers(0, 50)))
    events = draw(st.lists(steps(every), max_size=12))
    return World(places, frozenset(every) - frozenset(acknowledged), tuple(events))


def steps(every: Sequence[int]) -> st.SearchStrategy[GroupEvent]:
    origins = st.builds(Origin, st.sampled_from(SIDES), st.just("t"), st.integers(0, 1))
    batches = st.lists(st.tuples(st.sampled_from(every), st.integers(0, 15)), min_size=1, max_size=5)
    processed = st.builds(
        lambda origin, pairs: Processed(origin, [record for record, _ in pairs], sorted(offset for _, offset in pairs)),
        origins,
        batches.filter(lambda pairs: len({offset for _, offset in pairs}) == len(pairs)),
    )
    committed = st.builds(Committed, origins, st.integers(0, 17))
    return st.one_of(processed, processed, committed, st.builds(Drained, st.sampled_from(SIDES)))


@dataclass
class Expected:
    """The model's answer."""

    processed: int = 0
    duplicates: int = 0
    replayed: int = 0
    out_of_order: int = 0
    drained_at: str | None = None
    lost: frozenset[int] = frozenset()
    pending: frozenset[int] = frozenset()


def expected(world: World) -> Expected:
    """One record after the other, with the whole history at hand each time."""
    answer = Expected()
    history: list[tuple[int, Origin, int]] = []
    committed: set[int] = set()
    for event in world.events:
        match event:
            case Processed(origin, records, offsets):
                answer.drained_at = None
                for record, offset in zip(records, offsets, strict=True):
                    before = [one for one, _, _ in history]
                    if record in before:
                        answer.duplicates += 1
                        answer.replayed += record in committed
                    elif record in world.places and any(
                        lane_of(one) == lane_of(record) and one > record for one in before
                    ):
                        answer.out_of_order += 1
                    history.append((record, origin, offset))
                answer.processed += len(records)
            case Committed(origin, position):
                committed |= {record for record, at, offset in history if at == origin and offset < position}
            case Drained(region):
                answer.drained_at = region
    seen = {record for record, _, _ in history}
    missing = {record for record, (origin, _, _) in world.places.items() if origin.topic == "t"} - seen
    answer.lost = frozenset(one for one in missing if answer.drained_at or passed_by(world, one, seen))
    answer.pending = frozenset(missing - answer.lost)
    return answer


def passed_by(world: World, record: int, seen: set[int]) -> bool:
    origin, offset, at_ms = world.places[record]
    later = [
        world.places[one]
        for one in seen & world.places.keys()
        if world.places[one][0] == origin and world.places[one][1] > offset
    ]
    return bool(later) or reached_elsewhere(world, origin, seen) > at_ms


def reached_elsewhere(world: World, origin: Origin, seen: set[int]) -> int:
    """When the furthest record of the same partition on another side was written that the group has processed."""
    elsewhere = [
        world.places[one]
        for one in seen & world.places.keys()
        if world.places[one][0] != origin and world.places[one][0][1:] == origin[1:]
    ]
    # With two sides there is one log elsewhere; the furthest record in it is the one with the highest offset.
    return max(elsewhere, key=lambda place: place[1])[2] if elsewhere else -1


@settings(max_examples=400)
@given(worlds())
def test_the_ledger_finds_what_the_model_finds(world: World) -> None:
    found = judge_group({"t"}, world.events, world.writes)
    model = expected(world)
    assert found.processed == model.processed
    assert found.duplicates.records == model.duplicates
    assert found.replayed.records == model.replayed
    assert found.out_of_order.records == model.out_of_order
    assert found.drained_at == model.drained_at
    writes = world.writes
    lost = {writes.at(origin, index).record for origin, indexes in found.lost.items() for index in indexes}
    assert lost == set(model.lost)
    assert found.pending == len(model.pending)


@given(worlds())
def test_every_acknowledged_record_is_processed_lost_or_pending(world: World) -> None:
    found = judge_group({"t"}, world.events, world.writes)
    seen = {record for event in world.events if isinstance(event, Processed) for record in event.records}
    own = {record for record, (origin, _, _) in world.places.items() if origin.topic == "t"}
    assert len(own & seen) + found.lost_records + found.pending == len(own)


@given(worlds(), st.integers(0, 99), st.none() | st.integers(0, 99))
def test_an_outage_is_no_shorter_than_any_silence(world: World, now_ms: int, ended_ms: int | None) -> None:
    writes = world.writes
    writes.ended_ms = ended_ms
    times = sorted(at_ms for _, _, at_ms in world.places.values())
    outage = write_outage(writes, now_ms)
    if not times:
        assert outage is None
        return
    end_ms = max(times[-1], now_ms if ended_ms is None else ended_ms)
    moments = [*times, end_ms]
    assert outage is not None
    assert outage.seconds * 1000 == max(after - before for before, after in pairwise(moments))
    assert outage.ended == (outage.from_ms != times[-1] or outage.until_ms != end_ms)
