"""Verification against a model of a mirror: random logs and markers, one fault, and what must be found of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.checks import CheckOutcome
from drkit.domain.kafka import Record, TopicPartition
from drkit.domain.lineage import PartitionCut
from drkit.domain.scope import NameFilter
from drkit.verification.compare import Comparison
from drkit.verification.sides import CompareSettings
from tests.fakes.clock import FakeClock
from tests.unit.verification.memory_region import CANARY, MemoryRegion

P = TopicPartition("shop.orders", 0)
TAIL = 8
markers = st.lists(st.integers(0, 3), min_size=25, max_size=25)
"""How many markers or aborted records follow each record."""

FAULTS = {
    "none": set(),
    "drop": {"record-counts", "digests"},
    "repeat": {"record-counts", "digests"},
    "alter": {"digests"},
    "swap": {"digests"},
    "orphan": {"old-side"},
}


def compare(records: list[str], copies: list[str], ours: list[int], theirs: list[int], *, orphan: bool) -> set[str]:
    """The names of the checks that find a difference."""
    source, target = MemoryRegion("a"), MemoryRegion("b")
    for region, values, gaps in ((source, records, ours), (target, copies, theirs)):
        for place, value in enumerate(values):
            log = region.logs.get(P)
            region.add(P, [value, *([None] * gaps[place % len(gaps)])], at_ms=-(log.end if log else 0))
    data = [entry for entry in source.logs[P].entries if isinstance(entry, Record)]
    cut = {P: PartitionCut(source.logs[P].end, data[-1].offset, target.logs[P].end)}
    if orphan:
        source.add(P, [None, "late"])
    target.add(P, ["written by the new primary"])
    settings = CompareSettings(NameFilter((r"shop\..*",)), CANARY, tail_records=TAIL)
    comparison = Comparison(source=source, target=target, writer=target, clock=FakeClock(), settings=settings)
    verification = comparison.run(cut, {})
    assert not verification.of(CheckOutcome.NOT_CHECKED)
    return {check.name for check in verification.of(CheckOutcome.DIFFERENCE)}


@pytest.mark.parametrize("fault", FAULTS)
@given(st.integers(2, 25), markers, markers, st.data())
def test_a_fault_within_the_tail_is_found_and_nothing_else(
    fault: str, size: int, ours: list[int], theirs: list[int], data: Any
) -> None:
    records = [f"record {number}" for number in range(size)]
    copies = list(records)
    place = data.draw(st.integers(max(1, size - TAIL // 2), size - 1))
    if fault == "drop":
        del copies[place]
    elif fault == "repeat":
        copies[place:place] = copies[place - 1 : place + 1]
    elif fault == "alter":
        copies[place] += " altered"
    elif fault == "swap":
        copies[place - 1], copies[place] = copies[place], copies[place - 1]
    assert compare(records, copies, ours, theirs, orphan=fault == "orphan") == FAULTS[fault]
