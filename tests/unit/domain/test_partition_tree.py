"""Per-partition figures survive the way through JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.kafka import TopicPartition
from drkit.domain.partition_tree import from_tree, to_tree

partitions = st.builds(TopicPartition, st.text(max_size=8), st.integers(0, 10_000))


@given(st.dictionaries(partitions, st.integers()))
def test_a_tree_is_read_back_as_it_was(values: dict[TopicPartition, int]) -> None:
    assert from_tree(json.loads(json.dumps(to_tree(values)))) == values


def test_partitions_come_in_the_order_of_their_numbers() -> None:
    assert list(to_tree({TopicPartition("t", n): n for n in (10, 2)})["t"]) == ["2", "10"]
