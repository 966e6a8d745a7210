"""Where counting cannot decide, the record itself may: its copy is looked for between the two bounds.

MM2 carries key, value, headers and timestamp over, so that a copy has its record's digest (``drkit.domain.digests``).
Records may be equal all the same, and copies repeated, so that a match says only what is certain:

* one copy of a record that was certainly mirrored: that is its last one, and the position is exact;
* several, where every record was copied once: the record before tells which one, if it is known;
* several otherwise: the lowest is safe, as the last copy is one of them;
* none: the record is not where the syncs put it. The two contradict each other, and the safe bound stays.

A compacted target is no place for this: the copy may be gone, and an equal record be left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from drkit.domain.digests import Fingerprint
from drkit.domain.samples import PositionSample
from drkit.domain.verdicts import Bounded, Exact, Range

_MATCHED = "record match"


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: the first record of a position, or, where the source ended there, what follows the last one.

    ``bracket``: where. ``request``: the target offsets (end excluded) that hold every candidate of it, and the record
    before each. ``is_unique``: every record in it was copied once. ``is_mirrored``: the
    sampled record was certainly copied.
    """

    sample: PositionSample
    bracket: Range
    request: tuple[int, int]
    is_unique: bool
    is_mirrored: bool

    def find(self, target: Sequence[Fingerprint]) -> Exact | Bounded:
        """The verdict. ``target``: the committed records of ``request``, in order."""
        places = self._places(target)
        if len(places) > 1 and self.is_unique and self.sample.first is not None and self.sample.before is not None:
            places = self._after_its_neighbour(target, places) or places
        if not places:
            what = "contradiction: the record is not between them" if self.is_mirrored else "the record is not there"
            return Bounded(self.bracket.low, self.bracket.at_most, f"{self.bracket.reason}; {what}")
        lowest, highest = places[0], places[-1]
        if lowest == highest and self.is_mirrored:
            return self._confirmed(target, lowest)
        if not self.is_mirrored:
            # An equal record of earlier may stand where the sampled one has not arrived.
            highest = max(highest, self.bracket.high)
        reason = (
            f"{_MATCHED}: {len(places)} records look the same" if len(places) > 1 else f"{_MATCHED}, may be earlier"
        )
        return Bounded(lowest, min(max(1, highest - lowest), self.bracket.at_most), reason)

    def _confirmed(self, target: Sequence[Fingerprint], place: int) -> Exact | Bounded:
        if self.is_unique and self.sample.first is not None and self.sample.before is not None:
            followed = [two.offset for one, two in pairwise(target) if one.digest == self.sample.before.digest]
            has_neighbour = target[0].offset < place
            if has_neighbour and place not in followed:
                reason = f"{self.bracket.reason}; contradiction: the record matches, and the one before it does not"
                return Bounded(self.bracket.low, self.bracket.at_most, reason)
        return Exact(place, _MATCHED)

    def _places(self, target: Sequence[Fingerprint]) -> list[int]:
        low, high = self.bracket.low, self.bracket.high
        if self.sample.first is not None:
            digest = self.sample.first.digest
            return [one.offset for one in target if one.digest == digest and low <= one.offset <= high]
        if self.sample.before is None:
            return []
        digest = self.sample.before.digest
        return [one.offset + 1 for one in target if one.digest == digest and low <= one.offset + 1 <= high]

    def _after_its_neighbour(self, target: Sequence[Fingerprint], places: Sequence[int]) -> list[int]:
        before = self.sample.before
        followed = {two.offset for one, two in pairwise(target) if before is not None and one.digest == before.digest}
        return [place for place in places if place in followed]
