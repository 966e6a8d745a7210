"""Groups are put on their records: all of a group or a named failure, and an undo that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar, cast

import pytest

from drkit.backup.position_log import PositionLog
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.lag import Amount, Estimated, Exactly, MirrorLag, NotKnown, amount_to_json
from drkit.domain.objectives import Accepted
from drkit.domain.offsets import Bounded, Floor
from drkit.domain.partition_tree import to_tree
from drkit.domain.positions import GroupPosition
from drkit.engine.step import Mode, RunContext
from drkit.errors import RefusedError, StalePlanError, StoppedError
from drkit.procedures.failover import Gone
from drkit.steps.source_positions import SourcePositions
from drkit.steps.translate_offsets import TranslateOffsets
from drkit.verification.mirror_evidence import CheckpointPositions
from drkit.verification.positions import Translator
from tests.fakes.move import FIRST, mirrored_service, operator
from tests.fakes.scripted import Fault
from tests.fakes.service import ORDERS, RUN_ID, SOURCE, TARGET, FakeService

GROUP, OTHER = "billing", "shipping"
UNDO = f"undo/{RUN_ID}/offsets-{TARGET}.json"


def _step(service: FakeService, *, is_source_alive: bool = True, left: MirrorLag | None = None) -> TranslateOffsets:
    positions = SourcePositions(
        service.world,
        SOURCE,
        CheckpointPositions(service.target, service.flow),
        PositionLog(service.store, SOURCE),
        service.backup,
    )
    translator = service.translator(is_source_alive=is_source_alive)
    measured = None if left is None else lambda: left
    return TranslateOffsets(service.world, service.world.regions[TARGET], translator, positions, measured)


def _left(records: Amount) -> MirrorLag:
    """Of one partition."""
    return cast("MirrorLag", SimpleNamespace(partitions=(FIRST,), records=records, seconds=None))


@pytest.fixture
def partitions(service: FakeService) -> list[TopicPartition]:
    """Two partitions of the same ten records, whose copies have other offsets."""
    service.topic(partitions=2)
    found = [TopicPartition(ORDERS, number) for number in range(2)]
    for partition in found:
        service.target.cluster.begin(partition, b"never").abort()
        service.write(partition, 10)
        service.carry(partition)
    return found


def _context(service: FakeService, committed: dict[str, dict[TopicPartition, int]]) -> RunContext:
    ends = {p: log.end for p, log in service.source.cluster.logs.items() if p.topic == ORDERS}
    return service.context(
        fence_consumers={"committed": {group: to_tree(offsets) for group, offsets in committed.items()}},
        drain_mirror={"source_end": to_tree(ends)},
    )


def _apply(step: TranslateOffsets, context: RunContext) -> None:
    observation = step.observe(context)
    assert not step.is_satisfied(context, observation)
    step.apply(context, observation)


def test_every_group_is_put_exactly_and_read_back(service: FakeService, partitions: list[TopicPartition]) -> None:
    first, second = partitions
    context, step = _context(service, {GROUP: {first: 4, second: 10}, OTHER: {first: 0}}), _step(service)
    _apply(step, context)
    assert service.target.cluster.committed[GROUP] == {first: 6, second: 12}
    evidence = step.confirm(context)
    assert evidence["offsets"]["exact"] == evidence["offsets"]["partitions"] == 3
    assert evidence["committed"][GROUP] == {ORDERS: {"0": 6, "1": 12}}
    assert evidence["not_exact"] == []
    assert step.summarize(evidence) == "3 of 3 positions exact, 2 groups"
    again = _step(service)
    assert again.is_satisfied(context, again.observe(context))


class _Unsure(Translator):
    """Every position is bounded, or nothing is known of it."""

    at_most: ClassVar[int | None] = None

    def translate(self, committed: GroupOffsets, **_: object) -> list[GroupPosition]:
        verdict = Floor(0, "gone") if self.at_most is None else Bounded(0, self.at_most, "holes")
        return [GroupPosition(group, p, p, u, verdict) for group, ps in committed.items() for p, u in ps.items()]


class _Late(Translator):
    """The mirror began above records that groups have not read."""

    def translate(self, committed: GroupOffsets, **_: object) -> list[GroupPosition]:
        verdict = Bounded(0, 0, "holes")
        return [
            GroupPosition(group, p, p, u, verdict, never_mirrored=Exactly(7))
            for group, ps in committed.items()
            for p, u in ps.items()
        ]


@pytest.mark.parametrize(("at_most", "flag"), [(5, "--accept-replay 10"), (None, "--accept-replay unknown")])
def test_more_to_read_again_than_was_accepted_is_refused_before_anybody_is_moved(
    service: FakeService,
    partitions: list[TopicPartition],
    monkeypatch: pytest.MonkeyPatch,
    at_most: int | None,
    flag: str,
) -> None:
    """Two groups' positions, each of them unsure."""
    made = service.translator(is_source_alive=True)
    unsure = _Unsure(made.target, made.history, made.mirrored)
    monkeypatch.setattr(_Unsure, "at_most", at_most)
    monkeypatch.setattr(service, "translator", lambda **_: unsure)
    context = _context(service, {GROUP: {partitions[0]: 4}, OTHER: {partitions[1]: 4}})
    for accepted in (Accepted(), Accepted(replay=9), Accepted(loss="unknown")):
        with pytest.raises(RefusedError, match="read") as caught:
            _step(service).observe(replace(context, accepted=accepted))
        assert caught.value.hint == f"drkit resume {RUN_ID} {flag} accepts this"
    assert service.target.cluster.committed == {}
    enough = Accepted(replay="unknown" if at_most is None else 10)
    _apply(_step(service), replace(context, accepted=enough))
    assert service.target.cluster.committed.keys() == {GROUP, OTHER}


