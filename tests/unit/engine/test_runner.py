"""The runner: every step in turn, and an end that is always on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import pytest

from drkit.domain.lifecycle import Phase
from drkit.domain.run_steps import StepOutcome
from drkit.engine.execution import BugError
from drkit.engine.interrupt import RunInterruptedError
from drkit.engine.journal import StateDarkError
from drkit.engine.step import Procedure
from drkit.errors import (
    AuthError,
    DrkitError,
    ExitCode,
    LeaseLostError,
    RefusedError,
    StalePlanError,
    StoppedError,
    UnknownOutcomeError,
    UnreachableError,
    VerificationError,
)
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.engine import LEASE_SECONDS, Operator
from tests.fakes.procedure import Look, World, procedure

EFFECTS = ("snapshot", "fence", "cut", "promote", "redirect", "record", "plan-failback")
STEPS = tuple(step.name for step in procedure(World(FakeObjectStore())).steps)


@pytest.fixture(name="world")
def _world() -> World:
    return World(FakeObjectStore())


@pytest.fixture(name="state")
def _state() -> FakeObjectStore:
    return FakeObjectStore()


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="operator")
def _operator(state: FakeObjectStore, world: World, clock: FakeClock) -> Operator:
    return Operator(state, world, clock)


def raising(error: BaseException) -> Callable[[], NoReturn]:
    """A fault that raises."""

    def raise_it() -> NoReturn:
        raise error

    return raise_it


def stop_at(step: str, operator: Operator, world: World) -> None:
    """A run that has stopped at a step, which would not fail again."""
    world.faults[step, "apply"] = raising(RefusedError("no"))
    with pytest.raises(StoppedError):
        operator.run()
    world.faults.clear()


def everything_on(world: World) -> dict[str, str]:
    """What the world is after an uninterrupted run."""
    other = World(FakeObjectStore())
    Operator(FakeObjectStore(), other, FakeClock()).run()
    return other.parts()


def events(state: FakeObjectStore) -> list[str]:
    """The kinds of all journaled events, in order."""
    keys = sorted(key for key in state.objects if key.startswith("runs/"))
    return [json.loads(state.objects[key])["event"]["kind"] for key in keys]


def test_a_run_does_every_step_and_ends_on_record(operator: Operator, world: World, state: FakeObjectStore) -> None:
    final = operator.run()

    assert final.phase is Phase.SUCCEEDED
    assert [step.outcome for step in final.steps.values()] == [StepOutcome.SUCCEEDED] * len(STEPS)
    assert world.parts() == everything_on(world)
    assert len(world.parts()) == 2 * len(EFFECTS)
    # One event for a step that reads, two for one with an effect, and the run's own first and last.
    assert len(events(state)) == 2 + 2 * len(EFFECTS) + (len(STEPS) - len(EFFECTS))
    assert operator.state() == final


def test_evidence_of_a_step_is_handed_to_the_ones_after_it(operator: Operator) -> None:
    assert operator.run().steps["cut"].evidence == {
        "value": "on after on after on after no",
        "region": "ap-northeast-1",
    }


def test_every_step_is_prepared_before_the_first_effect(operator: Operator, world: World) -> None:
    operator.run()
    first_effect = world.calls.index(("snapshot", "apply"))
    assert [name for name, method in world.calls[:first_effect] if method == "prepare"] == list(EFFECTS)


def test_the_listener_sees_outcomes_and_summaries(operator: Operator) -> None:
    operator.run()
    assert [name for name, _, _ in operator.watcher.finished] == list(STEPS)
    assert operator.watcher.finished[1] == ("snapshot", "succeeded", "on after nothing")


def test_a_broken_listener_stops_nothing(state: FakeObjectStore, world: World, clock: FakeClock) -> None:
    class Broken:
        def step_started(self, name: str) -> None:
            raise OSError("terminal gone")

        def step_finished(self, name: str, outcome: str, seconds: float, summary: str) -> None:
            raise OSError("terminal gone")

        def note(self, text: str) -> None:
            raise OSError("terminal gone")

    assert Operator(state, world, clock, listener=Broken()).run().phase is Phase.SUCCEEDED


def test_a_satisfied_step_is_not_applied_and_has_no_intent(
    operator: Operator, world: World, state: FakeObjectStore
) -> None:
    world.put("snapshot-1", "on after nothing")
    world.put("snapshot-2", "on after nothing")
    final = operator.run()
    assert world.count("snapshot", "apply") == 0
    assert final.steps["snapshot"].begun is False
    assert events(state).count("step_started") == len(EFFECTS) - 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RefusedError("no", hint="do"), RefusedError),
        (AuthError("who"), AuthError),
        (StalePlanError("moved"), StalePlanError),
        (VerificationError("differs"), RefusedError),
        (UnreachableError("silent"), UnreachableError),
    ],
)
@pytest.mark.parametrize("where", [("pin", "confirm"), ("cut", "prepare"), ("snapshot", "observe")])
def test_a_failure_before_any_effect_is_its_own_error_and_ends_the_run(
    operator: Operator, world: World, where: tuple[str, str], error: DrkitError, kind: type[DrkitError]
) -> None:
    world.faults[where] = raising(error)
    with pytest.raises(kind) as caught:
        operator.run()
    assert type(caught.value) is kind
    assert caught.value.message == error.message
    assert world.parts() == {}
    assert operator.state().phase is Phase.REFUSED


@pytest.mark.parametrize("method", ["observe", "apply", "half-way", "confirm"])
def test_a_failure_after_an_effect_stops_the_run_and_names_both_ways_on(
    operator: Operator, world: World, method: str
) -> None:
    world.faults["cut", method] = raising(AuthError("the token expired", hint="sign in again"))
    with pytest.raises(StoppedError) as caught:
        operator.run()
    run_id = operator.state().run_id
    assert caught.value.exit_code is ExitCode.STOPPED
    assert caught.value.message == "stopped at cut: the token expired"
    assert caught.value.hint == (f"sign in again; then drkit resume {run_id} goes on, drkit abort {run_id} undoes it")
    stopped = operator.state()
    assert stopped.phase is Phase.STOPPED
    assert stopped.steps["cut"].outcome is StepOutcome.FAILED

    world.faults.clear()
    assert operator.resume().phase is Phase.SUCCEEDED
    assert world.parts() == everything_on(world)


def test_behind_the_point_of_no_return_only_resume_is_named(operator: Operator, world: World) -> None:
    world.faults["record", "apply"] = raising(RefusedError("taken"))
    with pytest.raises(StoppedError) as caught:
        operator.run(undo_on_failure=True)
    assert caught.value.hint == f"drkit resume {operator.state().run_id} goes on"
    assert world.get("redirect-2") != "off"


def test_a_failed_planned_run_undoes_itself(operator: Operator, world: World) -> None:
    world.faults["promote", "half-way"] = raising(RefusedError("somebody denies it", hint="ask them"))
    with pytest.raises(RefusedError) as caught:
        operator.run(undo_on_failure=True)
    assert caught.value.message == "stopped at promote: somebody denies it; everything that had been changed was undone"
    assert caught.value.hint == "ask them"
    assert set(world.parts().values()) == {"off"}
    assert operator.state().phase is Phase.UNDONE
    undone = [name for name, method in world.calls if method == "compensate"]
    assert undone == ["promote", "cut", "fence", "snapshot"]


def test_undoing_that_fails_by_itself_names_abort_which_goes_on_there(operator: Operator, world: World) -> None:
    world.faults["promote", "half-way"] = raising(RefusedError("somebody denies it"))
    world.faults["fence", "compensate"] = raising(UnreachableError("silent", hint="wake it"))
    with pytest.raises(StoppedError) as caught:
        operator.run(undo_on_failure=True)
    run_id = operator.state().run_id
    assert "somebody denies it; then fence could not be undone: silent" in caught.value.message
    assert caught.value.hint == f"wake it; then drkit abort {run_id} goes on undoing"
    assert operator.state().phase is Phase.UNDO_STOPPED
    with pytest.raises(RefusedError, match="is being undone"):
        operator.resume()

    world.faults.clear()
    assert operator.abort().phase is Phase.UNDONE
    assert set(world.parts().values()) == {"off"}
    assert world.count("promote", "compensate") == 1


def test_an_unknown_outcome_is_on_record_and_is_not_undone(operator: Operator, world: World) -> None:
    world.faults["cut", "half-way"] = raising(UnknownOutcomeError("no answer", hint="look"))
    with pytest.raises(UnknownOutcomeError) as caught:
        operator.run(undo_on_failure=True)
    run_id = operator.state().run_id
    assert caught.value.exit_code is ExitCode.OUTCOME_UNKNOWN
    assert caught.value.hint == f"look; then drkit resume {run_id} looks again, drkit abort {run_id} undoes it"
    assert operator.state().phase is Phase.UNKNOWN
    assert world.get("cut-1") != "off"

    world.faults.clear()
    assert operator.resume().phase is Phase.SUCCEEDED


def test_a_missed_verification_lets_the_rest_be_done_and_is_the_runs_outcome(operator: Operator, world: World) -> None:
    class Missed(VerificationError):
        evidence: ClassVar = {"checks": 3}

    world.faults["verify", "confirm"] = raising(Missed("counts differ", hint="look"))
    final = operator.run()
    assert final.phase is Phase.VERIFICATION_MISSED
    assert final.steps["verify"].outcome is StepOutcome.MISSED
    assert final.steps["verify"].evidence == {"checks": 3}
    assert final.steps["plan-failback"].outcome is StepOutcome.SUCCEEDED
    assert ("verify", "missed", "counts differ") in operator.watcher.finished


def test_a_bug_is_on_record_without_its_text_and_can_be_resumed(
    operator: Operator, world: World, state: FakeObjectStore
) -> None:
    world.faults["cut", "apply"] = raising(KeyError("password=hunter2"))
    with pytest.raises(StoppedError) as caught:
        operator.run()
    assert caught.value.exit_code is ExitCode.BUG
    assert "a bug in drkit: KeyError" in caught.value.message
    assert "drkit resume" in caught.value.hint
    assert operator.state().steps["cut"].reason == "a bug in drkit: KeyError"
    assert not any(b"hunter2" in body for body in state.objects.values())

    world.faults.clear()
    assert operator.resume().phase is Phase.SUCCEEDED


def test_a_bug_before_any_effect_keeps_its_exit_code(operator: Operator, world: World) -> None:
    world.faults["pin", "confirm"] = raising(ZeroDivisionError("x"))
    with pytest.raises(BugError) as caught:
        operator.run()
    assert caught.value.exit_code is ExitCode.BUG
    assert operator.state().phase is Phase.REFUSED


def test_with_debug_a_bug_is_raised_as_itself(
    operator: Operator, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRKIT_DEBUG", "1")
    world.faults["cut", "apply"] = raising(KeyError("x"))
    with pytest.raises(KeyError) as caught:
        operator.run()
    assert "drkit resume" in caught.value.__notes__[0]
    assert operator.state().phase is Phase.STOPPED


def test_evidence_that_is_not_json_is_a_bug_of_the_step(state: FakeObjectStore, clock: FakeClock, world: World) -> None:
    class Careless(Look):
        def confirm(self, context: Any) -> dict[str, Any]:
            return {"groups": {"a", "b"}}

    def compose(world: World) -> Procedure:
        whole = procedure(world)
        return Procedure(whole.name, (Careless(world, "pin"), *whole.steps[1:]), whole.no_return_after)

    operator = Operator(state, world, clock, compose=compose)
    with pytest.raises(BugError, match="not JSON serializable"):
        operator.run()
    assert operator.state().steps["pin"].outcome is StepOutcome.FAILED


def test_evidence_with_tuples_and_broken_names_is_as_a_resumed_run_will_see_it(
    state: FakeObjectStore, clock: FakeClock, world: World
) -> None:
    class Odd(Look):
        def confirm(self, context: Any) -> dict[str, Any]:
            return {"pair": (1, 2), "name": "gr\udcffoup", "escape": "\x1b[31m"}

    def compose(world: World) -> Procedure:
        whole = procedure(world)
        return Procedure(whole.name, (Odd(world, "pin"), *whole.steps[1:]), whole.no_return_after)

    operator = Operator(state, world, clock, compose=compose)
    final = operator.run()
    assert final.steps["pin"].evidence == {"pair": [1, 2], "name": "gr?oup", "escape": "\x1b[31m"}
    assert operator.state() == final
    assert not any(b"\x1b" in body for body in state.objects.values())


class TestResume:
    def test_succeeded_steps_are_skipped_but_for_facts_that_time_wears_out(
        self, operator: Operator, world: World
    ) -> None:
        stop_at("promote", operator, world)
        before = {name: world.count(name, "observe") for name in STEPS}
        operator.resume()
        again = {name: world.count(name, "observe") - before[name] for name in STEPS}
        expected = {"pin", "fence", "drain", *STEPS[STEPS.index("promote") :]}
        assert {name for name, times in again.items() if times} == expected
        assert world.count("fence", "apply") == 1

    def test_a_worn_out_fact_is_established_again(self, operator: Operator, world: World) -> None:
        stop_at("promote", operator, world)
        world.put("fence-2", "off")
        final = operator.resume()
        assert final.phase is Phase.SUCCEEDED
        assert world.count("fence", "apply") == 2
        assert final.steps["fence"].times_started == 2
        assert final.steps["fence"].first_started_at is not None
        assert world.parts() == everything_on(world)

    @pytest.mark.parametrize(("step", "times"), [("cut", 2), ("promote", 1)])
    def test_what_cannot_be_measured_behind_a_step_is_kept_once_that_has_begun(
        self, state: FakeObjectStore, world: World, clock: FakeClock, step: str, times: int
    ) -> None:
        def compose(world: World) -> Procedure:
            whole = procedure(world)
            whole.steps[3].__dict__["measured_before"] = "promote"
            return whole

        operator = Operator(state, world, clock, compose=compose)
        stop_at(step, operator, world)
        assert operator.resume().phase is Phase.SUCCEEDED
        assert world.count("drain", "confirm") == times

    def test_behind_the_point_of_no_return_nothing_is_established_again(self, operator: Operator, world: World) -> None:
        stop_at("record", operator, world)
        world.put("fence-2", "off")
        operator.resume()
        assert world.count("fence", "apply") == 1
        assert world.count("pin", "observe") == 1

    def test_what_a_resumed_run_had_not_yet_established_again_when_it_died_is_established_by_the_next(
        self, operator: Operator, world: World
    ) -> None:
        stop_at("promote", operator, world)
        world.put("fence-2", "off")
        world.faults["fence", "half-way"] = raising(KeyboardInterrupt())
        with pytest.raises(RunInterruptedError):
            operator.resume()
        world.faults.clear()
        drained = world.count("drain", "confirm")
        assert operator.resume().phase is Phase.SUCCEEDED
        assert world.count("drain", "confirm") == drained + 1
        assert world.parts() == everything_on(world)

    @pytest.mark.parametrize(("method", "times"), [("observe", 1), ("half-way", 0), ("confirm", 0)])
    def test_once_clients_may_have_moved_nothing_is_established_again(
        self, operator: Operator, world: World, method: str, times: int
    ) -> None:
        world.faults["redirect", method] = raising(KeyboardInterrupt())
        with pytest.raises(RunInterruptedError):
            operator.run()
        world.faults.clear()
        fenced, drained = world.count("fence", "observe"), world.count("drain", "confirm")
        assert operator.resume().phase is Phase.SUCCEEDED
        assert (world.count("fence", "observe"), world.count("drain", "confirm")) == (fenced + times, drained + times)

    def test_a_worn_out_fact_that_cannot_be_established_stops_or_undoes_the_run(
        self, operator: Operator, world: World
    ) -> None:
        world.faults["promote", "apply"] = raising(KeyboardInterrupt())
        with pytest.raises(RunInterruptedError):
            operator.run(undo_on_failure=True)
        world.faults.clear()
        world.faults["pin", "confirm"] = raising(RefusedError("another cluster"))
        with pytest.raises(RefusedError, match="another cluster; everything that had been changed was undone"):
            operator.resume()
        assert set(world.parts().values()) == {"off"}

    def test_a_run_that_is_over_is_refused(self, operator: Operator, state: FakeObjectStore) -> None:
        operator.run()
        before = events(state)
        with pytest.raises(RefusedError, match="is over: succeeded"):
            operator.resume()
        with pytest.raises(RefusedError, match="is over: succeeded"):
            operator.abort()
        assert events(state) == before

    def test_other_code_is_refused(self, state: FakeObjectStore, world: World, clock: FakeClock) -> None:
        stop_at("promote", Operator(state, world, clock), world)

        def compose(world: World) -> Procedure:
            whole = procedure(world)
            whole.steps[4].__dict__["version"] = 2
            return whole

        changed = Operator(state, world, clock, compose=compose)
        before = events(state)
        with pytest.raises(StalePlanError, match="other steps"):
            changed.resume()
        with pytest.raises(StalePlanError, match="other steps"):
            changed.abort()
        assert events(state) == before
        assert Operator(state, world, clock).resume().phase is Phase.SUCCEEDED

    def test_an_abort_needs_only_the_steps_that_were_begun(
        self, state: FakeObjectStore, world: World, clock: FakeClock
    ) -> None:
        stop_at("promote", Operator(state, world, clock), world)

        def compose(world: World) -> Procedure:
            whole = procedure(world)
            whole.steps[-1].__dict__["version"] = 2
            return whole

        assert Operator(state, world, clock, compose=compose).abort().phase is Phase.UNDONE


class TestAbort:
    def test_it_undoes_in_reverse_whatever_was_begun(self, operator: Operator, world: World) -> None:
        world.faults["promote", "half-way"] = raising(RefusedError("no"))
        with pytest.raises(StoppedError):
            operator.run()
        assert operator.abort().phase is Phase.UNDONE
        assert set(world.parts().values()) == {"off"}
        with pytest.raises(RefusedError, match="is over: undone"):
            operator.resume()

    def test_behind_the_point_of_no_return_it_is_refused_and_changes_nothing(
        self, operator: Operator, world: World, state: FakeObjectStore
    ) -> None:
        world.faults["record", "apply"] = raising(RefusedError("no"))
        with pytest.raises(StoppedError):
            operator.run()
        before, parts = events(state), world.parts()
        with pytest.raises(RefusedError, match="cannot be undone") as caught:
            operator.abort()
        assert "failover" in caught.value.hint
        assert (events(state), world.parts()) == (before, parts)
        world.faults.clear()
        assert operator.resume().phase is Phase.SUCCEEDED

    def test_what_was_there_before_the_run_is_left_alone(self, operator: Operator, world: World) -> None:
        world.put("snapshot-1", "on after nothing")
        world.put("snapshot-2", "on after nothing")
        world.faults["cut", "apply"] = raising(RefusedError("no"))
        with pytest.raises(StoppedError):
            operator.run()
        operator.abort()
        assert world.count("snapshot", "compensate") == 0
        assert world.get("snapshot-1") == "on after nothing"

    def test_a_refusal_of_the_first_step_withdraws_it_and_the_run_can_go_on(
        self, operator: Operator, world: World
    ) -> None:
        world.faults["redirect", "apply"] = raising(RefusedError("no"))
        with pytest.raises(StoppedError):
            operator.run()
        world.faults.clear()
        world.faults["redirect", "compensate"] = raising(RefusedError("applications have written there"))
        with pytest.raises(RefusedError, match="redirect refuses to be undone: applications have written") as caught:
            operator.abort()
        assert f"drkit resume {operator.state().run_id} goes on" in caught.value.hint
        assert operator.state().phase is Phase.STOPPED
        assert operator.resume().phase is Phase.SUCCEEDED
        assert world.parts() == everything_on(world)

    def test_a_bug_in_a_compensation_is_on_record(self, operator: Operator, world: World) -> None:
        world.faults["promote", "apply"] = raising(RefusedError("no"))
        with pytest.raises(StoppedError):
            operator.run()
        world.faults["promote", "compensate"] = raising(IndexError("x"))
        with pytest.raises(StoppedError, match="promote could not be undone: a bug") as caught:
            operator.abort()
        assert caught.value.exit_code is ExitCode.BUG
        assert operator.state().steps["promote"].outcome is StepOutcome.UNDOING


class TestInterrupt:
    def test_after_a_signal_no_effect_begins(self, operator: Operator, world: World) -> None:
        def interrupt() -> None:
            operator.interrupt.signal_name = "SIGTERM"

        world.faults["cut", "confirm"] = interrupt
        with pytest.raises(RunInterruptedError, match="interrupted by SIGTERM") as caught:
            operator.run()
        run_id = operator.state().run_id
        assert caught.value.exit_code is ExitCode.INTERRUPTED
        assert caught.value.hint == f"drkit resume {run_id} goes on, drkit abort {run_id} undoes it"
        assert operator.state().steps["cut"].outcome is StepOutcome.SUCCEEDED
        assert operator.state().phase is Phase.INTERRUPTED
        assert world.count("promote", "observe") == 0

    def test_a_signal_between_intent_and_effect_keeps_the_effect_from_beginning(
        self, operator: Operator, world: World, state: FakeObjectStore
    ) -> None:
        def interrupt() -> None:
            operator.interrupt.signal_name = "SIGINT"

        def arrange() -> None:
            state.on_next("create", interrupt)

        world.faults["cut", "observe"] = arrange
        with pytest.raises(RunInterruptedError):
            operator.run()
        assert world.count("cut", "apply") == 0
        assert operator.state().steps["cut"].outcome is StepOutcome.STARTED
        operator.interrupt.signal_name = ""
        world.faults.clear()
        assert operator.resume().phase is Phase.SUCCEEDED

    def test_undoing_can_be_interrupted_and_goes_on(self, operator: Operator, world: World) -> None:
        def interrupt() -> None:
            operator.interrupt.signal_name = "SIGINT"

        world.faults["promote", "half-way"] = raising(RefusedError("no"))
        world.faults["cut", "compensate"] = interrupt
        with pytest.raises(RunInterruptedError, match="undoing was interrupted") as caught:
            operator.run(undo_on_failure=True)
        assert caught.value.hint == f"drkit abort {operator.state().run_id} goes on undoing"
        assert operator.state().phase is Phase.UNDO_STOPPED
        operator.interrupt.signal_name = ""
        assert operator.abort().phase is Phase.UNDONE
        assert set(world.parts().values()) == {"off"}

    def test_a_step_that_fails_after_a_signal_does_not_start_to_undo(self, operator: Operator, world: World) -> None:
        def interrupt_and_fail() -> None:
            operator.interrupt.signal_name = "SIGINT"
            raise RefusedError("no")

        world.faults["cut", "apply"] = interrupt_and_fail
        with pytest.raises(StoppedError, match="stopped at cut"):
            operator.run(undo_on_failure=True)
        operator.interrupt.signal_name = ""
        world.faults.clear()
        assert operator.resume().phase is Phase.SUCCEEDED


class TestLease:
    def test_a_process_that_lost_the_lease_before_an_effect_changes_nothing_more(
        self, operator: Operator, state: FakeObjectStore, world: World, clock: FakeClock
    ) -> None:
        other = Operator(state, world, clock, owner="bob@there pid 2 started 2")

        def freeze() -> None:
            # Frozen for so long that another process waits, takes the run over and undoes it.
            world.faults.clear()
            other.abort()

        world.faults["promote", "observe"] = freeze
        with pytest.raises(LeaseLostError, match="bob@there"):
            operator.run()
        final = operator.state()
        assert final.phase is Phase.UNDONE
        assert final.owner == "bob@there pid 2 started 2"
        assert world.count("promote", "apply") == 0

    def test_a_process_that_lost_the_lease_during_an_effect_stops_at_its_next_append(
        self, operator: Operator, state: FakeObjectStore, world: World, clock: FakeClock
    ) -> None:
        other = Operator(state, world, clock, owner="bob@there pid 2 started 2")

        def freeze() -> None:
            world.faults.clear()
            other.resume()

        world.faults["promote", "half-way"] = freeze
        with pytest.raises(LeaseLostError, match="another process has written"):
            operator.run()
        assert operator.state().phase is Phase.SUCCEEDED
        assert world.parts() == everything_on(world)

    def test_frozen_between_intent_and_effect_it_does_not_act(
        self, operator: Operator, state: FakeObjectStore, world: World, clock: FakeClock
    ) -> None:
        other = Operator(state, world, clock, owner="bob@there pid 2 started 2")

        def arrange() -> None:
            # The intent is written; then the process is frozen until another one has taken over and finished.
            original = state.create

            def create(key: str, body: bytes) -> str:
                etag = original(key, body)
                state.__dict__.pop("create")
                world.faults.clear()
                other.resume()
                return etag

            state.__dict__["create"] = create

        world.faults["promote", "observe"] = arrange
        with pytest.raises(LeaseLostError):
            operator.run()
        assert world.count("promote", "apply") == 1
        assert operator.state().phase is Phase.SUCCEEDED

    def test_a_frozen_process_that_nobody_replaced_goes_on(
        self, operator: Operator, world: World, clock: FakeClock
    ) -> None:
        world.faults["promote", "observe"] = lambda: clock.advance(10 * LEASE_SECONDS)
        assert operator.run().phase is Phase.SUCCEEDED

    def test_without_the_state_bucket_no_effect_begins(
        self, operator: Operator, state: FakeObjectStore, world: World
    ) -> None:
        def go_dark() -> None:
            state.is_dark = True

        world.faults["promote", "observe"] = go_dark
        with pytest.raises(StateDarkError) as caught:
            operator.run(undo_on_failure=True)
        assert caught.value.exit_code is ExitCode.STOPPED
        assert "drkit resume" in caught.value.hint
        assert world.count("promote", "apply") == 0
        assert world.count("fence", "compensate") == 0

        state.is_dark = False
        world.faults.clear()
        successor = Operator(state, world, operator.clock, owner="bob@there pid 2 started 2")
        assert successor.resume().phase is Phase.SUCCEEDED

    def test_evidence_that_cannot_be_journaled_leaves_a_resumable_run(
        self, operator: Operator, state: FakeObjectStore, world: World
    ) -> None:
        def go_dark() -> None:
            state.is_dark = True

        world.faults["promote", "confirm"] = go_dark
        with pytest.raises(StateDarkError):
            operator.run()
        state.is_dark = False
        world.faults.clear()
        assert operator.state().steps["promote"].outcome is StepOutcome.STARTED
        assert Operator(state, world, operator.clock).resume().phase is Phase.SUCCEEDED
        assert world.count("promote", "apply") == 1

    def test_a_bucket_that_is_dark_from_the_start_is_its_own_error(
        self, operator: Operator, state: FakeObjectStore, world: World
    ) -> None:
        state.is_dark = True
        with pytest.raises(UnreachableError):
            operator.run()
        assert world.parts() == {}
