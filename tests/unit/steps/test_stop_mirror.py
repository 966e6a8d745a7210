"""The mirror is asked to stop, is proved to have stopped, and runs again when the run is undone."""

from __future__ import annotations

import pytest

from drkit.engine.step import Mode, NotYetError
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import ConnectorState
from drkit.steps.stop_mirror import MirrorStopped, StopMirror
from tests.fakes.scripted import Fault
from tests.fakes.service import FakeService


def _states(service: FakeService) -> set[ConnectorState]:
    return {service.connect.states.get(name, ConnectorState.ABSENT) for name in service.mirror.connectors}


def _stop(service: FakeService) -> None:
    step, context = StopMirror(service.world, service.mirror), service.context()
    step.apply(context, step.observe(context))


def _stops(service: FakeService) -> list[str]:
    return sorted(name for call, name in service.connect.calls if call == "stop")


def test_every_connector_is_asked_once(service: FakeService) -> None:
    step, context = StopMirror(service.world, service.mirror), service.context()
    assert not step.is_satisfied(context, step.observe(context))
    _stop(service)
    assert _states(service) == {ConnectorState.STOPPED}
    assert step.is_satisfied(context, step.observe(context))
    assert _stops(service) == sorted(service.mirror.connectors)
    assert step.confirm(context) == {"asked": list(service.mirror.connectors)}


def test_only_what_still_runs_is_asked(service: FakeService) -> None:
    first, second, third = service.mirror.connectors
    service.connect.stop(first)
    del service.connect.configs[second], service.connect.states[second]
    service.connect.calls.clear()
    _stop(service)
    assert _stops(service) == [third]


def test_a_worker_that_answers_late_is_asked_again_until_the_time_is_up(service: FakeService) -> None:
    service.connect.on_next("stop", Fault.NOT_ARRIVED, Fault.LOST_ANSWER)
    _stop(service)
    assert _states(service) == {ConnectorState.STOPPED}
    service.connect.resume(service.mirror.source_connector)
    service.connect.on_next("stop", *[Fault.NOT_ARRIVED] * 10_000)
    with pytest.raises(UnreachableError):
        _stop(service)
    assert service.clock.monotonic() - 1000 >= service.settings.timeouts.mirror_stop_seconds


def test_what_kafka_connect_refuses_is_not_asked_again(service: FakeService) -> None:
    def refuse() -> None:
        raise RefusedError("no")

    service.connect.on_next("stop", refuse)
    with pytest.raises(RefusedError, match="no"):
        _stop(service)
    assert len(_stops(service)) == len(service.mirror.connectors)


def test_undoing_starts_every_connector_that_exists(service: FakeService) -> None:
    """Also one whose status is still that of before the stop."""
    _stop(service)
    source, checkpoint, heartbeat = service.mirror.connectors
    del service.connect.configs[heartbeat], service.connect.states[heartbeat]
    service.connect.states[source] = ConnectorState.RUNNING
    found = StopMirror(service.world, service.mirror).compensate(service.context())
    assert found == {"resumed": [source, checkpoint]}
    assert service.connect.states == {source: ConnectorState.RUNNING, checkpoint: ConnectorState.RUNNING}
    assert ("resume", source) in service.connect.calls


def test_undoing_leaves_a_connector_stopped_that_was_stopped_before(service: FakeService) -> None:
    heartbeat = service.mirror.other_connectors[-1]
    service.connect.stop(heartbeat)
    for _ in range(2):
        _stop(service)
    found = StopMirror(service.world, service.mirror).compensate(service.context())
    assert found == {"resumed": [name for name in service.mirror.connectors if name != heartbeat]}
    assert service.connect.status(heartbeat).is_stopped


def test_a_mirror_that_is_not_on_this_worker_has_not_stopped(service: FakeService) -> None:
    """A wrong connect.url, another Connect group, or a dedicated MM2."""
    service.connect.configs.clear()
    service.connect.states.clear()
    step, context = StopMirror(service.world, service.mirror), service.context(Mode.DISASTER)
    observation = step.observe(context)
    assert not step.is_satisfied(context, observation)
    with pytest.raises(RefusedError, match=r"the mirror may run somewhere else") as caught:
        step.apply(context, observation)
    assert "connect.url" in caught.value.hint
    with pytest.raises(RefusedError, match=r"the mirror may run somewhere else") as caught:
        step.check(context)
    assert "--mirror-is-gone" in caught.value.hint
    # A planned move's mirror is seen at work before anything is done.
    step.check(service.context())


def test_a_mirror_that_the_operator_says_is_gone_needs_no_stopping(service: FakeService) -> None:
    service.connect.configs.clear()
    service.connect.states.clear()
    step, context = StopMirror(service.world, service.mirror, is_gone=True), service.context(Mode.DISASTER)
    step.check(context)
    assert step.is_satisfied(context, step.observe(context))


def test_a_mirror_that_is_there_is_stopped_whatever_the_operator_says(service: FakeService) -> None:
    step, context = StopMirror(service.world, service.mirror, is_gone=True), service.context(Mode.DISASTER)
    assert not step.is_satisfied(context, step.observe(context))
    step.apply(context, step.observe(context))
    assert _states(service) == {ConnectorState.STOPPED}


def test_a_task_that_still_runs_has_not_stopped(service: FakeService) -> None:
    step, context = MirrorStopped(service.world, service.mirror), service.context()
    service.connect.slow_tasks = {service.mirror.source_connector}
    _stop(service)
    assert not step.is_satisfied(context, step.observe(context))
    with pytest.raises(NotYetError, match="could still write to tokyo"):
        step.apply(context, step.observe(context))
    assert service.clock.monotonic() - 1000 >= service.settings.timeouts.mirror_stop_seconds
    service.while_waiting(service.connect.slow_tasks.clear)
    step.apply(context, {})
    assert step.is_satisfied(context, step.observe(context))
    assert set(step.confirm(context)["connectors"].values()) == {"stopped"}


def test_a_worker_that_is_silent_while_its_tasks_end_is_waited_for(service: FakeService) -> None:
    _stop(service)
    service.connect.on_next("status", Fault.NOT_ARRIVED, Fault.NOT_ARRIVED)
    MirrorStopped(service.world, service.mirror).apply(service.context(), {})
    assert service.clock.monotonic() > 1000
