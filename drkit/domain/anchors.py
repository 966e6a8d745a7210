"""The offset syncs of one partition, folded into points in the order of the copies.

A sync says that the record at an upstream offset has a copy at a downstream offset. MM2 writes them in the order of the
copies, so downstream offsets increase, and whatever else is seen tells what happened:

==========================  ============================================================================================
next sync                   meaning
==========================  ============================================================================================
both higher                 the next point
the same                    sent twice
downstream higher only      a task started again, and copies records again (or the source topic was made anew): a new
                            *run* begins, within which upstream offsets increase again
both lower, but above the   overtaken by the one before: syncs are taken and sent by two threads (``OffsetSyncWriter``)
last point but one
downstream not higher       the target topic was made anew: every earlier point is of a log that is gone
==========================  ============================================================================================

Points of earlier runs are kept: they tell how far a run had come, and which records it cannot have copied again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

NO_COPY: Final = -1
"""Below every offset."""


class Anchors:
    """Points in 16 bytes each; ``extend`` goes on where it stopped, so that a topic is folded once.

    ``runs``: where a run begins: indices into the points, the first of them 0.
    ``starts``: where Connect says that a task started: the index of the next point, once per start.
    ``starts_known_from``: the index of the first point from which on every start is in ``starts``; None if starts are
    not known. Who tells of starts also vouches that the producer is idempotent, so that nothing else repeats records.
    ``origin``: a target offset that every copy is above.
    ``missed``: the index of the first point after the last gap in what is known of the syncs.
    """

    __slots__ = ("downstream", "missed", "origin", "runs", "starts", "starts_known_from", "upstream")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self.upstream = array("q")
        self.downstream = array("q")
        self.runs: list[int] = []
        self.starts: list[int] = []
        self.starts_known_from: int | None = None
        self.origin = NO_COPY
        self.missed = 0
        self.extend(pairs)

    def __len__(self) -> int:
        return len(self.upstream)

    def pairs(self) -> Iterable[tuple[int, int]]:
        """The points, in order."""
        return zip(self.upstream, self.downstream, strict=True)

    def know_starts(self) -> None:
        """From here on every start of a task is told by ``add_start``, before the syncs that follow it."""
        if self.starts_known_from is None:
            self.starts_known_from = len(self)

    def add_start(self) -> None:
        """A task started after the last sync, and before the next."""
        # Of the first one it matters whether another followed.
        if len(self) == 0 or self.starts[-1:] != [len(self)]:
            self.starts.append(len(self))

    def miss(self) -> None:
        """Syncs are missing after the last one."""
        self.missed = len(self)

    def forget(self) -> None:
        """The target's topic was made anew: what is known is of a log that is gone."""
        del self.upstream[:], self.downstream[:], self.runs[:], self.starts[:]
        self.origin = NO_COPY
        self.missed = 0
        if self.starts_known_from is not None:
            # The next sync may be one that was overtaken: what was told before it is also about what follows it.
            self.starts_known_from = 2

    def extend(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Add syncs, ``(upstream, downstream)``, in the order of the offset-syncs topic."""
        ups, downs = self.upstream, self.downstream
        last_up, last_down = (ups[-1], downs[-1]) if ups else (NO_COPY, NO_COPY)
        for up, down in pairs:
            if up > last_up and down > last_down and ups:
                ups.append(up)
                downs.append(down)
            else:
                self._add_irregular(up, down)
            last_up, last_down = ups[-1], downs[-1]

    def _add_irregular(self, up: int, down: int) -> None:
        ups, downs = self.upstream, self.downstream
        last = len(ups) - 1
        if ups and (up, down) == (ups[last], downs[last]):
            return
        if ups and self._is_overtaken(up, down):
            ups.insert(last, up)
            downs.insert(last, down)
            if last in self.starts[-1:]:
                # Which side of the start it is on, nobody says.
                self.starts.append(last + 1)
            return
        if ups and down <= downs[last]:
            self.forget()
        self.runs.append(len(ups))
        ups.append(up)
        downs.append(down)

    def _is_overtaken(self, up: int, down: int) -> bool:
        ups, downs = self.upstream, self.downstream
        if len(ups) < 2 or not (up < ups[-1] and downs[-2] < down < downs[-1]):
            return False
        return ups[-2] < up or self.runs[-1] == len(ups) - 1
