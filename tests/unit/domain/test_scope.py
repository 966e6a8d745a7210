"""MM2's filters: whole-name matches, excludes win, an empty list takes nothing."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import PartitionDescription, TopicDescription, TopicPartition
from drkit.domain.scope import NameFilter, partitions_in_scope


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("genai-demo.staging.order.confirmed", True),
        ("genai-demo.stagingXorder", False),
        ("x.genai-demo.staging.order", False),
        ("genai-demo.staging.drkit.canary", False),
    ],
)
def test_a_name_is_in_scope_by_its_whole_length(name: str, expected: bool) -> None:
    scope = NameFilter((r"genai-demo\.staging\..*",), (r".*\.drkit\.canary",))
    assert scope.matches(name) is expected


def test_an_alternative_inside_a_pattern_stays_inside() -> None:
    scope = NameFilter(("a|b", "c"), ("ab|cd",))
    assert scope.select(["a", "b", "c", "ab", "cd", "ac"]) == ["a", "b", "c"]


def test_no_include_takes_nothing() -> None:
    assert NameFilter(()).select(["a", ""]) == []


def test_partitions_are_sorted_by_number_not_by_text() -> None:
    topic = TopicDescription("t", "", tuple(PartitionDescription(n, 1, (1,), (1,)) for n in (10, 9, 1)))
    other = TopicDescription("u", "", (PartitionDescription(0, 1, (1,), (1,)),))
    assert partitions_in_scope([other, topic], NameFilter(("t",))) == (
        TopicPartition("t", 1),
        TopicPartition("t", 9),
        TopicPartition("t", 10),
    )
