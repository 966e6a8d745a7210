"""Named points on both sides of every effect, where a test kills or freezes the process.

Off unless the environment says ``DRKIT_FAILPOINT=<where>:<point>[:<n>]``; at the n-th time (the first, where none is
given) that the point is reached, the process kills itself with SIGKILL, as a power cut would. With
``DRKIT_FAILPOINT_SIGNAL=STOP`` it freezes there instead, until somebody sends it SIGCONT.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from drkit.engine.step import Step

_VARIABLE: Final = "DRKIT_FAILPOINT"
_SIGNAL_VARIABLE: Final = "DRKIT_FAILPOINT_SIGNAL"
_hits: Counter[str] = Counter()

AROUND_EFFECT: Final = ("before-intent", "after-intent", "after-apply", "after-evidence")
AROUND_UNDO: Final = ("before-undo-intent", "after-undo-intent", "after-undo", "after-undo-evidence")
RUN: Final = "run"
AROUND_RUN: Final = ("after-plan", "after-take-over", "before-finish", "after-finish", "after-abort-started")
"""Around what the runner itself journals: no step is called ``run``."""
BACKUP: Final = "backup"
PRUNE: Final = "prune"
OUTSIDE_RUNS: Final = {
    BACKUP: ("before-object", "after-object", "before-manifest", "after-manifest"),
    PRUNE: ("before-manifest", "after-manifest", "before-object", "after-object"),
}
"""Around each object that a backup writes and that a prune removes: what is reached again in every replica."""


def hit(where: str, point: str) -> None:
    """Die or freeze here if the environment says so. ``where``: a step's name, ``RUN``, ``BACKUP`` or ``PRUNE``."""
    wanted = os.environ.get(_VARIABLE)
    if not wanted:
        return
    name = f"{where}:{point}"
    _hits[name] += 1
    if wanted == f"{name}:{_hits[name]}" or (wanted == name and _hits[name] == 1):
        frozen = os.environ.get(_SIGNAL_VARIABLE) == "STOP"
        os.kill(os.getpid(), signal.SIGSTOP if frozen else signal.SIGKILL)


def names(steps: Iterable[Step[Any] | type[Step[Any]]], no_return_after: str) -> tuple[str, ...]:
    """Every failpoint of a procedure; a step behind the point of no return is never undone."""
    found = []
    points: tuple[str, ...] = (*AROUND_EFFECT, *AROUND_UNDO)
    for step in steps:
        if step.is_effect:
            found += [f"{step.name}:{point}" for point in points]
        if step.name == no_return_after:
            points = AROUND_EFFECT
    return (*found, *(f"{RUN}:{point}" for point in AROUND_RUN))


def outside_runs(where: str) -> tuple[str, ...]:
    """Every failpoint of ``BACKUP`` or ``PRUNE``, which journal nothing."""
    return tuple(f"{where}:{point}" for point in OUTSIDE_RUNS[where])
