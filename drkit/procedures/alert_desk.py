"""Tells people when a scheduled job fails: in a thread of its own, for no job waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from drkit.domain.alerts import Alert, AlertKind, AlertState
from drkit.domain.naming import printable
from drkit.domain.schedules import JobSpec, duration_text
from drkit.errors import DrkitError
from drkit.ports import Alerter, Clock, Progress

_AGAIN_SECONDS: Final = 60.0
"""After a message that could not be sent, the next is tried this much later at the earliest."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How one run of a job ended. ``problem``: empty after a success."""

    spec: JobSpec
    failed: bool
    problem: str
    now: float


class AlertDesk:
    """Judges by ``AlertState`` and sends. What cannot be sent is noted, counted, and tried again after a later run."""

    def __init__(self, alerter: Alerter | None, service: str, host: str, clock: Clock, note: Progress) -> None:
        self._alerter = alerter
        self._service = service
        self._host = host
        self._clock = clock
        self._note = note
        self._ends: SimpleQueue[RunEnd | None] = SimpleQueue()
        self._states: dict[JobSpec, AlertState] = {}
        self._last: dict[JobSpec, RunEnd] = {}
        self._not_before = 0.0
        self.sent = 0
        self.not_sent = 0

    def tell(self, end: RunEnd) -> None:
        """A run has ended. Returns at once."""
        self._ends.put(end)

    @contextmanager
    def open(self, end_seconds: float) -> Iterator[None]:
        """Send while the block runs; then what is being sent may take ``end_seconds`` more."""
        thread = threading.Thread(target=self._work, name="alerts", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ends.put(None)
            thread.join(end_seconds)

    def _work(self) -> None:
        while self.attend():
            pass

    def attend(self) -> bool:
        """Wait for the end of a run, take all that have come, and send what is due. False: there are no more."""
        goes_on = True
        ends = [self._ends.get(), *self._waiting()]
        for end in ends:
            if end is None:
                goes_on = False
                continue
            state = self._states.get(end.spec, AlertState())
            self._states[end.spec] = state.after(failed=end.failed, now=end.now)
            self._last[end.spec] = end
        for spec, end in self._last.items():
            kind = self._states[spec].due(end.now, spec.period_seconds)
            if kind is not None and self._clock.monotonic() >= self._not_before:
                self._send(kind, end)
        return goes_on

    def _waiting(self) -> Iterator[RunEnd | None]:
        while True:
            try:
                yield self._ends.get_nowait()
            except Empty:
                return

    def _send(self, kind: AlertKind, end: RunEnd) -> None:
        state = self._states[end.spec]
        if self._alerter is None:
            self._states[end.spec] = state.sent(kind)
            return
        try:
            self._alerter.send(self._alert(kind, end, state))
        except DrkitError as error:
            self._not_sent(kind, end, error.message)
        except Exception as error:  # noqa: BLE001 - a bug in here is no reason to tell nobody any more
            self._not_sent(kind, end, f"a bug in drkit: {type(error).__name__}: {error}")
        else:
            self.sent += 1
            self._states[end.spec] = state.sent(kind)

    def _not_sent(self, kind: AlertKind, end: RunEnd, why: str) -> None:
        self.not_sent += 1
        self._not_before = self._clock.monotonic() + _AGAIN_SECONDS
        self._note(f"nobody could be told that {end.spec.name} is {kind.value}: {printable(why)}")

    def _alert(self, kind: AlertKind, end: RunEnd, state: AlertState) -> Alert:
        what = f"drkit backup {end.spec.name} of {self._service}"
        every = f"asked for every {duration_text(end.spec.period_seconds)}, from {self._host}"
        if kind is AlertKind.WORKS_AGAIN:
            return Alert.of(kind, f"OK: {what} works again", f"{what} ({every}) works again.\n")
        since = max(0.0, end.now - (end.now if state.failing_since is None else state.failing_since))
        text = (
            f"{what} ({every}) fails since {since:.0f} s, {state.failures} times in a row.\n\n"
            f"{end.problem}\n\n"
            "Earlier backups are intact; a disaster run would use the newest. See runbooks/scheduled-backups.md.\n"
            "One message follows when it works again, none until then.\n"
        )
        return Alert.of(kind, f"FAILING: {what}", text)
