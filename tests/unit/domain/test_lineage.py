"""The lineage: which region is primary, and what a stored lineage may look like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.kafka import TopicPartition
from drkit.domain.lineage import Epoch, EpochState, Lineage, PartitionCut, dump, parse
from drkit.errors import RefusedError


def epoch(run_id: str, target: str, state: EpochState = EpochState.IN_FORCE) -> Epoch:
    cut = {TopicPartition("t", 0): PartitionCut(source_end=10, source_last=9, target_end=12)}
    return Epoch(run_id, "a", target, "planned", "2026-01-01T00:00:00+00:00", state, cut)


def test_the_initial_region_is_primary_before_any_change() -> None:
    assert Lineage().primary("taipei") == "taipei"


@pytest.mark.parametrize("state", [EpochState.PREPARED, EpochState.WITHDRAWN])
def test_only_an_epoch_in_force_changes_the_primary(state: EpochState) -> None:
    assert Lineage((epoch("r1", "tokyo", state),)).primary("taipei") == "taipei"
    assert Lineage((epoch("r1", "tokyo"), epoch("r2", "taipei", state))).primary("taipei") == "tokyo"


def test_the_last_epoch_in_force_decides() -> None:
    assert Lineage((epoch("r1", "tokyo"), epoch("r2", "taipei"))).primary("other") == "taipei"


def test_a_run_has_one_epoch() -> None:
    lineage = Lineage().with_epoch(epoch("r1", "b", EpochState.PREPARED)).with_epoch(epoch("r1", "c"))
    assert lineage.epochs == (epoch("r1", "c"),)


def test_a_state_is_changed_for_its_own_run_only() -> None:
    lineage = Lineage((epoch("r1", "b"), epoch("r2", "c", EpochState.PREPARED)))
    changed = lineage.with_state("r2", EpochState.WITHDRAWN)
    assert [e.state for e in changed.epochs] == [EpochState.IN_FORCE, EpochState.WITHDRAWN]


partitions = st.builds(TopicPartition, st.text(min_size=1, max_size=10), st.integers(0, 99))
cuts = st.dictionaries(
    partitions,
    st.builds(PartitionCut, st.none() | st.integers(0), st.none() | st.integers(0), st.integers(0)),
    max_size=5,
)
epochs = st.builds(Epoch, st.text(), st.text(), st.text(), st.text(), st.text(), st.sampled_from(EpochState), cuts)


@given(st.lists(epochs, max_size=4))
def test_what_is_stored_is_what_is_read(stored: list[Epoch]) -> None:
    lineage = Lineage(tuple(stored))
    assert parse(dump(lineage)) == lineage


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"schema": "drkit.lineage/1"}', b"\xff", dump(Lineage((epoch("r", "b"),)))[:-20]],
    ids=["empty", "list", "no schema", "no epochs", "not text", "torn"],
)
def test_an_unreadable_lineage_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError, match="cannot be read"):
        parse(body)


def test_a_newer_lineage_names_its_schema() -> None:
    with pytest.raises(RefusedError, match=r"drkit\.lineage/9"):
        parse(json.dumps({"schema": "drkit.lineage/9", "epochs": []}).encode())
