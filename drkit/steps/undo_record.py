"""What was there before a run changed it: stored before the effect, so that undoing does not depend on a process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from drkit.engine.step import RunContext
from drkit.errors import StalePlanError
from drkit.ports import ObjectStore, PreconditionFailed


class UndoRecord:
    """One object per run and kind. What was recorded first stays: a repeated effect finds its own work."""

    def __init__(self, store: ObjectStore, context: RunContext, what: str) -> None:
        self._store = store
        self._key = f"undo/{context.run_id}/{what}.json"

    def read(self) -> Mapping[str, Any] | None:
        """What was recorded; None where nothing was, so that nothing was changed either."""
        stored = self._store.get(self._key)
        if stored is None:
            return None
        found: Mapping[str, Any] = json.loads(stored.body)
        return found

    def add(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """Record names that are new; all that is recorded then.

        Raises ``StalePlanError`` if another process did at the same time.
        """
        stored = self._store.get(self._key)
        known: Mapping[str, Any] = json.loads(stored.body) if stored else {}
        recorded = {**found, **known}
        body = json.dumps(recorded).encode()
        try:
            if stored is None:
                self._store.create(self._key, body)
            elif found.keys() - known.keys():
                self._store.replace(self._key, body, stored.etag)
        except PreconditionFailed as error:
            raise StalePlanError(
                f"{self._key} was changed by another process at the same time",
                hint="drkit runs list shows who; nothing of theirs was overwritten",
            ) from error
        return recorded
