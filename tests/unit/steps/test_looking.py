"""Health right before the change, and what is shown, compared and stored after it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drkit.domain.failback_steps import Places
from drkit.domain.health import Degraded, Finding, Healthy, Problem, RegionHealth, Role, Unreachable, Verdict
from drkit.domain.kafka import TopicPartition
from drkit.engine.step import Mode, RunContext
from drkit.errors import ExitCode, RefusedError
from drkit.ports import PreconditionFailed
from drkit.steps.check_health import CheckHealth
from drkit.steps.cut import RecordCut
from drkit.steps.plan_failback import PlanFailback
from drkit.steps.verify import VerificationMissedError, Verify
from drkit.verification.failback import FailbackSettings
from drkit.verification.sides import CompareSettings
from tests.fakes.service import ORDERS, RUN_ID, SOURCE, TARGET, FakeService

GONE = Unreachable((Finding(Problem.NO_ANSWER, "no answer"),))
UNFIT = Degraded((Finding(Problem.LEADERLESS, "a partition has no leader"),))
GROUP = "billing"


def _health(source: Verdict, target: Verdict, *, source_is_gone: bool = False) -> CheckHealth:
    def samples(roles: Mapping[str, Role]) -> Mapping[str, RegionHealth]:
        assert roles == {SOURCE: Role.PRIMARY, TARGET: Role.STANDBY}
        return {r: RegionHealth(r, roles[r], v, ()) for r, v in ((SOURCE, source), (TARGET, target))}

    return CheckHealth(samples, source_is_gone=source_is_gone)


@pytest.mark.parametrize(
    ("mode", "source", "target", "refusal"),
    [
        (Mode.PLANNED, Healthy(), Healthy(), None),
        (Mode.PLANNED, GONE, Healthy(), "drains a source that answers"),
        (Mode.PLANNED, Healthy(), UNFIT, "a partition has no leader"),
        (Mode.DISASTER, GONE, Healthy(), None),
        (Mode.DISASTER, Healthy(), Healthy(), "would lose what planned mode carries over"),
        (Mode.DISASTER, GONE, GONE, "the target is unreachable"),
    ],
)
def test_the_mode_of_the_plan_must_still_apply(
    service: FakeService, mode: Mode, source: Verdict, target: Verdict, refusal: str | None
) -> None:
    step, context = _health(source, target), service.context(mode)
    if refusal is None:
        evidence = step.confirm(context)
        assert {region: found["role"] for region, found in evidence.items()} == {SOURCE: "primary", TARGET: "standby"}
        return
    with pytest.raises(RefusedError, match=refusal):
        step.confirm(context)


def test_an_open_standby_is_refused_unless_this_run_has_opened_it(service: FakeService) -> None:
    """Refused where the run begins; a resumed run may have opened it itself."""
    still_open = Finding(Problem.STANDBY_OPEN, "the standby accepts writes")
    with pytest.raises(RefusedError, match="accepts writes"):
        _health(Healthy(), Degraded((still_open,))).confirm(service.context())
    resumed = service.context(snapshot={"key": "snapshots/1"})
    _health(Healthy(), Degraded((still_open,))).confirm(resumed)
    with pytest.raises(RefusedError, match="no leader"):
        _health(Healthy(), Degraded((still_open, *UNFIT.findings))).confirm(resumed)


def test_a_source_that_was_declared_gone_stays_so_for_the_run(service: FakeService) -> None:
    step = _health(Healthy(), Healthy(), source_is_gone=True)
    assert step.confirm(service.context(Mode.DISASTER))[SOURCE]["verdict"] == "healthy"


@pytest.fixture
def moved(service: FakeService) -> RunContext:
    """After a planned move: five records and a group on both sides."""
    partition = service.topic()
    service.write(partition, 5)
    service.carry(partition)
    service.target.cluster.commit(GROUP, {partition: 3})
    context = service.context(drain_mirror={"source_end": {ORDERS: {"0": 5}}})
    step = RecordCut(service.world, TARGET, service.mirror, service.record, service.names, service.loss)
    step.apply(context, step.observe(context))
    return service.context(
        cut=step.confirm(context),
        translate_offsets={"committed": {GROUP: {ORDERS: {"0": 3}}}},
        fence_producers={"fenced": True},
    )


def _verify(service: FakeService) -> Verify:
    settings = CompareSettings(service.world.topics, service.settings.canary_topic)
    regions = service.world.regions
    return Verify(service.world, regions[SOURCE], regions[TARGET], service.record, settings)


def test_two_sides_that_are_the_same_are_verified(service: FakeService, moved: RunContext) -> None:
    step = _verify(service)
    evidence = step.confirm(moved)
    assert {check["outcome"] for check in evidence["checks"]} <= {"ok", "not_checked"}
    assert "checks ok" in step.summarize(evidence)


def test_a_difference_is_named_and_every_check_is_kept(service: FakeService, moved: RunContext) -> None:
    service.target.cluster.logs[TopicPartition(ORDERS, 0)].punch(4)
    with pytest.raises(VerificationMissedError) as caught:
        _verify(service).confirm(moved)
    assert caught.value.exit_code is ExitCode.VERIFICATION
    assert RUN_ID in caught.value.hint
    assert "difference" in {check["outcome"] for check in caught.value.evidence["checks"]}


def test_a_group_that_is_no_longer_where_it_was_put_is_a_difference(service: FakeService, moved: RunContext) -> None:
    service.target.cluster.commit(GROUP, {TopicPartition(ORDERS, 0): 1})
    with pytest.raises(VerificationMissedError, match="group-positions: 1 difference"):
        _verify(service).confirm(moved)


def _plan_failback(service: FakeService) -> PlanFailback:
    places = Places("127.0.0.1:9092", "http://there:8083", "http://here:8083")
    reverse = type(service.flow)("shop", "staging", TARGET, SOURCE)
    return PlanFailback(service.world, SOURCE, service.record, FailbackSettings(reverse, places, separate_logs=False))


def test_the_way_back_is_stored_once_in_both_forms(service: FakeService, moved: RunContext) -> None:
    step = _plan_failback(service)
    step.observe(moved)
    assert not step.is_satisfied(moved, None)
    step.apply(moved, None)
    evidence = step.confirm(moved)
    assert evidence["keys"] == [f"failback/{RUN_ID}.json", f"failback/{RUN_ID}.md"]
    assert evidence["orphans"] == {"records": 0, "certainty": "exact"}
    assert all(service.store.objects[key] for key in evidence["keys"])
    again = _plan_failback(service)
    again.observe(moved)
    assert again.is_satisfied(moved, None)


def test_a_plan_that_is_half_stored_is_completed(service: FakeService, moved: RunContext) -> None:
    service.store.objects[f"failback/{RUN_ID}.json"] = b"{}"
    step = _plan_failback(service)
    step.observe(moved)
    assert not step.is_satisfied(moved, None)
    step.apply(moved, None)
    assert service.store.objects[f"failback/{RUN_ID}.json"] == b"{}"
    assert step.is_satisfied(moved, None)
    with pytest.raises(PreconditionFailed):
        service.store.create(f"failback/{RUN_ID}.md", b"")


def test_without_the_runs_cut_there_is_no_plan(service: FakeService) -> None:
    with pytest.raises(RefusedError, match="does not hold this run's cut"):
        _plan_failback(service).observe(service.context())
