"""The planner: what it refuses, with which reason, and which flag takes the risk. Nothing is ever written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from drkit.domain.health import (
    Degraded,
    Finding,
    Healthy,
    Problem,
    RegionHealth,
    Role,
    Unknown,
    Unreachable,
    Verdict,
)
from drkit.domain.kafka import TopicPartition
from drkit.domain.lag import Amount, AtMost, Estimated, Exactly, MirrorLag, NotKnown, PartitionLag
from drkit.domain.lineage import Epoch, EpochState
from drkit.domain.mode import FailoverMode
from drkit.engine.step import Procedure
from drkit.errors import RefusedError, UnreachableError, UsageError
from drkit.procedures.plan import Plan, Planner, PositionsForecast, Request
from drkit.steps.redirect import Redirect
from tests.fakes.service import SOURCE, TARGET, FakeService
from tests.unit.config.sample import changed, settings

NO_ANSWER = (Finding(Problem.NO_ANSWER, "no answer in 3 samples"),)
LOST = "the mirror lags"


@dataclass
class Readings:
    """``Survey`` that says what it is told."""

    source: Verdict = field(default_factory=Healthy)
    target: Verdict = field(default_factory=Healthy)
    lost: Amount = field(default_factory=lambda: Exactly(0))
    lost_seconds: float | None = 0.0
    is_mirrored: bool = True
    replay: Amount = field(default_factory=lambda: Exactly(0))
    notes: tuple[str, ...] = ()
    unplaced: str = ""
    asked: list[tuple[str, FailoverMode]] = field(default_factory=list)

    def health(self, roles: Mapping[str, Role]) -> Mapping[str, RegionHealth]:
        assert roles == {SOURCE: Role.PRIMARY, TARGET: Role.STANDBY}
        found = {SOURCE: self.source, TARGET: self.target}
        return {region: RegionHealth(region, role, found[region], ()) for region, role in roles.items()}

    def mirror_lag(self, source: str, target: str, mode: FailoverMode) -> MirrorLag:
        self.asked.append(("mirror_lag", mode))
        lag = PartitionLag(TopicPartition("a", 0), self.lost, self.lost_seconds)
        return MirrorLag((lag,) if self.is_mirrored else ())

    def positions(self, source: str, target: str, mode: FailoverMode) -> PositionsForecast:
        self.asked.append(("positions", mode))
        return PositionsForecast({"groups": 1}, self.replay, notes=self.notes, unplaced=self.unplaced)


UNLISTED = f"share and Streams groups of {SOURCE} are not carried over, and cannot be listed without it"


class Bench:
    """A service, and plans for it."""

    def __init__(self, **objectives: float) -> None:
        document: dict[str, Any] = changed("objectives", {"rpo_records": 0, "rpo_seconds": 60, **objectives})
        self.service = FakeService(settings(document))
        self.readings = Readings()
        self.composed: list[tuple[str, FailoverMode, str, str]] = []

    def plan(self, target: str = TARGET, **request: Any) -> Plan:
        def compose(name: str, mode: FailoverMode, source: str, to: str) -> Procedure:
            self.composed.append((name, mode, source, to))
            return Procedure(name, (Redirect(self.service.world, self.service.world.redirects),), "redirect")

        planner = Planner(self.service.world, self.service.record, self.readings, compose)
        return planner.plan(Request("failover", target, **request))

    def lose_the_source(self) -> None:
        """Nothing of it answers."""
        self.service.source.is_dark = True
        self.readings.source = Unreachable(NO_ANSWER)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_groups_that_are_no_consumer_groups_are_named_and_refused_unless_accepted(bench: Bench) -> None:
    bench.service.source.cluster.foreign_groups = {"shop.staging.jobs": "share", "topology": "streams"}
    with pytest.raises(RefusedError, match=r"will not be carried over: shop\.staging\.jobs, topology") as caught:
        bench.plan()
    assert "--accept-foreign-groups" in caught.value.hint
    plan = bench.plan(accept_foreign_groups=True)
    plan.require_allowed()
    assert any("will not be carried over: shop.staging.jobs" in warning for warning in plan.warnings)
    bench.lose_the_source()
    assert bench.plan().warnings == (UNLISTED,)


@pytest.mark.parametrize(("accepted", "is_allowed"), [(None, False), (899, False), (900, True), ("unknown", True)])
def test_an_estimated_loss_is_lifted_by_what_it_may_come_to(bench: Bench, accepted: Any, *, is_allowed: bool) -> None:
    bench.lose_the_source()
    bench.readings.lost = Estimated(3, 120, 900, "at the rate seen last")
    plan = bench.plan(accept_loss=accepted)
    assert (not plan.refusals) == is_allowed
    assert plan.document["forecast"]["records_lost"]["estimate"] == 120
    assert plan.document["forecast"]["loss"]["records"]["highest"] == 900
    if not is_allowed:
        assert plan.document["flags"] == ["--accept-loss 900"]


@pytest.mark.parametrize(("names", "said"), [([], "none"), (["a\x1b", "b"], r"a\x1b, b")])
def test_groups_that_the_newest_snapshot_knows_are_named(bench: Bench, names: list[str], said: str) -> None:
    at = "2026-01-01T00:00:00+00:00"
    body = {"schema": "drkit.snapshot/1", "region": SOURCE, "taken_at": at, "foreign_groups": names}
    bench.service.store.create(f"snapshots/{SOURCE}/1.json", json.dumps(body).encode())
    bench.lose_the_source()
    assert bench.plan().warnings == (f"{UNLISTED}: there were {said} when the newest snapshot was taken, {at}",)


def test_a_mirror_that_cannot_be_drained_is_no_planned_move(bench: Bench) -> None:
    bench.readings.lost = NotKnown("a-0 ends at 5, before the last mirrored offset 1000: recreated?")
    with pytest.raises(RefusedError, match="cannot be drained: a-0 ends at 5"):
        bench.plan()


def test_a_source_that_answers_is_moved_from_as_planned_and_without_loss(bench: Bench) -> None:
    """Whatever the mirror has not carried over yet: the drain decides, not the lag of now."""
    bench.readings = Readings(lost=Exactly(70_000), lost_seconds=900)
    plan = bench.plan()
    plan.require_allowed()
    assert (plan.mode, plan.source, plan.target, tuple(plan.budgets)) == (
        FailoverMode.PLANNED,
        SOURCE,
        TARGET,
        ("redirect",),
    )
    assert bench.composed == [("failover", FailoverMode.PLANNED, SOURCE, TARGET)]
    assert bench.readings.asked == [("mirror_lag", FailoverMode.PLANNED), ("positions", FailoverMode.PLANNED)]
    document = plan.document
    assert (document["allowed"], document["refusals"], document["flags"]) == (True, [], [])
    assert document["forecast"]["records_lost"] == {"records": 0, "certainty": "exact"}
    assert document["forecast"]["records_to_mirror"] == {"records": 70_000, "certainty": "exact"}


def test_a_source_that_is_gone_is_left_behind_and_what_it_kept_is_lost(bench: Bench) -> None:
    bench.lose_the_source()
    bench.readings.lost, bench.readings.lost_seconds = Exactly(500), 3.0
    plan = bench.plan()
    assert (plan.mode, plan.document["allowed"]) == (FailoverMode.DISASTER, False)
    with pytest.raises(RefusedError, match="500 records would be lost; the objective is 0") as caught:
        plan.require_allowed()
    assert "--accept-loss 500" in caught.value.hint
    assert bench.composed == [("failover", FailoverMode.DISASTER, SOURCE, TARGET)]


@pytest.mark.parametrize(("accepted", "is_allowed"), [(None, False), (499, False), (500, True), ("unknown", True)])
def test_a_bounded_loss_is_lifted_by_its_number(bench: Bench, accepted: Any, *, is_allowed: bool) -> None:
    bench.lose_the_source()
    bench.readings.lost, bench.readings.lost_seconds = AtMost(500), 3.0
    plan = bench.plan(accept_loss=accepted)
    assert plan.document["allowed"] is is_allowed
    if is_allowed:
        plan.require_allowed()
        assert plan.document["accepted"] != []
    else:
        assert plan.document["flags"] == ["--accept-loss 500"]


@pytest.mark.parametrize(("accepted", "is_allowed"), [(None, False), (10**9, False), ("unknown", True)])
def test_an_unknown_loss_is_lifted_by_no_number(bench: Bench, accepted: Any, *, is_allowed: bool) -> None:
    bench.lose_the_source()
    bench.readings.lost = NotKnown(LOST)
    plan = bench.plan(accept_loss=accepted)
    assert plan.document["allowed"] is is_allowed
    if not is_allowed:
        assert plan.document["flags"] == ["--accept-loss unknown"]
        assert LOST in plan.refusals[0]


def test_a_service_that_was_never_mirrored_loses_it_is_not_known_what(bench: Bench) -> None:
    bench.lose_the_source()
    bench.readings.is_mirrored = False
    plan = bench.plan()
    assert plan.document["flags"] == ["--accept-loss unknown"]
    assert "nothing of the service was mirrored yet" in plan.refusals[0]


def test_few_records_that_are_old_are_above_the_objective(bench: Bench) -> None:
    bench = Bench(rpo_records=1000)
    bench.lose_the_source()
    bench.readings.lost, bench.readings.lost_seconds = Exactly(5), 61.0
    plan = bench.plan()
    assert plan.refusals == ("61.0 s of records would be lost; the objective is 60 s",)
    assert plan.document["flags"] == ["--accept-loss 5"]
    bench.readings.lost_seconds = None
    assert "age of what would be lost is unknown" in bench.plan().refusals[0]
    bench.readings.lost_seconds = 59.0
    bench.plan().require_allowed()


@pytest.mark.parametrize("is_gone", [False, True])
def test_records_that_groups_would_read_again_are_a_risk_of_their_own(bench: Bench, *, is_gone: bool) -> None:
    limit = bench.service.settings.objectives.replay_records
    if is_gone:
        bench.lose_the_source()
    bench.readings.replay = AtMost(limit + 1)
    plan = bench.plan()
    assert plan.document["flags"] == [f"--accept-replay {limit + 1}"]
    assert f"read up to {limit + 1} records again" in plan.refusals[0]
    with pytest.raises(RefusedError):
        bench.plan(accept_loss="unknown").require_allowed()
    bench.plan(accept_replay=limit + 1).require_allowed()
    bench.readings.replay = NotKnown("no checkpoint")
    assert bench.plan(accept_replay=10**9).document["flags"] == ["--accept-replay unknown"]
    bench.plan(accept_replay="unknown").require_allowed()


def test_every_risk_needs_its_own_flag(bench: Bench) -> None:
    bench.lose_the_source()
    bench.readings.lost, bench.readings.replay = NotKnown(LOST), NotKnown("no checkpoint")
    assert bench.plan().document["flags"] == ["--accept-loss unknown", "--accept-replay unknown"]
    assert bench.plan(accept_loss="unknown").document["flags"] == ["--accept-replay unknown"]


def test_what_nobody_can_place_makes_the_loss_unknown(bench: Bench) -> None:
    bench.lose_the_source()
    bench.readings.unplaced = "how far 3 partitions were mirrored"
    plan = bench.plan(accept_loss=100)
    assert plan.refusals == (
        "the number of records that would be lost is unknown: nobody can tell how far 3 partitions were mirrored",
    )
    assert plan.document["flags"] == ["--accept-loss unknown"]


def test_a_source_whose_state_is_not_known_is_refused_in_every_mode(bench: Bench) -> None:
    bench.readings.source = Unknown((Finding(Problem.CONTRADICTION, "the mirror still brings records"),))
    for mode in ("auto", "planned", "disaster"):
        with pytest.raises(RefusedError, match="whether the source is alive: the mirror still brings records"):
            bench.plan(mode=mode)
    plan = bench.plan(mode="disaster", source_is_gone=True)
    assert plan.mode is FailoverMode.DISASTER


def test_a_mode_that_contradicts_the_source_is_refused(bench: Bench) -> None:
    with pytest.raises(RefusedError, match="a disaster failover would lose") as caught:
        bench.plan(mode="disaster")
    assert "--source-is-gone" in caught.value.hint
    with pytest.raises(RefusedError, match="--source-is-gone contradicts it"):
        bench.plan(mode="planned", source_is_gone=True)
    bench.lose_the_source()
    with pytest.raises(RefusedError, match="drains a source that answers"):
        bench.plan(mode="planned")


def test_a_source_that_is_declared_gone_and_answers_is_warned_of(bench: Bench) -> None:
    plan = bench.plan(mode="disaster", source_is_gone=True)
    assert (plan.mode, plan.warnings) == (FailoverMode.DISASTER, ("the source still answers: healthy", UNLISTED))


def test_what_is_wrong_and_does_not_forbid_it_is_shown(bench: Bench) -> None:
    bench.readings.source = Degraded((Finding(Problem.UNDER_REPLICATED, "3 partitions have too few replicas"),))
    bench.readings.target = Degraded((Finding(Problem.HEARTBEAT_OLD, "the heartbeat is old"),))
    bench.readings.notes = ("groups continue from checkpoints",)
    assert bench.plan().warnings == (
        "3 partitions have too few replicas",
        "the heartbeat is old",
        "groups continue from checkpoints",
    )


@pytest.mark.parametrize(
    ("problem", "planned", "disaster"),
    [
        (Problem.LEADERLESS, False, False),
        (Problem.BELOW_MIN_ISR, False, False),
        (Problem.CANARY_FAILED, False, False),
        (Problem.MIRROR_UNREADABLE, False, False),
        (Problem.TASK_FAILED, False, True),
        (Problem.CONNECTOR_MISSING, False, True),
        (Problem.PROBE_DOWN, False, True),
        (Problem.FLAPPING, False, True),
        (Problem.STANDBY_OPEN, False, True),
    ],
)
def test_a_target_that_is_not_fit_is_refused(bench: Bench, problem: Problem, *, planned: bool, disaster: bool) -> None:
    bench.readings.target = Degraded((Finding(problem, f"found: {problem.value}"),))
    for is_gone, is_fit in ((False, planned), (True, disaster)):
        if is_gone:
            bench.lose_the_source()
        if is_fit:
            assert f"found: {problem.value}" in bench.plan().warnings
        else:
            with pytest.raises(RefusedError, match=f"cannot take over in .* mode: found: {problem.value}"):
                bench.plan()


@pytest.mark.parametrize("verdict", [Unreachable(NO_ANSWER), Unknown(NO_ANSWER)])
def test_a_target_that_does_not_answer_is_refused(bench: Bench, verdict: Verdict) -> None:
    bench.readings.target = verdict
    with pytest.raises(RefusedError, match="the target is"):
        bench.plan()
    assert bench.composed == []


@pytest.mark.parametrize("region", [SOURCE, TARGET])
def test_a_cluster_that_is_not_the_configured_one_is_refused_before_anything_is_asked(
    bench: Bench, region: str
) -> None:
    {SOURCE: bench.service.source, TARGET: bench.service.target}[region].cluster.cluster_id = "another"
    with pytest.raises(RefusedError, match=f"the cluster at {region} has id another"):
        bench.plan()
    assert bench.readings.asked == []


def test_a_silent_target_is_unreachable_even_where_its_health_was_not_asked(bench: Bench) -> None:
    bench.service.target.is_dark = True
    with pytest.raises(UnreachableError):
        bench.plan()


def test_the_direction_is_the_lineages(bench: Bench) -> None:
    with pytest.raises(RefusedError, match=f"{SOURCE} is already primary"):
        bench.plan(SOURCE)
    with pytest.raises(UsageError, match="'mars' is not a region"):
        bench.plan("mars")
    epoch = Epoch("run", SOURCE, TARGET, "planned", "2026-01-01T00:00:00+00:00", EpochState.PREPARED, {})
    bench.service.record.change(lambda lineage: lineage.with_epoch(epoch))
    assert bench.plan().source == SOURCE
    bench.service.record.change(lambda lineage: lineage.with_epoch(replace(epoch, state=EpochState.IN_FORCE)))
    with pytest.raises(RefusedError, match=f"{TARGET} is already primary"):
        bench.plan()


def test_a_step_that_knows_that_it_would_fail_refuses_the_plan(bench: Bench) -> None:
    bench.service.redirect.change_by_another("10.9.9.9")
    with pytest.raises(RefusedError, match="somebody else changed it"):
        bench.plan()


def test_planning_writes_nothing(bench: Bench) -> None:
    bench.plan()
    bench.lose_the_source()
    bench.plan()
    assert bench.service.store.objects == {}
    reads = {"describe_cluster", "observe", "get", "tail", "describe_topics", "foreign_groups", "put", "list"}
    fakes = (bench.service.source, bench.service.target, bench.service.redirect, bench.service.connect)
    assert {call for fake in fakes for call, _ in fake.calls} <= reads


def test_a_second_move_within_an_hour_needs_a_reason(bench: Bench) -> None:
    now = bench.service.clock.now()
    epoch = Epoch("r1", TARGET, SOURCE, "planned", (now - timedelta(minutes=59)).isoformat(), EpochState.IN_FORCE, {})
    bench.service.record.change(lambda stored: stored.with_epoch(epoch))
    with pytest.raises(RefusedError, match=rf"moved to {SOURCE} 59 minutes ago \(run r1\)") as caught:
        bench.plan()
    assert "--again" in caught.value.hint
    bench.plan(again="the rack in the other region burns as well").require_allowed()
    late = replace(epoch, cut_at=(now - timedelta(minutes=61)).isoformat())
    bench.service.record.change(lambda stored: stored.with_epoch(late))
    bench.plan().require_allowed()
