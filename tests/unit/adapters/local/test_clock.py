"""The machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from drkit.adapters.local.clock import SystemClock


def test_the_wall_clock_is_in_utc() -> None:
    now = SystemClock().now()
    assert now.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=5)


def test_sleeping_lets_time_pass_and_never_fails() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0.02)
    clock.sleep(0)
    clock.sleep(-1)
    assert 0.02 <= clock.monotonic() - before < 5
