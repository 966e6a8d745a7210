"""One machine's clock over a time that all machines share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from tests.fakes.clock import FakeClock


class Machine:
    """``drkit.ports.Clock`` whose wall clock is wrong by ``skew`` and whose monotonic clock misses suspended time.

    ``during_sleep``: what others do while this machine waits.
    """

    def __init__(self, shared: FakeClock, skew: timedelta = timedelta(0)) -> None:
        self.shared = shared
        self.skew = skew
        self.suspended_seconds = 0.0
        self.during_sleep: list[Callable[[], object]] = []

    def now(self) -> datetime:
        return self.shared.now() + self.skew

    def monotonic(self) -> float:
        return self.shared.monotonic() - self.suspended_seconds

    def sleep(self, seconds: float) -> None:
        self.shared.advance(seconds)
        for happening in self.during_sleep:
            happening()
