"""The runs of a service, as its journals tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drkit.domain.runs import RunState
from drkit.domain.status import LastRun
from drkit.engine import journal as journals
from drkit.errors import DrkitError, RefusedError
from drkit.ports import ObjectStore
from drkit.steps.stand_in import StandIn


@dataclass(frozen=True, slots=True)
class RunHistory:
    """Reads journals; newest first."""

    store: ObjectStore

    @property
    def newest(self) -> str | None:
        """The id of the newest run."""
        return next(iter(journals.run_ids(self.store)), None)

    def load(self, run_id: str) -> RunState:
        """As ``drkit.engine.journal.load``."""
        return journals.load(self.store, run_id)

    def unfinished(self) -> RunState | None:
        """The newest run, unless it is over: beside an unfinished one none is begun. Raises as ``load``."""
        newest = self.newest
        state = self.load(newest) if newest is not None else None
        return None if state is None or state.phase.is_final else state

    def to_go_on_with(self, run_id: str | None, stand_in: StandIn | None) -> RunState:
        """The named run, else the newest.

        Raises ``RefusedError`` if it is over, if another one was begun after it, or if it is not here: where a
        directory stands in for the state bucket, it may be there.
        """
        if run_id is None or (stand_in is not None and run_id not in journals.run_ids(self.store)):
            found = self.unfinished() if run_id is None else None
            if found is not None:
                return found
            if stand_in is not None:
                raise stand_in.without("an unfinished run" if run_id is None else f"run {run_id}")
            raise RefusedError("no run is unfinished", hint="drkit runs list shows the runs that there are")
        state = self.load(run_id)
        if state.phase.is_final:
            raise RefusedError(f"run {run_id} is over: {state.phase.value}", hint=f"drkit runs show {run_id}")
        journals.require_newest(self.store, run_id)
        return state

    def listed(self) -> list[dict[str, Any]]:
        """Every run. A journal that cannot be read is listed with the reason."""
        return [self._row(run_id) for run_id in journals.run_ids(self.store)]

    def last(self) -> LastRun | None:
        """The newest run, if there is any."""
        newest = self.newest
        if newest is None:
            return None
        found = self._row(newest)
        return LastRun(
            newest,
            found.get("procedure", "unknown"),
            found.get("mode", "unknown"),
            found["outcome"],
            found.get("started_at", ""),
        )

    def _row(self, run_id: str) -> dict[str, Any]:
        try:
            state = self.load(run_id)
        except DrkitError as error:
            return {"run_id": run_id, "outcome": "unreadable", "reason": error.message}
        plan = state.plan
        return {
            "run_id": run_id,
            "procedure": plan.procedure,
            "mode": plan.mode.value,
            "from": plan.source,
            "to": plan.target,
            "outcome": state.phase.value,
            "started_at": state.started_at.isoformat(),
            "operator": plan.operator,
            **({"backup_id": plan.options.get("backup_id")} if state.is_restore else {}),
        }
