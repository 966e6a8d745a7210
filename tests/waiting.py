"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
"""For what a healthy cluster answers in milliseconds, and a busy machine some time: it only ends a test that hangs."""


def eventually(condition: Callable[[], object], *, timeout_seconds: float, because: str, every: float = 0.1) -> None:
    """Wait until the condition is true; fail with the reason why it should have become so."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_seconds:g} s: {because}"
        time.sleep(every)
