"""A clock that tests move."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class FakeClock:
    """``drkit.ports.Clock``: time passes only in ``sleep`` and ``advance``. Starts at 2026-01-01T00:00:00Z."""

    def __init__(self) -> None:
        self._started = datetime(2026, 1, 1, tzinfo=UTC)
        self._passed_seconds = 0.0
        self._lock = threading.Lock()
        self.slept_seconds: list[float] = []

    def now(self) -> datetime:
        return self._started + timedelta(seconds=self._passed_seconds)

    def monotonic(self) -> float:
        return 1000.0 + self._passed_seconds

    def sleep(self, seconds: float) -> None:
        self.slept_seconds.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        assert seconds >= 0
        with self._lock:
            self._passed_seconds += seconds
