"""Who watches a run: what a listener shows, or fails to show, is never part of the run."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol


class RunListener(Protocol):
    """Watches a run."""

    def step_started(self, name: str) -> None:
        """A step begins, or is begun to be undone."""

    def step_finished(self, name: str, outcome: str, seconds: float, summary: str) -> None:
        """A step has ended: succeeded, missed, failed, unknown or undone."""

    def note(self, text: str) -> None:
        """What is being waited for."""


class GuardedListener:
    """Passes everything on to a listener; an exception of the listener's ends nothing."""

    def __init__(self, listener: RunListener) -> None:
        self._listener = listener

    def step_started(self, name: str) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._listener.step_started(name)

    def step_finished(self, name: str, outcome: str, seconds: float, summary: str) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._listener.step_finished(name, outcome, seconds, summary)

    def note(self, text: str) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._listener.note(text)
