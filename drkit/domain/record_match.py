"""Where counting cannot decide, the record itself may: its copy is looked for between the two bounds.

MM2 carries key, value, headers and timestamp over, so that a copy has its record's digest (``drkit.domain.digests``).
Records may be equal all the same, and copies repeated, so that a match says only what is certain:

* one copy of a record that was certainly mirrored: that is its last one, and the position is exact;
* several, where every record was copied once: the record before tells which one, if it is known;
* several otherwise, where the mirror has got past whatever it had copied before a restart: the last copy is the
  position, as the last copies of all that follows are behind it (``drkit.domain.copies`` tells which are copies);
* several otherwise: the lowest is safe, as the last copy is one of them;
* none: the record is not where the syncs put it. The two contradict each other, and the safe bound stays.

A compacted target is no place for this: the copy may be gone, and an equal record be left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from drkit.domain.copies import copies_among, to_be_known
from drkit.domain.course import Course
from drkit.domain.digests import Fingerprint
from drkit.domain.samples import Alone, Mark, PositionSample
from drkit.domain.verdicts import Bounded, Exact, Range

MATCHED = "record match"


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: the first record of a position, or, where the source ended there, what follows the last one.

    ``bracket``: where. ``request``: the target offsets (end excluded) that hold every candidate of it, and the record
    before each. ``is_unique``: every record in it was copied once. ``is_mirrored``: the
    sampled record was certainly copied. ``course``: of the copies, where the record's last copy decides.
    """

    sample: PositionSample
    bracket: Range
    request: tuple[int, int]
    is_unique: bool
    is_mirrored: bool
    course: Course | None = None

    def find(self, target: Sequence[Fingerprint]) -> Exact | Bounded:
        """The verdict. ``target``: the committed records of ``request``, in order."""
        first, before = self.sample.first, self.sample.before
        if first is None and not (self.is_unique and self._shows_what_is_before(target)):
            # What follows the last record of then may be there more than once, or far from that one's copy.
            return self._undecided("what the group reads next had not been written when the source was seen")
        places = self._places(target)
        if self.is_unique and first is not None and before is not None and self._reaches_below(target):
            followed = {two.offset for one, two in pairwise(target) if one.digest == before.digest}
            if self.is_mirrored and places and followed.isdisjoint(places):
                return self._undecided("contradiction: the record matches, and the one before it does not")
            places = [place for place in places if place in followed]
        if not places:
            contradicts = "contradiction: the record is not between them"
            return self._undecided(contradicts if self.is_mirrored else "the record is not there")
        if len(places) == 1 and self.is_mirrored:
            return Exact(places[0], MATCHED)
        if self.is_mirrored and self.course is not None and first is not None:
            return self._last_of(places, target, self.course, first)
        # An equal record of earlier may stand where the sampled one has not arrived.
        alike = f"{len(places)} records look the same" if len(places) > 1 else "another may look the same"
        return self._lowest(places[0], places[-1] if self.is_mirrored else self.bracket.high, alike)

    def to_be_known(self, target: Sequence[Fingerprint]) -> Alone | None:
        """Within which source offsets the sampled record has to be alone for ``find`` to decide; None if none would do.

        Asked where ``find`` did not decide.
        """
        first, course = self.sample.first, self.course
        places = self._places(target)
        if first is None or course is None or not self.is_mirrored or len(places) < 2:
            return None
        return to_be_known(course, places, first.offset)

    def _last_of(
        self, places: list[int], target: Sequence[Fingerprint], course: Course, first: Mark
    ) -> Exact | Bounded:
        alike = [one.offset for one in target if one.digest == first.digest]
        copies = copies_among(course, alike, self.request, first.offset, self.sample.alone)
        certain = [at for at in copies.certain if at in places]
        # The last copy is at or behind every copy.
        lowest = certain[-1:]
        left = [at for at in copies.doubtful if at in places and at > max(lowest, default=-1)]
        if not certain and not left:
            return self._undecided("contradiction: what looks like the record was not copied from near it")
        if len(lowest) + len(left) == 1:
            return Exact((lowest or left)[0], f"{MATCHED}: its last copy")
        return self._lowest((lowest or left)[0], left[-1], f"{len(lowest) + len(left)} records look the same")

    def _lowest(self, low: int, high: int, alike: str) -> Bounded:
        return Bounded(low, min(max(1, high - low), self.bracket.at_most), f"{MATCHED}: {alike}")

    def _undecided(self, what: str) -> Bounded:
        return Bounded(self.bracket.low, self.bracket.at_most, f"{self.bracket.reason}; {what}")

    def _places(self, target: Sequence[Fingerprint]) -> list[int]:
        low, high = self.bracket.low, self.bracket.high
        if self.sample.first is not None:
            digest = self.sample.first.digest
            return [one.offset for one in target if one.digest == digest and low <= one.offset <= high]
        if self.sample.before is None:
            return []
        digest = self.sample.before.digest
        following = [*(one.offset for one in target[1:]), high]
        return [at for one, at in zip(target, following, strict=False) if one.digest == digest and low <= at <= high]

    def _reaches_below(self, target: Sequence[Fingerprint]) -> bool:
        return len(target) > 0 and target[0].offset < self.bracket.low

    def _shows_what_is_before(self, target: Sequence[Fingerprint]) -> bool:
        return self.request[0] == 0 or self._reaches_below(target)
