"""What can be said about a group's position on the target: one of five verdicts, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exact:
    """The position itself: nothing is lost, nothing is read again."""

    downstream: int
    reason: str

    @property
    def replay_at_most(self) -> int | None:
        """Nothing is read again."""
        return 0


@dataclass(frozen=True, slots=True)
class Bounded:
    """A safe position; at most ``at_most`` records are read again."""

    downstream: int
    at_most: int
    reason: str

    @property
    def replay_at_most(self) -> int | None:
        """The bound, in records."""
        return self.at_most


@dataclass(frozen=True, slots=True)
class Floor:
    """The lowest position that is left, because the evidence or the records below it are gone.

    ``replay_at_most``: records that are read again, None if that is not known.
    """

    downstream: int
    reason: str
    replay_at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Ahead:
    """The group has consumed up to ``missing`` source offsets that never arrived; it continues at the log end."""

    downstream: int
    missing: int
    reason: str

    @property
    def replay_at_most(self) -> int | None:
        """Nothing is read again."""
        return 0


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nothing is known about the partition."""

    reason: str

    @property
    def downstream(self) -> None:
        """No position."""
        return

    @property
    def replay_at_most(self) -> int | None:
        """Not known."""
        return None


Placed = Exact | Bounded | Floor | Ahead
"""A verdict with a position."""
Verdict = Placed | Unavailable


@dataclass(frozen=True, slots=True)
class Range:
    """The true position is neither below ``low`` nor above ``high``; from ``low`` on, ``at_most`` are read again."""

    low: int
    high: int
    at_most: int
    reason: str

    def noted(self, notes: str) -> Range:
        """The same, with what else is to be known about a position that is not certain."""
        return Range(self.low, self.high, self.at_most, self.reason + notes) if notes and self.at_most else self

    def verdict(self, log_start: int, retention: str) -> Exact | Bounded | Floor:
        """The verdict on the lowest position. ``retention``: why nothing below the log start can be had."""
        if self.low < log_start:
            return Floor(log_start, retention, self.at_most)
        return Bounded(self.low, self.at_most, self.reason) if self.at_most else Exact(self.low, self.reason)
