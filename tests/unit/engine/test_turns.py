"""A loop at the moments of a schedule: late turns, long turns, and a machine that slept."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.schedules import Grid
from drkit.engine.turns import turns
from tests.fakes.clock import FakeClock


def run(grid: Grid, clock: FakeClock, lasts: list[float]) -> tuple[list[tuple[int, float]], Counter[str]]:
    """Turns that take so long each; number and time of each, and what was skipped, by reason."""
    started, begun, skipped = clock.monotonic(), [], Counter[str]()

    def skip(reason: str, count: int) -> None:
        skipped[reason] += count

    coming = turns(grid, clock, skip)
    for seconds in lasts:
        number = next(coming)
        begun.append((number, clock.monotonic() - started))
        clock.advance(seconds)
    return begun, skipped


def test_turns_come_at_their_moments_however_long_each_takes() -> None:
    begun, skipped = run(Grid(10), FakeClock(), [3.0, 9.9, 0.0, 1.0])
    assert begun == [(0, 0.0), (1, 10.0), (2, 20.0), (3, 30.0)]
    assert not skipped


def test_what_comes_due_during_a_turn_is_skipped_and_counted() -> None:
    clock = FakeClock()
    begun, skipped = run(Grid(10), clock, [25.0, 1.0])
    assert begun == [(0, 0.0), (3, 30.0)]
    assert skipped == {"overlap": 2}


class SleepyClock(FakeClock):
    """The machine sleeps in the second wait."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if len(self.slept_seconds) == 2:
            self.advance(3600.0)


def test_a_machine_that_slept_makes_up_for_it_once() -> None:
    begun, skipped = run(Grid(10), SleepyClock(), [1.0, 1.0, 1.0])
    assert begun == [(0, 0.0), (361, 3610.0), (362, 3620.0)]
    assert skipped == {"late": 360}


@given(
    st.builds(Grid, st.integers(1, 1000), st.text(max_size=3), st.floats(0, 0.5), st.floats(0, 100)),
    st.lists(st.floats(0, 10_000), min_size=1, max_size=20),
)
def test_every_moment_is_taken_or_counted(grid: Grid, lasts: list[float]) -> None:
    begun, skipped = run(grid, FakeClock(), [*lasts, 0.0])
    numbers = [number for number, _ in begun]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + skipped.total() == numbers[-1] + 1
    assert all(at >= grid.due(number) - 1e-6 for number, at in begun)
