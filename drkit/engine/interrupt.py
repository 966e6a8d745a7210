"""Ctrl-C and SIGTERM during a run: the first ends it at the next safe point, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from types import FrameType
from typing import Final

from drkit.errors import DrkitError, ExitCode
from drkit.ports import Clock

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SLICE_SECONDS: Final = 0.1
_STDERR: Final = 2


class InterruptedRunError(BaseException):
    """A signal asked the run to end; raised where waiting can be left. Not an ``Exception``: no step may swallow it."""


class RunInterruptedError(DrkitError):
    """A signal ended the run at a safe point."""

    exit_code = ExitCode.INTERRUPTED


class Interrupt:
    """Remembers that a signal came.

    What a step is doing then is let finish: every remote call has a deadline, and waits end by ``InterruptibleClock``.
    ``farewell`` is what a second signal, which ends the process at once, prints: the command that goes on.
    """

    def __init__(self) -> None:
        self.signal_name = ""
        self.farewell = ""

    def raise_if_asked(self) -> None:
        """End the run here if a signal came."""
        if self.signal_name:
            raise InterruptedRunError(self.signal_name)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take SIGINT, SIGTERM and SIGHUP while the block runs. Only the main thread can, so others take none."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Under nohup the end of the terminal is to be survived.
        taken = [n for n in _SIGNALS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
        earlier = {number: signal.signal(number, self._take) for number in taken}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.signal_name:
            # The intent of whatever runs is in the journal: a resumed run finds out what came of it.
            with suppress(OSError):
                # Not by print: the handler may have come in the middle of one.
                os.write(_STDERR, f"\ninterrupted at once; {self.farewell}\n".encode())
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
            self._clock.sleep(min(left, _SLICE_SECONDS))
