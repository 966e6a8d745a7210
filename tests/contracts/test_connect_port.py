"""What every Kafka Connect cluster does: the fake, and a worker of the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import ConnectorState, ConnectorStatus
from tests.contracts.connect_bench import ConnectBench
from tests.waiting import PATIENCE_SECONDS, eventually

RUNNING, STOPPED, FAILED, ABSENT = (
    ConnectorState.RUNNING,
    ConnectorState.STOPPED,
    ConnectorState.FAILED,
    ConnectorState.ABSENT,
)


def _until(bench: ConnectBench, name: str, condition: Callable[[ConnectorStatus], bool], because: str) -> None:
    eventually(lambda: condition(bench.connect.status(name)), timeout_seconds=PATIENCE_SECONDS, because=because)


def _until_mirrored(bench: ConnectBench, name: str, partition: TopicPartition, last: int) -> None:
    eventually(
        lambda: bench.connect.source_offsets(name) == {partition: last},
        timeout_seconds=PATIENCE_SECONDS,
        because="it mirrors",
    )


def _refused(call: Callable[[], object]) -> None:
    with pytest.raises(RefusedError) as caught:
        call()
    assert not isinstance(caught.value, UnreachableError)


def test_it_names_the_kafka_cluster_that_it_writes_to(connect: ConnectBench) -> None:
    assert connect.connect.cluster_id() == connect.cluster_id


def test_a_connector_that_does_not_exist_is_absent(connect: ConnectBench) -> None:
    for name in (connect.name(), f"{connect.name()} ?#&雪"):
        status = connect.connect.status(name)
        assert status == ConnectorStatus(name, ABSENT)
        assert status.is_stopped
        assert connect.connect.config(name) == {}
        assert connect.connect.source_offsets(name) == {}
        assert name not in connect.connect.connectors()


def test_what_does_not_exist_cannot_be_changed(connect: ConnectBench) -> None:
    name = connect.name()
    _refused(lambda: connect.connect.stop(name))
    _refused(lambda: connect.connect.resume(name))
    _refused(lambda: connect.connect.restart_failed(name))
    _refused(lambda: connect.connect.set_source_offsets(name, "there", {TopicPartition("orders", 0): 1}))
    assert connect.connect.status(name).state is ABSENT


def test_what_is_no_connector_is_refused(connect: ConnectBench) -> None:
    name = connect.name()
    _refused(lambda: connect.connect.put(name, {"tasks.max": "1"}))
    config, _ = connect.mirror(name)
    _refused(lambda: connect.connect.put(f"{name}\x1b[31m\n", {**config, "name": f"{name}\x1b[31m\n"}))
    assert name not in connect.connect.connectors()


def test_a_connector_is_made_stopped_and_given_its_offsets(connect: ConnectBench) -> None:
    name = connect.name()
    config, partition = connect.mirror(name)
    other = TopicPartition(partition.topic, 7)
    connect.connect.put(name, config, stopped=True)
    _until(connect, name, lambda status: status == ConnectorStatus(name, STOPPED), "it was made so")
    assert connect.connect.connectors()[name].is_stopped
    assert dict(connect.connect.config(name)) == {**config, "name": name}
    alias = config.get("source.cluster.alias", "there")
    connect.connect.set_source_offsets(name, alias, {partition: 41, other: 0})
    assert connect.connect.source_offsets(name) == {partition: 41, other: 0}
    connect.connect.set_source_offsets(name, alias, {partition: 5})
    assert connect.connect.source_offsets(name) == {partition: 5, other: 0}
    told = [(one["partition"], one["offset"]) for one in connect.connect.connector_offsets(name)]
    assert [(where["topic"], where["partition"], at["offset"]) for where, at in told] == [(*partition, 5), (*other, 0)]
    assert connect.connect.connector_offsets(connect.name()) == ()
    # A configuration that is put again leaves the state as it is.
    connect.connect.put(name, {**config, "tasks.max": "2"})
    assert connect.connect.config(name)["tasks.max"] == "2"
    _until(connect, name, lambda status: status.is_stopped, "it was stopped before")
    assert connect.connect.source_offsets(name) == {partition: 5, other: 0}


def test_a_mirror_runs_stops_and_goes_on_where_it_was_put(connect: ConnectBench) -> None:
    """Its offset is that of the last record it carried over."""
    name = connect.name()
    config, partition = connect.mirror(name)
    connect.write_upstream(name, partition, [b"0", b"1", b"2"])
    connect.connect.put(name, config)
    _until(connect, name, lambda status: (status.state, status.task_states) == (RUNNING, (RUNNING,)), "it starts")
    _until_mirrored(connect, name, partition, 2)
    _refused(lambda: connect.connect.set_source_offsets(name, config.get("source.cluster.alias", ""), {partition: 0}))
    connect.connect.stop(name)
    _until(connect, name, lambda status: status.is_stopped, "it was stopped")
    connect.connect.stop(name)
    connect.write_upstream(name, partition, [b"3"])
    assert connect.connect.source_offsets(name) == {partition: 2}
    connect.connect.set_source_offsets(name, config.get("source.cluster.alias", ""), {partition: 0})
    assert connect.connect.source_offsets(name) == {partition: 0}
    connect.connect.resume(name)
    _until_mirrored(connect, name, partition, 3)
    _until(connect, name, lambda status: (status.state, status.task_states) == (RUNNING, (RUNNING,)), "it was resumed")
    connect.connect.restart_failed(name)
    assert connect.connect.status(name).state is RUNNING


def test_one_that_cannot_start_has_failed_and_says_why_in_a_line(connect: ConnectBench) -> None:
    name = connect.name()
    connect.connect.put(name, connect.broken(name))
    _until(connect, name, lambda status: status.state is FAILED, "it cannot start")
    status = connect.connect.status(name)
    assert status.trace
    assert "\n" not in status.trace
    assert status.task_states == ()
    assert not status.is_stopped
    connect.connect.restart_failed(name)
    _until(connect, name, lambda status: status.state is FAILED, "it still cannot start")
    connect.connect.stop(name)
    _until(connect, name, lambda status: status.is_stopped, "also what has failed can be stopped")


def test_a_worker_that_has_just_begun_has_no_absent_connectors(connect: ConnectBench) -> None:
    """It answers before it has read what its cluster holds."""
    name = connect.name()
    config, partition = connect.mirror(name)
    connect.connect.put(name, config, stopped=True)
    connect.connect.set_source_offsets(name, config.get("source.cluster.alias", "there"), {partition: 41})
    looks: Sequence[tuple[Callable[[], object], object]] = (
        (lambda: connect.connect.status(name).state, STOPPED),
        (lambda: dict(connect.connect.config(name)), {**config, "name": name}),
        (lambda: connect.connect.source_offsets(name), {partition: 41}),
        (lambda: name in connect.connect.connectors(), True),
    )
    unanswered = 0
    with connect.killed_and_started() as starts:
        while starts():
            for look, expected in looks:
                try:
                    assert look() == expected
                except UnreachableError:
                    unanswered += 1
    assert unanswered > 0
    for look, expected in looks:
        assert look() == expected
