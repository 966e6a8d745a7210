"""A source that writes, is looked at, is mirrored and dies: what is said of the loss is true of what was lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import Estimated, NotKnown
from drkit.domain.log_samples import Counted, Horizon, LogSample, Silence, horizon, sampled, sightings_of
from drkit.domain.loss import loss_without_source
from drkit.verification import unmirrored
from drkit.verification.unmirrored import count_unmirrored
from tests.unit.verification.memory_region import MemoryRegion

P = TopicPartition("t", 0)


@dataclass
class Source:
    """One partition. Every entry of the log is a data record, or a marker that nobody reads."""

    region: MemoryRegion = field(default_factory=lambda: MemoryRegion("a"))
    now_ms: int = 1_000
    mirrored: int | None = None
    """The last offset that arrived on the other side."""
    sample: LogSample | None = None
    looked_ms: int = 0
    entries: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.region.add(P, [])

    def write(self, data: list[bool]) -> None:
        self.region.add(P, ["x" if is_data else None for is_data in data], at_ms=self.now_ms)
        self.entries += data

    def mirror(self, count: int) -> None:
        """The mirror copies so many more entries; its account is of the last data record among them."""
        begin = 0 if self.mirrored is None else self.mirrored + 1
        copied = [offset for offset in range(begin, min(begin + count, len(self.entries))) if self.entries[offset]]
        self.mirrored = copied[-1] if copied else self.mirrored

    def look(self) -> None:
        """As the watch does."""
        log = LogRange(0, len(self.entries), len(self.entries))
        sample = sampled(self.sample, self.looked_ms, P, log, self.now_ms)
        if sample is not self.sample:
            mirrored = {} if self.mirrored is None else {P: self.mirrored}
            counted = count_unmirrored(self.region, {P: log}, mirrored).get(P)
            sample = LogSample(P, log, sample.at_ms, sample.pace, counted)
        self.sample, self.looked_ms = sample, self.now_ms

    @property
    def lost(self) -> int:
        """Data records above the last one that arrived."""
        return sum(self.entries[0 if self.mirrored is None else self.mirrored + 1 :])

    def reported(self, until: Horizon) -> Estimated | NotKnown:
        assert self.sample is not None
        mirrored = {} if self.mirrored is None else {P: self.mirrored}
        seen = sightings_of({P: self.sample}, self.looked_ms, "watch")
        (lag,) = loss_without_source([P], mirrored, seen, until).partitions
        assert isinstance(lag.records, Estimated | NotKnown)
        return lag.records


entries = st.lists(st.booleans() | st.just(value=True), max_size=20)
turns = st.lists(st.tuples(entries, st.integers(0, 25), st.integers(100, 5000), st.booleans()), min_size=1, max_size=12)


def lived(history: list[tuple[list[bool], int, int, bool]]) -> Source:
    source = Source()
    for data, copied, passed_ms, is_looked_at in history:
        source.write(data)
        source.now_ms += passed_ms
        source.mirror(copied)
        if is_looked_at:
            source.look()
    source.look()
    return source


@settings(deadline=None)
@given(
    history=turns, last=entries, copied=st.integers(0, 25), passed_ms=st.integers(100, 20_000), is_seen=st.booleans()
)
def test_what_is_proved_was_lost_and_what_was_lost_is_not_more_than_was_possible(
    history: list[tuple[list[bool], int, int, bool]], last: list[bool], copied: int, passed_ms: int, *, is_seen: bool
) -> None:
    source = lived(history)
    assert source.sample is not None
    pace = source.sample.pace_at(source.looked_ms)
    # No faster than it was ever seen to write, which is what the highest figure supposes.
    room = 0 if pace is None else floor(pace.highest_per_second * passed_ms / 1000)
    source.write(last[:room] if pace is not None else last)
    died_ms = source.now_ms + passed_ms
    source.mirror(copied)
    silences = [Silence(source.now_ms + 1 + passed_ms // 2, died_ms)] if is_seen else []
    until = horizon(source.looked_ms, silences, died_ms + 7_000)
    assert until.latest_ms >= died_ms
    found = source.reported(until)
    assert found.at_least <= source.lost
    if isinstance(found, Estimated):
        assert found.at_least <= found.estimate <= found.highest
        assert source.lost <= found.highest
    else:
        assert pace is None


@settings(deadline=None)
@given(turns, st.integers(1, 25))
def test_a_source_of_records_alone_that_dies_at_the_look_has_lost_at_least_what_it_has_lost(
    history: list[tuple[list[bool], int, int, bool]], copied: int
) -> None:
    """Where there is nothing but records, and few, the least is the truth."""
    source = lived([([True] * len(data), more, passed, looked) for data, more, passed, looked in history])
    source.mirror(copied)
    found = source.reported(Horizon(source.looked_ms, source.looked_ms, is_seen=True))
    if isinstance(found, Estimated) and source.lost <= unmirrored.MOST_OFFSETS_EACH:
        assert (found.at_least, found.estimate, found.highest) == (source.lost,) * 3


@settings(deadline=None)
@given(turns, st.lists(st.integers(0, 60_000), min_size=2, max_size=5))
def test_the_longer_nobody_looked_the_more_may_be_lost(
    history: list[tuple[list[bool], int, int, bool]], later_ms: list[int]
) -> None:
    source = lived(history)
    found = [
        source.reported(Horizon(source.looked_ms + later, source.looked_ms + later, is_seen=False))
        for later in sorted(later_ms)
    ]
    estimated = [(one.estimate, one.highest) for one in found if isinstance(one, Estimated)]
    assert [one for one, _ in estimated] == sorted(one for one, _ in estimated)
    assert [one for _, one in estimated] == sorted(one for _, one in estimated)
    assert len({one.at_least for one in found}) == 1


@settings(deadline=None)
@given(turns, st.integers(1, 25))
def test_what_arrives_late_makes_no_figure_larger(
    history: list[tuple[list[bool], int, int, bool]], copied: int
) -> None:
    source = lived(history)
    until = Horizon(source.looked_ms + 500, source.looked_ms + 900, is_seen=True)
    before = source.reported(until)
    source.mirror(copied)
    after = source.reported(until)
    assert after.at_least <= before.at_least
    if isinstance(before, Estimated) and isinstance(after, Estimated):
        assert after.estimate <= before.estimate
        assert after.highest <= before.highest


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_counted_records_never_claim_more_than_there_are(begin: int, records: int, offset: int) -> None:
    counted = Counted(begin, records)
    # The worst case: all of them right from the beginning.
    there = sum(begin + number >= offset for number in range(records))
    assert counted.at_least(offset) == there
