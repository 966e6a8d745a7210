"""The lease: one process at a time works on a service.

Expiry is decided by observed silence: a holder renews the object, and whoever wants it watches the object's ETag for
``lease_seconds`` of its own monotonic clock. Clocks are never compared. Neither Kafka nor Route 53 checks the lease, so
effects also compare-and-set at the resource.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from drkit.errors import DrkitError, LeaseHeldError, LeaseLostError, RefusedError
from drkit.ports import Clock, ObjectStore, PreconditionFailed

_KEY: Final = "lease.json"
_SCHEMA: Final = "drkit.lease/1"
_WATCH_SECONDS: Final = 0.5

IsGone = Callable[[str], bool]
"""Whether the process behind an owner is known to be dead (same machine, no such process); False if unknown."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has, or last had, the lease."""

    owner: str
    run_id: str
    generation: int
    renewals: int
    is_held: bool
    since: str


def _parse(body: bytes) -> Holder:
    try:
        document: Mapping[str, Any] = json.loads(body)
        fields = {name: document[name] for name in ("owner", "run_id", "generation", "renewals", "is_held", "since")}
        if document["schema"] == _SCHEMA:
            return Holder(**fields)
        raise RefusedError(f"the lease has schema {document['schema']!r}; this drkit reads {_SCHEMA!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(
            f"the lease object cannot be read: {error!r}", hint=f"look at {_KEY} in the bucket"
        ) from error


def _dump(holder: Holder) -> bytes:
    fields = {name: getattr(holder, name) for name in ("owner", "run_id", "generation", "renewals", "is_held", "since")}
    return json.dumps({"schema": _SCHEMA, **fields}).encode()


class Lease:
    """This process's claim on the service; renewed by a thread while it is held."""

    def __init__(self, store: ObjectStore, clock: Clock, *, owner: str, seconds: float, is_gone: IsGone) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._seconds = seconds
        self._is_gone = is_gone
        self._lock = threading.Lock()
        self._holder: Holder | None = None
        self._etag = ""
        self._renewed_at = 0.0
        self._lost: LeaseLostError | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self, run_id: str) -> str:
        """Take the lease for a run; the owner before (empty if it was free).

        Another run's holder is refused at once, unless its process is known to be dead. The same run is taken over
        after the holder has been silent for ``seconds``. Raises ``LeaseHeldError``.
        """
        stored = self._store.get(_KEY)
        if stored is None:
            return self._take(None, run_id, generation=1, previous="")
        found = _parse(stored.body)
        if found.is_held and not self._is_gone(found.owner):
            if found.run_id != run_id:
                raise self._refused(found)
            self._watch(found, stored.etag)
        return self._take(stored.etag, run_id, found.generation + 1, found.owner if found.is_held else "")

    def refuse_if_held(self, run_id: str) -> None:
        """Raise ``LeaseHeldError`` if a process that is not known to be dead works on this run."""
        stored = self._store.get(_KEY)
        found = _parse(stored.body) if stored else None
        if found is not None and found.is_held and found.run_id == run_id and not self._is_gone(found.owner):
            raise self._refused(found)

    def ensure_held(self) -> None:
        """Raise ``LeaseLostError`` unless the lease was renewed recently enough that nobody can have taken it.

        A process that was frozen renews first: if somebody took over meanwhile, that fails.
        """
        if self._lost is None and self._clock.monotonic() - self._renewed_at > self._seconds / 2:
            self._renew()
        if self._lost is not None:
            raise self._lost
        if self._clock.monotonic() - self._renewed_at > self._seconds:
            raise LeaseLostError(
                f"the lease could not be renewed for {self._seconds:g} s: another process may have it by now",
                hint="when the state bucket answers again: drkit resume",
            )

    def release(self) -> None:
        """Give the lease back; an error is not raised: a lease that nobody renews expires by itself."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._seconds)
        with self._lock:
            if self._holder is None or self._lost is not None:
                return
            try:
                self._store.replace(_KEY, _dump(_released(self._holder)), self._etag)
            except (DrkitError, PreconditionFailed):
                return

    def _take(self, etag: str | None, run_id: str, generation: int, previous: str) -> str:
        holder = Holder(self._owner, run_id, generation, 0, is_held=True, since=self._clock.now().isoformat())
        try:
            created = self._store.create(_KEY, _dump(holder)) if etag is None else None
            self._etag = created if created is not None else self._store.replace(_KEY, _dump(holder), etag or "")
        except PreconditionFailed:
            stored = self._store.get(_KEY)
            if stored is None or _parse(stored.body) != holder:
                raise self._refused(_parse(stored.body) if stored else holder) from None
            self._etag = stored.etag
        self._holder = holder
        self._renewed_at = self._clock.monotonic()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()
        return previous

    def _watch(self, found: Holder, etag: str) -> None:
        """Wait until the holder has been silent long enough. Raises ``LeaseHeldError`` as soon as it is not."""
        deadline = self._clock.monotonic() + self._seconds
        while self._clock.monotonic() < deadline:
            self._clock.sleep(_WATCH_SECONDS)
            stored = self._store.get(_KEY)
            if stored is not None and stored.etag != etag:
                now = _parse(stored.body)
                if now.is_held:
                    raise self._refused(now)
                return

    def _refused(self, holder: Holder) -> LeaseHeldError:
        return LeaseHeldError(
            f"{holder.owner} works on this service since {holder.since} (run {holder.run_id})",
            hint=f"wait for it, or, once it is dead: drkit resume {holder.run_id}",
        )

    def _keep(self) -> None:
        while not self._stop.wait(self._seconds / 4):
            self._renew()

    def _renew(self) -> None:
        with self._lock:
            if self._holder is None or self._lost is not None:
                return
            renewed = _renewed(self._holder)
            try:
                self._etag = self._store.replace(_KEY, _dump(renewed), self._etag)
            except PreconditionFailed:
                if not self._was_accepted(renewed):
                    self._lost = LeaseLostError(
                        "another process has taken the lease over; this one has stopped",
                        hint=f"drkit runs show {self._holder.run_id} shows what it does",
                    )
                    return
            except DrkitError:
                # Not renewed this time; ``ensure_held`` decides by the time of the last success.
                return
            self._holder = renewed
            self._renewed_at = self._clock.monotonic()

    def _was_accepted(self, renewed: Holder) -> bool:
        try:
            stored = self._store.get(_KEY)
        except DrkitError:
            return False
        if stored is None or _parse(stored.body) != renewed:
            return False
        self._etag = stored.etag
        return True


def _renewed(holder: Holder) -> Holder:
    return Holder(holder.owner, holder.run_id, holder.generation, holder.renewals + 1, holder.is_held, holder.since)


def _released(holder: Holder) -> Holder:
    return Holder(holder.owner, holder.run_id, holder.generation, holder.renewals, is_held=False, since=holder.since)
