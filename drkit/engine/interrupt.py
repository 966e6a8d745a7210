"""Ctrl-C and SIGTERM during a run: the first ends it at the next safe point, the second at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType

from drkit.errors import ExitCode
from drkit.ports import Clock


class InterruptedRunError(BaseException):
    """A signal asked the run to end; raised where waiting can be left. Not an ``Exception``: no step may swallow it."""


class Interrupt:
    """Remembers that a signal came."""

    def __init__(self) -> None:
        self.signal_name = ""

    def raise_if_asked(self) -> None:
        """End the run here if a signal came."""
        if self.signal_name:
            raise InterruptedRunError(self.signal_name)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM while the block runs."""
        earlier = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.signal_name:
            # The intent of whatever runs is in the journal: a resumed run finds out what came of it.
            os._exit(ExitCode.INTERRUPTED)
        self.signal_name = signal.Signals(number).name


class InterruptibleClock:
    """A clock for steps: a wait ends when a signal has come."""

    def __init__(self, clock: Clock, interrupt: Interrupt) -> None:
        self._clock = clock
        self._interrupt = interrupt

    def now(self) -> datetime:
        """The wall clock."""
        return self._clock.now()

    def monotonic(self) -> float:
        """The monotonic clock."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, in slices."""
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            self._interrupt.raise_if_asked()
            self._clock.sleep(min(left, 0.1))
