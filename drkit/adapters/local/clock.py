"""The machine's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """``drkit.ports.Clock`` on the machine's own clocks."""

    def now(self) -> datetime:
        """The wall clock, in UTC with a time zone."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; not at all if ``seconds`` is zero or less."""
        if seconds > 0:
            time.sleep(seconds)
