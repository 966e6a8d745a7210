"""The lineage object in the state bucket, changed only by compare-and-set."""

from __future__ import annotations

from collections.abc import Callable

from drkit.domain import lineage
from drkit.domain.lineage import EpochState, Lineage
from drkit.engine.step import Evidence, RunContext, Step
from drkit.errors import StalePlanError
from drkit.ports import ObjectStore, PreconditionFailed

_KEY = "lineage.json"


class LineageRecord:
    """Reads and changes the lineage of the service."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def read(self) -> Lineage:
        """The lineage; empty before the first failover. Raises ``RefusedError`` if it cannot be read."""
        stored = self._store.get(_KEY)
        return lineage.parse(stored.body) if stored else Lineage()

    def change(self, change: Callable[[Lineage], Lineage]) -> None:
        """Apply a change to what is stored now. Raises ``StalePlanError`` if somebody else changed it meanwhile."""
        stored = self._store.get(_KEY)
        before = lineage.parse(stored.body) if stored else Lineage()
        after = change(before)
        if after == before:
            return
        try:
            if stored is None:
                self._store.create(_KEY, lineage.dump(after))
            else:
                self._store.replace(_KEY, lineage.dump(after), stored.etag)
        except PreconditionFailed as error:
            raise StalePlanError(
                "the lineage was changed by another process at the same time",
                hint="drkit runs list shows who; nothing of theirs was overwritten",
            ) from error


class RecordDirection(Step[Lineage]):
    """The run's epoch is in force: the target is the primary from here on."""

    name = "record-direction"

    def __init__(self, record: LineageRecord) -> None:
        self._record = record

    def describe(self, context: RunContext) -> str:
        """Say what is recorded."""
        return f"record {context.target} as the primary"

    def observe(self, context: RunContext) -> Lineage:
        """The lineage as stored."""
        return self._record.read()

    def is_satisfied(self, context: RunContext, observation: Lineage) -> bool:
        """The run's epoch is in force already."""
        epoch = observation.of_run(context.run_id)
        return epoch is not None and epoch.state is EpochState.IN_FORCE

    def apply(self, context: RunContext, observation: Lineage) -> None:
        """Put the epoch in force."""
        self._record.change(lambda stored: stored.with_state(context.run_id, EpochState.IN_FORCE))

    def confirm(self, context: RunContext) -> Evidence:
        """The primary by the lineage."""
        return {"primary": self._record.read().primary(context.source)}
