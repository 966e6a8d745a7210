"""The lease: one process at a time works on a service.

Expiry is decided by observed silence: a holder writes the object again and again, and whoever wants it watches the
object's ETag for as long as the holder said (``seconds``), on its own monotonic clock. Clocks are never compared::

    holder      write asked for ........ write lands        believes itself holder until asked + seconds
    watcher                                      first seen        takes it not before first seen + seconds

A holder counts from *before* it asked, a watcher from *after* the write landed, so that there is never a moment with
two. Neither Kafka nor Route 53 checks the lease, so effects also compare-and-set at the resource.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from drkit.engine import journal
from drkit.engine.holder import Holder, dump_holder, parse_holder
from drkit.engine.journal import StateDarkError
from drkit.errors import DrkitError, LeaseHeldError, LeaseLostError, RefusedError, UnreachableError, UsageError
from drkit.ports import Clock, ObjectStore, PreconditionFailed, Progress, StoredObject

_KEY: Final = "lease.json"
_WATCH_SECONDS: Final = 0.5
_TAKE_ATTEMPTS: Final = 3
_RENEW_ATTEMPTS: Final = 2

IsGone = Callable[[str], bool]
"""Whether the process behind an owner is known to be dead (same machine, no such process); False if unknown."""


class Lease:
    """This process's claim on the service; renewed by a thread while it is held (unless ``background`` is False)."""

    def __init__(
        self,
        store: ObjectStore,
        clock: Clock,
        *,
        owner: str,
        seconds: float,
        is_gone: IsGone,
        progress: Progress = lambda _: None,
        background: bool = True,
    ) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._seconds = seconds
        self._is_gone = is_gone
        self._progress = progress
        self._background = background
        self._lock = threading.Lock()
        self._holder: Holder | None = None
        self._etag = ""
        self._renewed_at = 0.0
        self._renewed_at_wall = clock.now()
        self._lost: LeaseLostError | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self, run_id: str, *, instead_of: str | None = None) -> str:
        """Take the lease for a run; the owner before (empty if it was free).

        A holder that works on another run is refused at once. The same run, the one that this one takes the place of
        (``instead_of``), and one that is over, is taken over after the holder has been silent long enough, or at once
        if its process is known to be dead. Raises ``LeaseHeldError``.
        """
        stored = self._store.get(_KEY)
        found = parse_holder(stored.body) if stored else None
        if stored and found and found.is_held and not self._is_gone(found.owner):
            if found.run_id not in (run_id, instead_of) and not self._is_over(found.run_id):
                raise _refused(found)
            stored = self._watch(stored, found)
            found = parse_holder(stored.body) if stored else None
        self._take(stored, found.generation + 1 if found else 1, run_id)
        return found.owner if found and found.is_held else ""

    def refuse_if_held(self, run_id: str) -> None:
        """Raise ``LeaseHeldError`` if a process that is not known to be dead works on this run."""
        stored = self._store.get(_KEY)
        found = parse_holder(stored.body) if stored else None
        if found is not None and found.is_held and found.run_id == run_id and not self._is_gone(found.owner):
            raise _refused(found)

    @property
    def is_believed_held(self) -> bool:
        """Whether nobody else can hold it, by this process's own clock alone."""
        return self._holder is not None and self._lost is None and self._silence_seconds() < self._seconds

    def ensure_held(self) -> None:
        """Return only while nobody else can have the lease.

        A process that was frozen, or whose clock jumped, renews first. Raises ``LeaseLostError`` if somebody took over,
        ``StateDarkError`` if that could not be found out.
        """
        if self._lost is None and self._silence_seconds() > self._seconds / 2:
            self._renew()
        if self._lost is not None:
            raise self._lost
        if self._holder is None:
            raise LeaseLostError("this process holds no lease", hint="drkit runs list shows the runs that there are")
        if not self.is_believed_held:
            raise StateDarkError(
                f"the lease could not be renewed for {self._seconds:g} s, so another process may have it by now: "
                "nothing more was done",
                hint=f"when the state bucket answers again: drkit resume {self._holder.run_id}",
            )

    def release(self) -> None:
        """Give the lease back; an error is not raised: a lease that nobody renews expires by itself."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._seconds)
        with self._lock:
            holder, self._holder = self._holder, None
            if holder is None or self._lost is not None:
                return
            try:
                self._store.replace(_KEY, dump_holder(replace(holder, is_held=False)), self._etag)
            except (DrkitError, PreconditionFailed):
                return

    def _silence_seconds(self) -> float:
        # A suspended machine's monotonic clock may stand still meanwhile; its wall clock tells. A wall clock that
        # somebody sets costs no more than a renewal.
        wall = abs((self._clock.now() - self._renewed_at_wall).total_seconds())
        return max(self._clock.monotonic() - self._renewed_at, wall)

    def _is_over(self, run_id: str) -> bool:
        """Whether the run that a lease names has ended, or was never begun: then there is nothing to resume."""
        try:
            return journal.load(self._store, run_id).phase.is_final
        except UnreachableError:
            raise
        except UsageError:
            # No run: something that is done beside them (a fence, an upload), and that leaves nothing to resume.
            return True
        except RefusedError:
            return not list(self._store.list(f"runs/{run_id}/"))

    def _take(self, stored: StoredObject | None, generation: int, run_id: str) -> None:
        holder = Holder(
            owner=self._owner,
            run_id=run_id,
            generation=generation,
            renewals=0,
            seconds=self._seconds,
            is_held=True,
            since=self._clock.now().isoformat(),
            nonce=secrets.token_hex(8),
        )
        asked_at, asked_at_wall = self._clock.monotonic(), self._clock.now()
        self._etag = self._written(stored, holder)
        self._holder, self._lost = holder, None
        self._renewed_at, self._renewed_at_wall = asked_at, asked_at_wall
        if self._background:
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._keep, args=(self._stop,), name="drkit-lease", daemon=True)
            self._thread.start()

    def _written(self, stored: StoredObject | None, holder: Holder) -> str:
        """Write the lease over what was seen; its ETag. An answer that was lost is read back."""
        body = dump_holder(holder)
        failure: DrkitError = UnreachableError("the state bucket refuses the lease as changed, and it is not")
        for _ in range(_TAKE_ATTEMPTS):
            try:
                if stored is None:
                    return self._store.create(_KEY, body)
                return self._store.replace(_KEY, body, stored.etag)
            except UnreachableError as error:
                failure = error
            except PreconditionFailed:
                pass
            now = self._store.get(_KEY)
            if now is not None and now.body == body:
                return now.etag
            if now is not None and (stored is None or now.etag != stored.etag):
                raise _refused(parse_holder(now.body))
            stored = now
        raise failure

    def _watch(self, seen: StoredObject, found: Holder) -> StoredObject | None:
        """The lease once its holder has been silent long enough or has released it.

        Raises ``LeaseHeldError`` as soon as the holder is heard of.
        """
        wanted = max(found.seconds, self._seconds)
        began = self._clock.monotonic()
        while (watched := self._clock.monotonic() - began) < wanted:
            self._progress(f"waiting for {found.owner} to stay silent ({watched:.0f} of {wanted:g} s)")
            self._clock.sleep(min(_WATCH_SECONDS, wanted - watched))
            now = self._store.get(_KEY)
            if now is None:
                return None
            if now.etag != seen.etag:
                heard = parse_holder(now.body)
                if heard.is_held:
                    raise _refused(heard)
                return now
        return seen

    def _keep(self, stop: threading.Event) -> None:
        while not stop.wait(self._seconds / 4):
            self._renew()

    def _renew(self) -> None:
        with self._lock:
            for _ in range(_RENEW_ATTEMPTS):
                if self._holder is None or self._lost is not None or self._try_renewal(self._holder):
                    return

    def _try_renewal(self, holder: Holder) -> bool:
        """Write the lease once; whether there is nothing more to try now."""
        asked_at, asked_at_wall = self._clock.monotonic(), self._clock.now()
        # Every attempt has a number of its own: finding an earlier one there says nothing about now.
        wanted = replace(holder, renewals=holder.renewals + 1)
        self._holder = wanted
        try:
            self._etag = self._store.replace(_KEY, dump_holder(wanted), self._etag)
        except (PreconditionFailed, UnreachableError):
            if not self._is_own_attempt(wanted):
                return False
        except DrkitError:
            # Not renewed: ``ensure_held`` decides by the time of the last success.
            return True
        if self._lost is None:
            self._renewed_at, self._renewed_at_wall = asked_at, asked_at_wall
        return True

    def _is_own_attempt(self, wanted: Holder) -> bool:
        """Read an ambiguous write back; whether it is there. Somebody else's, or nothing, is the end of this lease."""
        try:
            stored = self._store.get(_KEY)
            found = parse_holder(stored.body) if stored else None
        except DrkitError:
            return False
        if stored is not None and found is not None and found.nonce == wanted.nonce:
            self._etag = stored.etag
            return found == wanted
        by = f"{found.owner} has taken it over" if found else "it was deleted"
        self._lost = LeaseLostError(
            f"the lease is lost: {by}; this process has stopped",
            hint=f"drkit runs show {wanted.run_id} shows what became of the run",
        )
        return True


def _refused(holder: Holder) -> LeaseHeldError:
    return LeaseHeldError(
        f"{holder.owner} works on this service since {_shown(holder.since)} (run {holder.run_id})",
        hint=f"wait for it; if that process is dead, drkit resume {holder.run_id} (or drkit abort) takes over after "
        f"{holder.seconds:g} s of silence",
    )


def _shown(since: str) -> str:
    return f"{datetime.fromisoformat(since):%Y-%m-%d %H:%M:%S} UTC by its clock"