@pytest.mark.parametrize(
    ("left", "flag"),
    [
        (_left(Exactly(3)), "--accept-loss 3"),
        (_left(NotKnown("the source does not answer")), "--accept-loss unknown"),
        (MirrorLag(()), "--accept-loss unknown"),
    ],
    ids=["three", "unknown", "nothing mirrored"],
)
def test_what_a_dead_source_would_lose_is_held_against_the_objective_once_more(
    service: FakeService, partitions: list[TopicPartition], left: MirrorLag, flag: str
) -> None:
    service.checkpoint(GROUP, partitions[0], 4)
    context = service.context(Mode.DISASTER)
    for accepted in (Accepted(), Accepted(loss=2), Accepted(replay="unknown")):
        with pytest.raises(RefusedError, match="would be lost") as caught:
            _step(service, is_source_alive=False, left=left).observe(replace(context, accepted=accepted))
        assert caught.value.hint == f"drkit resume {RUN_ID} {flag} accepts this"
    _apply(_step(service, is_source_alive=False, left=left), replace(context, accepted=Accepted(loss="unknown")))
    assert service.target.cluster.committed.keys() == {GROUP}


def test_what_was_measured_at_the_cut_is_gone_by_and_does_not_grow(
    service: FakeService, partitions: list[TopicPartition]
) -> None:
    service.checkpoint(GROUP, partitions[0], 4)
    records = amount_to_json(Estimated(1, 20, 30, "at the rate seen last"))
    context = service.context(Mode.DISASTER, cut={"loss": {"records": records, "seconds": 2.0}})
    later = _left(Estimated(1, 400, 500, "at the rate seen last"))
    with pytest.raises(RefusedError, match=r"about 20 .* would be lost") as caught:
        _step(service, is_source_alive=False, left=later).observe(replace(context, accepted=Accepted(loss=29)))
    assert caught.value.hint == f"drkit resume {RUN_ID} --accept-loss 30 accepts this"
    _apply(_step(service, is_source_alive=False, left=later), replace(context, accepted=Accepted(loss=30)))
    assert service.target.cluster.committed.keys() == {GROUP}


