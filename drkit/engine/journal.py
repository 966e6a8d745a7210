"""A run's journal: one object per event in the state bucket, and the same line in a file on this machine.

The bucket decides. An append that finds its key taken means that another process owns the run, unless the object there
is one's own event, accepted before a timeout. The local copy is for the day when the bucket is gone: what is in it was
accepted by the bucket first, and a disk that is full does not stop a failover.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from drkit import __version__
from drkit.domain import run_entries as en
from drkit.domain import run_events as ev
from drkit.domain.runs import RunState, advance, begin, fold
from drkit.errors import DrkitError, LeaseLostError, RefusedError, StoppedError, UnreachableError, UsageError
from drkit.ports import Clock, ObjectStore, PreconditionFailed, StoredObject

LocalCopy = Callable[[str, str], None]
"""Appends a line (second argument) durably to the local copy of a run's journal (first argument).

Raises ``DrkitError`` if it cannot.
"""

_RUN_ID: Final = re.compile(r"(\d{8}t\d{6}z)-[a-z][a-z-]{0,40}-[0-9a-f]{4}")
_RUN_TIME: Final = "%Y%m%dt%H%M%Sz"
_ENTRY: Final = re.compile(r"\d{8}\.json")
_BESIDE_ENTRIES: Final = frozenset({"report.json"})
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0


class StateDarkError(StoppedError):
    """The state bucket takes no events, so that nothing more may be done; an event in flight may yet arrive."""


def new_run_id(clock: Clock, procedure: str, *, after: str | None = None) -> str:
    """A sortable id that is safe as an S3 key and as a file name: UTC time, procedure, random suffix.

    ``after``: the newest id there is. The new one sorts behind it also where this machine's clock is late.
    """
    at = clock.now().astimezone(UTC)
    newest = _RUN_ID.fullmatch(after) if after else None
    if newest is not None:
        behind = datetime.strptime(newest[1], _RUN_TIME).replace(tzinfo=UTC) + timedelta(seconds=1)
        at = max(at, behind)
    return f"{at:{_RUN_TIME}}-{procedure}-{secrets.token_hex(2)}"


def _key(run_id: str, seq: int) -> str:
    return f"runs/{run_id}/{seq:08d}.json"


class Journal:
    """The journal of one run, open for appending.

    ``state``: the fold of what is there already, None for a new run. ``note`` is told when the local copy fails.
    """

    def __init__(
        self,
        store: ObjectStore,
        local: LocalCopy,
        clock: Clock,
        *,
        run_id: str,
        state: RunState | None = None,
        deadline_seconds: float = 30.0,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._local = local
        self._clock = clock
        self._run_id = run_id
        self._state = state
        self._deadline_seconds = deadline_seconds
        self._note = note

    @property
    def state(self) -> RunState:
        """The fold of everything that was appended. Raises ``ValueError`` before the first event."""
        if self._state is None:
            raise ValueError("nothing was journaled yet")
        return self._state

    def append(self, event: ev.Event) -> RunState:
        """Journal an event; the state after it.

        Raises ``LeaseLostError`` if another process has written there and ``StateDarkError`` if the bucket takes
        nothing until the deadline; for the first event of a run, before which nothing was changed, the bucket's own
        error. An event that cannot happen now raises ``LifecycleError`` and is not written.
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
        # Before it is written: an event that cannot happen here must not get into the journal.
        after = advance(state, sealed) if state else begin(sealed)
        try:
            self._write(sealed)
        except (LeaseLostError, StateDarkError):
            raise
        except DrkitError as error:
            if state is None:
                raise
            raise _dark(state, error) from error
        self._state = after
        self._copy(sealed)
        return after

    def _write(self, sealed: en.SealedEntry) -> None:
        key = _key(sealed.entry.run_id, sealed.entry.seq)
        deadline = self._clock.monotonic() + self._deadline_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            failure = UnreachableError(f"{key} is refused as existing, and does not exist")
            try:
                if self._is_accepted(key, sealed):
                    return
            except UnreachableError as error:
                # It may have been accepted: the next attempt finds out.
                failure = error
            if self._clock.monotonic() + pause > deadline:
                raise failure
            self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _is_accepted(self, key: str, sealed: en.SealedEntry) -> bool:
        """Try once; False if it is to be tried again. ``UnreachableError`` leaves open whether it was accepted."""
        try:
            self._store.create(key, sealed.body)
        except PreconditionFailed:
            return self._is_own(self._store.get(key), sealed)
        except UnreachableError:
            if self._is_own(self._store.get(key), sealed):
                return True
            raise
        return True

    def _is_own(self, found: StoredObject | None, sealed: en.SealedEntry) -> bool:
        """Whether the object is this event; False if there is none. Somebody else's raises ``LeaseLostError``."""
        if found is None:
            return False
        # The event id in it is random: equal bytes are one's own.
        if found.body == sealed.body:
            return True
        raise LeaseLostError(
            f"another process has written {found.key}: it owns the run now, and this one has stopped",
            hint=f"drkit runs show {sealed.entry.run_id} shows what it does",
        )

    def _copy(self, sealed: en.SealedEntry) -> None:
        try:
            self._local(self._run_id, sealed.body.decode("ascii"))
        except DrkitError as error:
            self._note(f"the local copy of the journal is incomplete: {error.message}")


