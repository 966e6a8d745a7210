"""Whether the tail, taken for one pair, can be one: it is held against the last offset sync."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from drkit.domain.counting import FOREIGN
from drkit.domain.course import Course
from drkit.domain.log_ends import TargetLog
from drkit.domain.verdicts import Range


@dataclass(frozen=True, slots=True)
class TailCheck:
    """For one partition. ``is_drained``: it was proved that nothing is left to mirror, so that there is no need."""

    course: Course
    log: TargetLog
    is_drained: bool

    def is_needed(self, upstream: int) -> bool:
        """Whether the position rests on the tail alone."""
        last = len(self.course.up) - 1
        return (
            self.course.has_tail
            and not self.is_drained
            and upstream >= self.course.up[last]
            and last > 1
            and not (self.course.is_suspect(last - 1) or self.course.hole_free)
        )

    def refuted(self, records: Sequence[int]) -> Range | None:
        """What is safe where the target holds more records after the last sync than the source had; else None."""
        up, down = self.course.up, self.course.down
        position = max(down[-2] + 1, self.log.start)
        begin, end = bisect_left(records, position), bisect_left(records, down[-1])
        if end - begin <= up[-1] - up[-2] - 1:
            return None
        reason = "the target holds more records at its end than the source had: " + FOREIGN
        return Range(position, self.log.end, len(records) - begin, reason)
