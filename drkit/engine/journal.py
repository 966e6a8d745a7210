"""A run's journal: one object per event in the state bucket, and the same line in a file on this machine.

The bucket decides. An append that finds its key taken means that another process owns the run, unless the object there
is one's own event, accepted before a timeout.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final

from drkit import __version__
from drkit.domain import run_entries as en
from drkit.domain import run_events as ev
from drkit.domain.runs import RunState, advance, fold
from drkit.errors import LeaseLostError, RefusedError, StoppedError, UnreachableError
from drkit.ports import Clock, ObjectStore, PreconditionFailed

LocalCopy = Callable[[str, str], None]
"""Appends a line (second argument) durably to the local copy of a run's journal (first argument)."""

_RUN_ID: Final = re.compile(r"^\d{8}t\d{6}z-[a-z-]+-[0-9a-f]{4}$")


def new_run_id(clock: Clock, procedure: str) -> str:
    """A sortable id that is safe as an S3 key and as a file name."""
    return f"{clock.now():%Y%m%dt%H%M%Sz}-{procedure}-{secrets.token_hex(2)}"


def _key(run_id: str, seq: int) -> str:
    return f"runs/{run_id}/{seq:08d}.json"


class Journal:
    """The journal of one run, open for appending."""

    def __init__(
        self,
        store: ObjectStore,
        local: LocalCopy,
        clock: Clock,
        *,
        run_id: str,
        state: RunState | None = None,
        deadline_seconds: float = 30.0,
    ) -> None:
        self._store = store
        self._local = local
        self._clock = clock
        self._run_id = run_id
        self._state = state
        self._deadline_seconds = deadline_seconds

    @property
    def state(self) -> RunState:
        """The fold of everything that was appended. Raises ``ValueError`` before the first event."""
        if self._state is None:
            raise ValueError("nothing was journaled yet")
        return self._state

    def append(self, event: ev.Event) -> RunState:
        """Journal an event; the state after it.

        Raises ``LeaseLostError`` if another process has written there, ``StoppedError`` if the bucket stays dark.
        """
        state = self._state
        entry = en.Entry(
            run_id=self._run_id,
            seq=state.next_seq if state else 0,
            event_id=secrets.token_hex(16),
            at=self._clock.now(),
            written_by=__version__,
            previous=state.digest if state else en.GENESIS,
            event=event,
        )
        sealed = en.seal(entry)
        # Checked before it is written: an event that cannot happen here must not get into the journal.
        after = advance(state, sealed) if state else fold([sealed])
        self._write(sealed)
        self._local(self._run_id, sealed.body.decode("ascii"))
        self._state = after
        return after

    def _write(self, sealed: en.SealedEntry) -> None:
        key = _key(sealed.entry.run_id, sealed.entry.seq)
        deadline = self._clock.monotonic() + self._deadline_seconds
        while True:
            try:
                self._store.create(key, sealed.body)
            except PreconditionFailed:
                found = self._store.get(key)
                if found is not None and found.body == sealed.body:
                    return
                raise LeaseLostError(
                    f"another process has written {key}: it owns the run now, and this one has stopped",
                    hint=f"drkit runs show {sealed.entry.run_id} shows what it does",
                ) from None
            except UnreachableError as error:
                # It may have been accepted: the next attempt finds out.
                if self._clock.monotonic() > deadline:
                    raise StoppedError(
                        f"the state bucket does not answer, so nothing more is done: {error.message}",
                        hint=f"when it answers again: drkit resume {sealed.entry.run_id}",
                    ) from error
                self._clock.sleep(0.5)
            else:
                return


def load(store: ObjectStore, run_id: str) -> RunState:
    """The state of a run. Raises ``RefusedError`` if there is none, ``JournalError`` if it cannot be read."""
    if not _RUN_ID.match(run_id):
        raise RefusedError(f"{run_id!r} is not the id of a run", hint="drkit runs list shows them")
    keys = [key for key in store.list(f"runs/{run_id}/") if re.search(r"/\d{8}\.json$", key)]
    entries = []
    for seq, key in enumerate(keys):
        if key != _key(run_id, seq):
            raise en.JournalError(f"{_key(run_id, seq)} is missing from the journal")
        stored = store.get(key)
        if stored is None:
            raise en.JournalError(f"{key} has vanished from the journal")
        entries.append(en.parse(stored.body, what=key))
    if not entries:
        raise RefusedError(f"there is no run {run_id}", hint="drkit runs list shows the runs that there are")
    return fold(entries)


def run_ids(store: ObjectStore) -> list[str]:
    """Every run, newest first."""
    found = {key.split("/")[1] for key in store.list("runs/") if key.endswith("/00000000.json")}
    return sorted((run_id for run_id in found if _RUN_ID.match(run_id)), reverse=True)
