"""Positions of many groups: each result is looked at, and a failure of one keeps no other from being written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Barrier
from typing import cast

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.errors import RefusedError, StoppedError
from drkit.ports import KafkaWriter, PartitionFailure
from drkit.steps.group_offsets import commit_groups

P, Q = TopicPartition("orders", 0), TopicPartition("orders", 1)


class Writer:
    """Takes commits; ``refused`` groups raise, ``partly`` written ones lack their second partition."""

    def __init__(self, *, refused: str = "", partly: str = "", together: int = 1) -> None:
        self.written: dict[str, Mapping[TopicPartition, int]] = {}
        self._refused, self._partly = refused, partly
        self._barrier = Barrier(together)

    def alter_group_offsets(self, group: str, offsets: Mapping[TopicPartition, int]) -> Sequence[PartitionFailure]:
        self._barrier.wait(timeout=10)
        if group == self._refused:
            raise RefusedError(f"group {group} has members", hint="stop its consumers there")
        self.written[group] = offsets
        return [PartitionFailure(Q, "UNKNOWN_TOPIC_OR_PARTITION")] if group == self._partly else []


def port(writer: Writer) -> KafkaWriter:
    return cast(KafkaWriter, writer)


def test_every_group_is_written_with_requests_in_flight_together() -> None:
    writer = Writer(together=3)
    wanted = {name: {P: 1} for name in ("a", "b", "c")}
    commit_groups(port(writer), wanted)
    assert writer.written == wanted


def test_a_refused_group_is_named_and_the_others_are_written() -> None:
    writer = Writer(refused="b")
    with pytest.raises(StoppedError, match="1 of 3 groups were not written in full: b: group b has members") as caught:
        commit_groups(port(writer), {name: {P: 1} for name in ("a", "b", "c")})
    assert caught.value.hint == "stop its consumers there"
    assert writer.written.keys() == {"a", "c"}


def test_a_partition_that_was_not_written_is_named() -> None:
    with pytest.raises(StoppedError, match=r"b on orders-1: UNKNOWN_TOPIC_OR_PARTITION") as caught:
        commit_groups(port(Writer(partly="b")), {"a": {P: 1}, "b": {P: 1, Q: 2}})
    assert "running again writes the rest" in caught.value.hint


def test_nothing_is_asked_for_no_groups() -> None:
    commit_groups(port(Writer(together=99)), {})
