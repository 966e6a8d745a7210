"""Names by the convention, and topics held against the catalogue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.topic_catalogue import (
    TopicState,
    WantedTopic,
    collisions,
    hold_against,
    name_fault,
    segment_fault,
)
from tests.unit.domain.parity_samples import topic


@pytest.mark.parametrize("segment", ["order", "order-line", "order_line", "v2", "2fa-code"])
def test_words_are_a_segment(segment: str) -> None:
    assert segment_fault(segment) == ""


@pytest.mark.parametrize(
    "segment", ["", "Order", "order.line", "-order", "order-", "order--line", "ordér", "a b", "a\n"]
)
def test_what_breaks_the_convention_is_no_segment(segment: str) -> None:
    assert "lower-case letters" in segment_fault(segment)


def test_a_name_is_as_long_as_kafka_takes_it() -> None:
    assert name_fault("a" * 249) == ""
    assert name_fault("a" * 250) == "the topic's name would have 250 characters; Kafka takes 249"


_NAMES = st.lists(st.text("ab._", min_size=1, max_size=3), max_size=6)


@given(_NAMES, _NAMES)
def test_names_collide_as_topics_do(wanted: list[str], existing: list[str]) -> None:
    """``Topic.hasCollision``: dots and underscores are the same."""
    found = list(collisions(wanted, existing))
    expected = {
        frozenset((one, other))
        for one in wanted
        for other in (*wanted, *existing)
        if one != other and one.replace(".", "_") == other.replace(".", "_")
    }
    assert {frozenset(pair) for pair in found} == expected
    assert len(found) == len(expected)


def test_every_topic_of_catalogue_and_environment_is_held_against_the_other() -> None:
    wanted = [
        WantedTopic("p.s.a", 2, 3, {"retention.ms": "9"}),
        WantedTopic("p.s.b", 2, 3),
        WantedTopic("p.s.c", 3, 2, {"retention.ms": "9", "compression.type": "snappy"}),
    ]
    there = [
        topic("p.s.a", retention_ms="9", cleanup_policy="compact"),
        topic("p.s.c", retention_ms="8"),
        topic("p.s.d"),
        topic("p.s.drkit.canary"),
        topic("other.s.a"),
    ]
    found = hold_against(wanted, {one.name: one for one in there}, "p.s.", ["p.s.drkit.canary"])
    assert [(one.name, one.state, one.differences) for one in found] == [
        ("p.s.a", TopicState.AS_WANTED, ()),
        ("p.s.b", TopicState.MISSING, ()),
        (
            "p.s.c",
            TopicState.DIFFERENT,
            (
                "2 partitions, not 3",
                "3 replicas, not 2",
                "compression.type is the broker's default, not snappy",
                "retention.ms is 8, not 9",
            ),
        ),
        ("p.s.d", TopicState.UNLISTED, ()),
    ]
