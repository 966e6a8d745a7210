"""Whether a mirror has got past all it had copied before it was restarted, by the records of the target.

A task copies in order, and a restarted one goes on at or below what had been copied. So the first time that anything
beyond a record was copied, that record's own copy was the last one before it: in the same interval between two points,
or at its first point. If the record of the last point has no other copy in any interval where something beyond it may
have been copied, then nothing beyond it was copied before it.

Records that look the same can only keep this from being shown. What compaction or retention removed was not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drkit.domain.samples import Mark


@dataclass(frozen=True, slots=True)
class Proof:
    """What has to be read.

    ``last``: target offset of the last point's record; ``intervals``: of target offsets, end excluded, in order, at
    least one.
    """

    last: int
    intervals: tuple[tuple[int, int], ...]

    @property
    def offsets(self) -> int:
        """How many target offsets that is."""
        return 1 + sum(end - start for start, end in self.intervals)

    def holds(self, target: Iterable[Mark]) -> bool:
        """Whether these records, of ``last`` and all intervals, show it."""
        digests = {mark.offset: mark.digest for mark in target}
        digest = digests.pop(self.last, None)
        return digest is not None and digest not in digests.values()


def proof_by_records(up: Sequence[int], down: Sequence[int], places: Iterable[int]) -> Proof | None:
    """The proof for a course of these points; None where an earlier one is not below the last, or there is no doubt.

    ``places``: the intervals, each after the point of this number, of which counting does not show it.
    """
    between = ((down[place] + 1, down[place + 1]) for place in places)
    intervals = tuple((start, end) for start, end in between if start < end)
    if not intervals or max(up[:-1]) >= up[-1]:
        return None
    return Proof(down[-1], intervals)
