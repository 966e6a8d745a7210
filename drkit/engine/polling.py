"""Waiting for a condition, with a deadline and a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from drkit.engine.step import NotYetError
from drkit.ports import Clock, Progress

Value = TypeVar("Value")

_SHOWN_CHARACTERS = 200


def wait_until(
    condition: Callable[[], Value],
    clock: Clock,
    *,
    deadline_seconds: float,
    interval_seconds: float,
    because: str,
    progress: Progress,
    until: Callable[[Value], bool] = bool,
    hint: str = "",
) -> Value:
    """Ask ``condition`` until ``until`` is content with its value, and return that value.

    ``because`` completes "waiting for". Raises ``NotYetError`` with the last value once ``deadline_seconds`` have
    passed; the condition is always asked once more after the last wait.
    """
    started = clock.monotonic()
    while not until(value := condition()):
        elapsed = clock.monotonic() - started
        if elapsed >= deadline_seconds:
            raise NotYetError(
                f"gave up waiting for {because} after {elapsed:.1f} s; last seen: {_shown(value)}", hint=hint
            )
        progress(f"waiting for {because} ({elapsed:.0f} of {deadline_seconds:g} s)")
        clock.sleep(min(interval_seconds, deadline_seconds - elapsed))
    return value


def _shown(value: object) -> str:
    # ascii: a value may hold names that come from brokers.
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
