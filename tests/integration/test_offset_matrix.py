"""Real Kafka, real MirrorMaker 2, every position there can be: no certificate is wrong, and nothing is lost.

Set ``DRKIT_MATRIX_TABLE`` to a file to have the table written there.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.domain.samples import SampleProvider
from drkit.sandbox import Fault, Sandbox
from tests.conftest import free_subnet
from tests.e2e.world import PRIMARY, STANDBY
from tests.integration.matrix_service import Flow, MatrixService
from tests.integration.offset_truth import Score, table

pytestmark = [pytest.mark.sandbox, pytest.mark.long, pytest.mark.timeout(420)]

_ROUNDS = 6

Scores = defaultdict[tuple[str, ...], Score]


@pytest.mark.parametrize(
    ("version", "exactly_once", "policies"),
    [
        ("4.3.1", True, ("identity", "default")),
        ("4.3.1", False, ("identity", "default")),
        ("3.9.1", True, ("identity",)),
    ],
    ids=["exactly-once", "at-least-once", "kafka-3.9.1"],
)
def test_no_position_is_wrong(tmp_path: Path, version: str, policies: tuple[str, ...], *, exactly_once: bool) -> None:
    box = Sandbox(tmp_path / "sandbox", free_subnet(), version, exactly_once=exactly_once)
    try:
        service = MatrixService(tmp_path, box, policies)
        try:
            scores = _scores(service, exactly_once=exactly_once)
        finally:
            service.close()
    finally:
        box.down()
    found = table(scores)
    _publish(f"Kafka {version}, {'exactly once' if exactly_once else 'at least once'}", found)
    for names, score in scores.items():
        assert score.wrong == [], (names, score.wrong[:5], found)
        assert score.lost == [], (names, score.lost[:5], found)
        kind, _, source = names
        if kind == "plain" or (kind == "transactional" and source != "dead"):
            assert score.verdicts["exact"] + score.verdicts["ahead"] == score.positions, found


def _scores(service: MatrixService, *, exactly_once: bool) -> Scores:
    for _ in range(_ROUNDS // 2):
        service.write()
    service.await_compacted(PRIMARY)
    service.start_mirrors()
    service.await_mirrored()
    for number in range(_ROUNDS - 1):
        service.write()
        if number == _ROUNDS // 2 and not exactly_once:
            service.kill_mirror()
    service.await_mirrored()
    # A start and a sync within a second may be either way round, by clocks: one sync is certainly behind the start.
    service.write()
    service.await_mirrored()
    service.await_compacted(STANDBY)
    service.rest()
    if not exactly_once:
        flows = service.flows.values()
        assert sum(flow.truth(p).duplicates for flow in flows for p in flow.partitions) > 0, "the kill repeated nothing"

    scores: Scores = defaultdict(Score)
    samples: dict[str, SampleProvider] = {}
    ends = {policy: flow.ends() for policy, flow in service.flows.items()}
    for policy, flow in service.flows.items():
        _judge(scores, flow, ends[policy], "alive", alive=True)
        samples[policy] = flow.samples(ends[policy])
        _judge_mm2(scores, flow, ends[policy])
    service.box.fault(Fault.KILL, PRIMARY, "broker")
    for policy, flow in service.flows.items():
        flow.stop_mirror()
        _judge(scores, flow, ends[policy], "dead", alive=False)
        _judge(scores, flow, ends[policy], "dead, watched", alive=False, samples=samples[policy])
    return scores


def _judge(
    scores: Scores,
    flow: Flow,
    ends: Mapping[TopicPartition, int],
    source: str,
    *,
    alive: bool,
    samples: SampleProvider | None = None,
) -> None:
    truths = {p: flow.truth(p) for p in flow.partitions}
    for partition, upstream, verdict in flow.translate(ends, alive=alive, samples=samples):
        kind = partition.topic.rpartition(".")[2]
        scores[kind, flow.policy, source].judge(truths[partition], str(partition), upstream, verdict)


def _judge_mm2(scores: Scores, flow: Flow, ends: Mapping[TopicPartition, int]) -> None:
    truths = {p: flow.truth(p) for p in flow.partitions}
    for (partition, upstream), downstream in flow.mm2_positions(ends).items():
        score = scores[partition.topic.rpartition(".")[2], flow.policy, "alive"]
        score.mm2_most_replayed = max(score.mm2_most_replayed, truths[partition].replayed(upstream, downstream))


def _publish(title: str, found: str) -> None:
    path = os.environ.get("DRKIT_MATRIX_TABLE")
    if path:
        with Path(path).open("a") as file:
            file.write(f"{title}\n\n{found}\n\n")
