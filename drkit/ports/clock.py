"""Time, and word of what it is spent on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time. Durations are measured on the monotonic clock, never on the wall clock."""

    def now(self) -> datetime:
        """The wall clock, in UTC with a time zone."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


Progress = Callable[[str], None]
"""Receives a short text about what is being waited for."""
