"""The runs of a service, as its journals tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drkit.domain.runs import RunState
from drkit.domain.status import LastRun
from drkit.engine import journal as journals
from drkit.errors import DrkitError
from drkit.ports import ObjectStore


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
