"""The offset syncs of one partition, folded into pairs that increase on both sides.

A sync says that the record at an upstream offset has a copy at a downstream offset. MM2 writes them in the order of the
copies, so both offsets increase, and what does not tells what happened:

==========================  ============================================================================================
next sync                   meaning
==========================  ============================================================================================
both higher                 the next pair
the same                    sent twice
downstream higher only      a task started again, and copies records again (or the source topic was made anew): pairs
                            from this upstream offset on no longer tell where the *last* copy is
both lower, but above the   overtaken by the one before: syncs are taken and sent by two threads (``OffsetSyncWriter``)
last pair but one
downstream not higher       the target topic was made anew: every earlier pair is of a log that is gone
==========================  ============================================================================================
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

NO_COPY: Final = -1
"""Below every offset."""


class Anchors:
    """Pairs in order, in 16 bytes each; ``extend`` goes on where it stopped, so that a topic is folded once.

    ``unique_from``: downstream offset of the last sync that shows records being copied again, -1 if there is none.
    Below it any record may have more copies than one.
    ``highest``: the highest upstream offset that a sync ever named before such a restart, with its copy's offset.
    """

    __slots__ = ("downstream", "highest", "unique_from", "upstream")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self.upstream = array("q")
        self.downstream = array("q")
        self.unique_from = NO_COPY
        self.highest = (NO_COPY, NO_COPY)
        self.extend(pairs)

    def __len__(self) -> int:
        return len(self.upstream)

    def pairs(self) -> Iterable[tuple[int, int]]:
        """The pairs that are left, in order."""
        return zip(self.upstream, self.downstream, strict=True)

    def extend(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Add syncs, ``(upstream, downstream)``, in the order of the offset-syncs topic."""
        ups, downs = self.upstream, self.downstream
        last_up, last_down = (ups[-1], downs[-1]) if ups else (NO_COPY, NO_COPY)
        for up, down in pairs:
            if up > last_up and down > last_down:
                ups.append(up)
                downs.append(down)
            else:
                self._add_irregular(up, down)
            last_up, last_down = ups[-1], downs[-1]

    def _add_irregular(self, up: int, down: int) -> None:
        ups, downs = self.upstream, self.downstream
        last = (ups[-1], downs[-1])
        if (up, down) == last:
            return
        if down > last[1]:
            self._rewind(up, down)
        elif len(ups) > 1 and ups[-2] < up < last[0] and downs[-2] < down < last[1]:
            ups.insert(-1, up)
            downs.insert(-1, down)
        else:
            del ups[:], downs[:]
            self.unique_from, self.highest = NO_COPY, (NO_COPY, NO_COPY)
            ups.append(up)
            downs.append(down)

    def _rewind(self, up: int, down: int) -> None:
        ups, downs = self.upstream, self.downstream
        self.highest = max(self.highest, (ups[-1], downs[-1]))
        while ups and ups[-1] >= up:
            ups.pop()
            downs.pop()
        ups.append(up)
        downs.append(down)
        self.unique_from = down
