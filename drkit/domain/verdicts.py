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