def _dark(state: RunState, error: DrkitError) -> StateDarkError:
    undo = "" if state.is_past_no_return else f", or drkit abort {state.run_id}"
    resume = "" if state.is_being_undone else f"drkit resume {state.run_id}"
    return StateDarkError(
        f"the state bucket takes no events, so nothing more was done: {error.message}",
        hint=f"when it answers again: {(resume + undo).removeprefix(', or ')}",
    )


def load(store: ObjectStore, run_id: str) -> RunState:
    """The state of a run.

    Raises ``UsageError`` for something that is no run id, ``RefusedError`` if there is no such run, ``JournalError`` if
    its journal has a gap or holds anything that drkit did not write there.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"{run_id!r} is not the id of a run", hint="drkit runs list shows them")
    prefix = f"runs/{run_id}/"
    found = [key for key in store.list(prefix) if key.removeprefix(prefix) not in _BESIDE_ENTRIES]
    foreign = [key for key in found if not _ENTRY.fullmatch(key.removeprefix(prefix))]
    if foreign:
        raise en.JournalError(
            f"{foreign[0]} is not an object of drkit's", hint="find out what else writes to the state bucket"
        )
    if not found:
        raise RefusedError(f"there is no run {run_id}", hint="drkit runs list shows the runs that there are")
    return fold(_read(store, run_id, seq, key) for seq, key in enumerate(found))


def require_newest(store: ObjectStore, run_id: str) -> None:
    """Raise ``RefusedError`` for a run behind which another one was begun: what it would change is that one's by now.

    Beside an unfinished run none is begun, but with ``--state local:DIR`` it may not have been seen.
    """
    newest = next(iter(run_ids(store)), run_id)
    if newest > run_id:
        raise RefusedError(
            f"run {newest} was begun after {run_id}", hint=f"drkit runs show {newest} says what became of the service"
        )


def _read(store: ObjectStore, run_id: str, seq: int, key: str) -> en.SealedEntry:
    expected = _key(run_id, seq)
    stored = store.get(key) if key == expected else None
    if stored is None:
        raise en.JournalError(
            f"{expected} is missing from the journal", hint="restore it from the bucket's version history"
        )
    sealed = en.parse(stored.body, what=key)
    if sealed.entry.run_id != run_id or sealed.entry.seq != seq:
        raise en.JournalError(f"{key} holds entry {sealed.entry.seq} of {sealed.entry.run_id}")
    return sealed


def run_ids(store: ObjectStore) -> list[str]:
    """Every run, newest first."""
    found = {key.split("/")[1] for key in store.list("runs/") if key.endswith("/00000000.json")}
    return sorted((run_id for run_id in found if _RUN_ID.fullmatch(run_id)), reverse=True)
