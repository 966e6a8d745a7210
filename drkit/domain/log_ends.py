"""Where the target's log begins and ends, and how far the flow came."""

from __future__ import annotations

from dataclasses import dataclass

from drkit.domain.anchors import NO_COPY, Anchors


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
