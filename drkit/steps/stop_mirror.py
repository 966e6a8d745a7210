"""Stop the mirror: nothing but applications may write to the target from here on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from drkit.engine.step import Evidence, Mode, NotYetError, RunContext, Step
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import ConnectorState, ConnectorStatus
from drkit.steps.undo_record import UndoRecord
from drkit.steps.world import Mirror, World

_POLL_SECONDS = 0.1
_AT_REST = (ConnectorState.STOPPED.value, ConnectorState.PAUSED.value, ConnectorState.ABSENT.value)
"""Connectors that did not mirror before the run, and shall not after it; a paused one stays stopped."""

States = Mapping[str, ConnectorStatus]


class StopMirror(Step[States]):
    """The connectors that write into the target are asked to stop.

    In a planned run this comes after the redirect: a mirror that is drained and whose source is fenced has nothing
    that it could write, and waiting for it would only leave applications without a primary. In disaster mode it comes
    before anything is measured.
    """

    name = "stop-mirror"
    holds_over_interruption = False

    def __init__(self, world: World, mirror: Mirror, *, is_gone: bool = False) -> None:
        self._world = world
        self._mirror = mirror
        self._is_gone = is_gone

    @property
    def budget_seconds(self) -> float:
        """``timeouts.mirror_stop_seconds``."""
        return self._world.settings.timeouts.mirror_stop_seconds

    def describe(self, context: RunContext) -> str:
        """Name the connectors."""
        return f"stop the connectors {', '.join(self._mirror.connectors)}"

    def check(self, context: RunContext) -> None:
        """Refuse a disaster move without anything to stop, unless the operator said that the mirror is gone."""
        if context.mode is Mode.DISASTER:
            source = self._mirror.source_connector
            self._require_not_elsewhere(context, {source: self._mirror.reader.status(source)})

    def observe(self, context: RunContext) -> States:
        """The connectors' states."""
        return {name: self._mirror.reader.status(name) for name in self._mirror.connectors}

    def is_satisfied(self, context: RunContext, observation: States) -> bool:
        """All stopped, or not there; a source connector that is not there may run elsewhere."""
        return not self._may_run_elsewhere(context, observation) and all(s.is_stopped for s in observation.values())

    def _may_run_elsewhere(self, context: RunContext, observation: States) -> bool:
        # In a planned move the drained mirror was seen at work, and its source is fenced.
        is_absent = observation[self._mirror.source_connector].state is ConnectorState.ABSENT
        return is_absent and context.mode is Mode.DISASTER and not self._is_gone

    def _require_not_elsewhere(self, context: RunContext, observation: States) -> None:
        if self._may_run_elsewhere(context, observation):
            raise RefusedError(
                f"Kafka Connect has no connector {self._mirror.source_connector}: the mirror may run somewhere else",
                hint=f"regions.{context.target}.connect.url must be the Kafka Connect cluster that mirrors into it; if "
                "the connector was removed, and you know that none runs anywhere, add --mirror-is-gone",
            )

    def apply(self, context: RunContext, observation: States) -> None:
        """Ask those that are not stopped, once it is stored which ones ran."""
        self._require_not_elsewhere(context, observation)
        self._before(context).add({name: status.state.value for name, status in observation.items()})
        running = [name for name, status in observation.items() if not status.is_stopped]
        # Each request takes about a second: Connect answers when its config topic has taken it.
        with ThreadPoolExecutor(max_workers=max(1, len(running)), thread_name_prefix="stop") as pool:
            list(pool.map(self._ask, running))

    def _ask(self, name: str) -> None:
        """Ask until it is taken: a worker that waits for a dead source answers late, and a repetition does no harm."""
        clock = self._world.clock
        deadline = clock.monotonic() + self.budget_seconds
        while True:
            try:
                self._mirror.writer.stop(name)
            except UnreachableError:
                if clock.monotonic() > deadline:
                    raise
                clock.sleep(_POLL_SECONDS)
            else:
                return

    def confirm(self, context: RunContext) -> Evidence:
        """That the request was taken; ``MirrorStopped`` proves the rest."""
        return {"asked": list(self._mirror.connectors)}

    def compensate(self, context: RunContext) -> Evidence:
        """Let those that ran run again: also one that still runs, for it may have been asked to stop a moment ago."""
        before = self._before(context).read() or {}
        existing = [
            name
            for name in self._mirror.connectors
            if before.get(name, ConnectorState.STOPPED.value) not in _AT_REST
            and self._mirror.reader.status(name).state is not ConnectorState.ABSENT
        ]
        for name in existing:
            self._mirror.writer.resume(name)
        return {"resumed": existing}

    def _before(self, context: RunContext) -> UndoRecord:
        return UndoRecord(self._world.store, context, f"mirror-{context.target}")


class MirrorStopped(Step[States]):
    """Every connector is STOPPED and has no task left."""

    name = "mirror-stopped"
    is_effect = False
    holds_over_interruption = False

    def __init__(self, world: World, mirror: Mirror) -> None:
        self._world = world
        self._mirror = mirror

    @property
    def budget_seconds(self) -> float:
        """``timeouts.mirror_stop_seconds``."""
        return self._world.settings.timeouts.mirror_stop_seconds

    def describe(self, context: RunContext) -> str:
        """Say what is waited for."""
        return "wait until the mirror's tasks have ended"

    def observe(self, context: RunContext) -> States:
        """The connectors' states."""
        return {name: self._mirror.reader.status(name) for name in self._mirror.connectors}

    def is_satisfied(self, context: RunContext, observation: States) -> bool:
        """All stopped."""
        return all(status.is_stopped for status in observation.values())

    def apply(self, context: RunContext, observation: States) -> None:
        """Wait."""
        clock, limit = self._world.clock, self.budget_seconds
        deadline = clock.monotonic() + limit
        while not self._has_stopped(context):
            if clock.monotonic() > deadline:
                raise NotYetError(
                    f"the mirror has not stopped within {limit:g} s: it could still write to {context.target}",
                    hint="look at the Connect worker's log; a restart of the worker ends its tasks",
                )
            context.progress("tasks are ending")
            clock.sleep(_POLL_SECONDS)

    def _has_stopped(self, context: RunContext) -> bool:
        try:
            return self.is_satisfied(context, self.observe(context))
        except UnreachableError:
            # A worker that waits for a dead source answers late.
            return False

    def confirm(self, context: RunContext) -> Evidence:
        """The states."""
        return {"connectors": {name: status.state.value for name, status in self.observe(context).items()}}