def test_what_was_never_mirrored_is_lost_in_a_planned_run_too(
    service: FakeService, partitions: list[TopicPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups moved since the plan, or the mirror was made anew."""
    made = service.translator(is_source_alive=True)
    monkeypatch.setattr(service, "translator", lambda **_: _Late(made.target, made.history, made.mirrored))
    context = _context(service, {GROUP: {partitions[0]: 4}})
    with pytest.raises(RefusedError, match="would be lost") as caught:
        _step(service).observe(replace(context, accepted=Accepted(replay="unknown")))
    assert caught.value.hint == f"drkit resume {RUN_ID} --accept-loss 7 accepts this"
    _apply(_step(service), replace(context, accepted=Accepted(loss=7, replay="unknown")))


@pytest.mark.parametrize("mode", Mode)
def test_a_run_measures_what_a_dead_source_would_lose(mode: Mode) -> None:
    procedure = operator(mirrored_service())._compose("failover", mode, SOURCE, TARGET, Gone())
    (step,) = [step for step in procedure.steps if isinstance(step, TranslateOffsets)]
    assert (step._left is not None) is (mode is Mode.DISASTER)


def test_what_is_partly_there_is_completed(service: FakeService, partitions: list[TopicPartition]) -> None:
    first, second = partitions
    context, step = _context(service, {GROUP: {first: 4, second: 10}}), _step(service)
    service.target.cluster.commit(GROUP, {first: 6})
    _apply(step, context)
    assert service.target.cluster.committed[GROUP] == {first: 6, second: 12}


def test_a_group_that_is_active_on_the_target_is_refused_and_nobody_is_moved(
    service: FakeService, partitions: list[TopicPartition]
) -> None:
    service.target.cluster.join(OTHER, "worker-1")
    step, context = _step(service), _context(service, {GROUP: {partitions[0]: 4}, OTHER: {partitions[0]: 4}})
    with pytest.raises(RefusedError, match=rf"1 groups are active in {TARGET}.*{OTHER} \(first member worker-1"):
        step.observe(context)
    assert service.target.cluster.committed == {}


def test_one_that_becomes_active_meanwhile_is_named(service: FakeService, partitions: list[TopicPartition]) -> None:
    step, context = _step(service), _context(service, {GROUP: {partitions[0]: 4}})
    service.target.on_next("alter_group_offsets", lambda: service.target.cluster.join(GROUP))
    with pytest.raises(StoppedError, match=f"1 of 1 groups were not written.*{GROUP} has members"):
        _apply(step, context)
    assert service.target.cluster.committed == {}


def test_a_partition_that_was_not_written_is_named(service: FakeService, partitions: list[TopicPartition]) -> None:
    step, context = _step(service), _context(service, {GROUP: dict.fromkeys(partitions, 4), OTHER: {partitions[0]: 1}})
    service.target.on_next("alter_group_offsets", lambda: service.target.cluster.logs.pop(partitions[1]))
    with pytest.raises(StoppedError, match=f"1 of 2 groups were not written in full: {GROUP} on {ORDERS}-1: unknown"):
        _apply(step, context)
    assert service.target.cluster.committed == {GROUP: {partitions[0]: 6}, OTHER: {partitions[0]: 3}}


def test_somebody_who_commits_after_drkit_is_found(service: FakeService, partitions: list[TopicPartition]) -> None:
    step, context = _step(service), _context(service, {GROUP: {partitions[0]: 4}})
    _apply(step, context)
    service.target.cluster.commit(GROUP, {partitions[0]: 7})
    with pytest.raises(StalePlanError, match=f"group {GROUP} has another offset on {ORDERS}-0"):
        step.confirm(context)


def test_a_coordinator_that_does_not_know_of_the_commit_yet_is_not_somebody_who_commits(
    service: FakeService, partitions: list[TopicPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, context = _step(service), _context(service, {GROUP: {partitions[0]: 4}})
    _apply(step, context)
    asked: list[bool] = []

    def committed_offsets(groups: Collection[str], *, stable: bool = False) -> GroupOffsets:
        asked.append(stable)
        return {GROUP: {partitions[0]: 6 if stable else 1}}

    monkeypatch.setattr(service.target, "committed_offsets", committed_offsets)
    assert step.confirm(context)["committed"] == {GROUP: {ORDERS: {"0": 6}}}
    assert asked == [False, True]


def test_undoing_gives_back_what_each_group_had_and_nothing_more(
    service: FakeService, partitions: list[TopicPartition]
) -> None:
    first, second = partitions
    service.target.cluster.commit(GROUP, {first: 3})
    service.target.cluster.commit("untouched", {first: 1})
    before = {group: dict(offsets) for group, offsets in service.target.cluster.committed.items()}
    step = _step(service)
    context = _context(service, {GROUP: {first: 4, second: 10}, OTHER: {first: 2}})
    _apply(step, context)
    for _ in range(2):
        assert _step(service).compensate(context) == {"restored": 2}
        assert service.target.cluster.committed == before


def test_what_was_there_is_stored_before_the_first_commit_and_kept(
    service: FakeService, partitions: list[TopicPartition]
) -> None:
    service.target.cluster.commit(GROUP, {partitions[0]: 3})
    context = _context(service, {GROUP: {partitions[0]: 4}})
    service.target.on_next("alter_group_offsets", Fault.LOST_ANSWER)
    with pytest.raises(StoppedError, match="lost answer"):
        _apply(_step(service), context)
    assert service.stored(UNDO) == {GROUP: {ORDERS: {"0": 3}}}
    # The run goes on in another process: what was there first is what is given back.
    again = _step(service)
    again.apply(context, again.observe(context))
    assert service.stored(UNDO) == {GROUP: {ORDERS: {"0": 3}}}
    assert _step(service).compensate(context) == {"restored": 1}
    assert service.target.cluster.committed == {GROUP: {partitions[0]: 3}}


def test_undoing_before_anything_was_written_changes_nothing(service: FakeService) -> None:
    assert _step(service).compensate(service.context()) == {"restored": 0}


def test_undoing_names_what_it_could_not_restore_and_refuses_an_active_group(
    service: FakeService, partitions: list[TopicPartition]
) -> None:
    service.target.cluster.commit(GROUP, dict.fromkeys(partitions, 3))
    context = _context(service, {GROUP: dict.fromkeys(partitions, 4)})
    _apply(_step(service), context)
    service.target.cluster.join(GROUP)
    with pytest.raises(RefusedError, match="active"):
        _step(service).compensate(context)
    service.target.cluster.leave(GROUP)
    service.target.on_next("alter_group_offsets", lambda: service.target.cluster.logs.pop(partitions[1]))
    with pytest.raises(StoppedError, match=f"{GROUP} on {ORDERS}-1"):
        _step(service).compensate(context)


def test_without_the_source_checkpoints_decide_and_say_how_old_they_are(
    service: FakeService, partitions: list[TopicPartition]
) -> None:
    now_ms = int(service.clock.now().timestamp() * 1000)
    service.checkpoint(GROUP, partitions[0], 4, at_ms=now_ms - 9000)
    service.checkpoint(GROUP, partitions[0], 5, at_ms=now_ms - 7000)
    service.source.is_dark = True
    step, context = _step(service, is_source_alive=False), service.context(Mode.DISASTER)
    _apply(step, context)
    assert service.target.cluster.committed == {GROUP: {partitions[0]: 7}}
    assert step.confirm(context)["offsets"]["exact"] == 1
    assert [p.evidence for p in step.observe(context).positions] == ["last known 7 s ago"]


@pytest.mark.parametrize("mode", list(Mode))
def test_what_is_read_ahead_changes_nothing(service: FakeService, partitions: list[TopicPartition], mode: Mode) -> None:
    service.source.cluster.commit(GROUP, {partitions[0]: 4})
    service.checkpoint(GROUP, partitions[0], 4)
    step = _step(service, is_source_alive=mode is Mode.PLANNED)
    service.source.is_dark = mode is Mode.DISASTER
    step.prepare(service.context(mode))
    assert service.target.cluster.committed == {}


def test_a_resumed_run_reads_ahead_without_asking_the_source_for_positions(
    service: FakeService, partitions: list[TopicPartition]
) -> None:
    step = _step(service)
    service.source.on_next("committed_offsets", Fault.NOT_ARRIVED)
    step.prepare(_context(service, {GROUP: {partitions[0]: 4}}))
