"""MM2's checkpoints as lower bounds: ``(u0, d0)`` says that no group at or above ``u0`` continues below ``d0``.

MM2 commits the position after the newest sync at or below a group's offset (``OffsetSyncStore.translateDownstream``),
which is never too far, and groups' positions are monotone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from drkit.domain.verdicts import Range


class Floors:
    """Look-up in O(log n). ``highest``: a checkpoint above this target offset speaks of what nobody vouches for."""

    def __init__(self, checkpoints: Iterable[tuple[int, int]], highest: int) -> None:
        self._up: list[int] = []
        self._down: list[int] = []
        for up, down in sorted(checkpoints):
            if down <= highest and (not self._down or down > self._down[-1]):
                self._up.append(up)
                self._down.append(down)

    def raised(self, upstream: int, found: Range) -> Range:
        """The range, begun at the highest floor. One above the range contradicts it: both cannot be right."""
        at = bisect_right(self._up, upstream) - 1
        if at < 0 or self._down[at] <= found.low:
            return found
        floor = self._down[at]
        if floor > found.high:
            reason = f"{found.reason}; contradiction: a checkpoint says {floor} or later"
            return Range(found.low, floor, max(found.at_most, floor - found.low), reason)
        reason = f"{found.reason}; not below a checkpoint"
        return Range(floor, found.high, min(found.at_most, found.high - floor), reason)
