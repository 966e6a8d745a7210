"""Where the target's log begins and ends, and how far the flow came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drkit.domain.anchors import NO_COPY, Anchors
from drkit.domain.verdicts import Ahead, Exact


@dataclass(frozen=True, slots=True)
class TargetLog:
    """The target partition's first retained offset and its end (next offset)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tail:
    """How far the flow came.

    ``upstream_last``: source offset of the last mirrored record (Connect's own, read before the target's log end),
    None if there is none. ``downstream_last``: offset of the last data record in the target, None if it holds none.
    ``drained_to``: source log end below which nothing is left to mirror; None if that was not proved.
    ``is_final``: the two belong together, because the mirror was stopped, or drained, before they were read, and no
    transaction was open on the target (``LogRange.is_settled``). Follows from ``drained_to``.
    ``in_order``: without exactly-once, whether it was not killed: Connect's offsets of a killed worker are behind, and
    are a pair only of a source without holes, where that can be checked.
    """

    upstream_last: int | None
    downstream_last: int | None
    drained_to: int | None = None
    is_final: bool = False
    in_order: bool = True


def closing(anchors: Anchors, tail: Tail) -> tuple[tuple[int, int] | None, int | None]:
    """The tail's own pair, or, where nothing follows the last sync, the last mirrored source offset (-1: nothing)."""
    last_up, last_down = (anchors.upstream[-1], anchors.downstream[-1]) if len(anchors) else (NO_COPY, NO_COPY)
    at, mirrored = tail.downstream_last, tail.upstream_last
    if not tail.is_final and tail.drained_to is None:
        return None, None
    if at is None or at <= last_down:
        # Without any sync and any Connect offset, nothing was ever mirrored.
        is_known = mirrored is not None or at == last_down or last_up == NO_COPY
        return None, max(last_up, NO_COPY if mirrored is None else mirrored) if is_known else None
    return (None if mirrored is None else (mirrored, at)), None


def beyond(upstream: int, mirrored: int, end: int, drained_to: int | None) -> Exact | Ahead:
    """Where a group continues that had consumed all that was mirrored, or more. ``end``: the target's log end."""
    if drained_to is not None and upstream <= drained_to:
        return Exact(end, "everything was mirrored: the group continues at the end")
    if upstream == mirrored + 1:
        return Exact(end, "the group had consumed exactly what was mirrored")
    if drained_to is not None:
        return Ahead(end, upstream - drained_to, f"beyond the source's end at {drained_to}")
    what = f"up to {mirrored}" if mirrored >= 0 else "nothing"
    return Ahead(end, upstream - mirrored - 1, f"mirrored {what}, consumed up to {upstream - 1}")


def joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Ranges of a log, ends excluded, in order, none overlapping or touching another."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)
