"""Starts of tasks, from Connect's status topic, between the syncs."""

from __future__ import annotations

import json

from drkit.domain.kafka import Record, TopicPartition
from drkit.domain.task_starts import Folding, TaskStarts

STATUS = TopicPartition("connect-status", 0)


def status(offset: int, at_ms: int, state: str | None = "RUNNING", key: str = "status-task-flow-0") -> Record:
    value = None if state is None else json.dumps({"state": state, "worker_id": "w:8083", "generation": 2}).encode()
    return Record(STATUS, offset, at_ms, key.encode(), value)


def test_only_running_tasks_of_the_connector_count() -> None:
    starts = TaskStarts("flow")
    starts.take(
        [
            status(0, 1_000),
            status(1, 2_000, "UNASSIGNED"),
            status(2, 3_000, None),
            status(3, 4_000, key="status-connector-flow"),
            status(4, 5_000, key="status-task-flow-other-0"),
            status(5, 6_000),
        ]
    )
    assert starts.times_ms == [1_000, 6_000]
    assert starts.known_since_ms == -1


def test_what_nobody_can_read_may_hide_a_start() -> None:
    starts = TaskStarts("flow")
    starts.take([Record(STATUS, 0, 1_000, b"status-task-flow-0", b"\x00"), Record(STATUS, 1, 2_000, None, b"[]")])
    assert starts.times_ms == [1_000]


def test_a_compacted_topic_knows_only_what_came_after() -> None:
    starts = TaskStarts("flow")
    starts.take([status(7, 50_000), status(8, 60_000)])
    assert starts.known_since_ms == 51_000
    folding = Folding()
    for number in range(4):
        folding.add(number, number, 40_000 + 6_000 * number, starts)
    assert folding.anchors.starts_known_from == 3, "the sync at 52 s is the first that no missing start can precede"


def test_a_start_lies_between_the_syncs_around_it() -> None:
    starts = TaskStarts("flow")
    starts.take([status(0, 1_000), status(1, 25_000)])
    folding = Folding()
    for number, at_ms in enumerate((10_000, 20_000, 30_000, 40_000)):
        folding.add(10 * number, 10 * number, at_ms, starts)
    folding.finish(starts)
    assert folding.anchors.starts_known_from == 0
    assert folding.anchors.starts == [0, 2]


def test_a_start_close_to_a_sync_is_on_either_side_as_clocks_differ() -> None:
    starts = TaskStarts("flow")
    starts.take([status(0, 1_000), status(1, 20_900)])
    folding = Folding()
    for number, at_ms in enumerate((10_000, 20_000, 30_000)):
        folding.add(10 * number, 10 * number, at_ms, starts)
    assert folding.anchors.starts == [0, 1, 2]


def test_a_start_that_no_sync_followed() -> None:
    starts = TaskStarts("flow")
    starts.take([status(0, 1_000)])
    folding = Folding()
    folding.add(0, 0, 10_000, starts)
    folding.finish(starts)
    assert folding.anchors.starts == [0]
    starts.take([status(1, 15_000)])
    folding.finish(starts)
    folding.finish(starts)
    assert folding.anchors.starts == [0, 1]


def test_without_a_status_topic_no_start_is_known() -> None:
    folding = Folding()
    folding.add(0, 0, 10_000, None)
    folding.finish(None)
    assert folding.anchors.starts_known_from is None
