"""A loop that comes round at the moments of a schedule, for as long as nobody ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from drkit.domain.schedules import Grid
from drkit.ports import Clock

Skipped = Callable[[Literal["overlap", "late"], int], None]
"""Told how many moments nothing was done at: the turn before took longer, or nobody was there (the machine slept)."""


def turns(grid: Grid, clock: Clock, skipped: Skipped = lambda _reason, _count: None) -> Iterator[int]:
    """Yield the number of each moment when it has come; whoever iterates does the work between two of them.

    So that one turn never begins before the last has ended, and what came due meanwhile is skipped. With a clock of
    ``drkit.engine.interrupt`` the waiting is left when a signal has come.
    """
    started = clock.monotonic()
    number = 0
    while True:
        clock.sleep(max(0.0, started + grid.due(number) - clock.monotonic()))
        newest = grid.next_after(number, clock.monotonic() - started) - 1
        if newest > number:
            skipped("late", newest - number)
        yield newest
        number = grid.next_after(newest, clock.monotonic() - started)
        if number > newest + 1:
            skipped("overlap", number - newest - 1)
