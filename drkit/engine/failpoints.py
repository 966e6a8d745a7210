"""Named points on both sides of every effect, where a test kills the process. Off unless ``DRKIT_FAILPOINT`` is set."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

from drkit.engine.step import Procedure

_VARIABLE: Final = "DRKIT_FAILPOINT"
_hits: Counter[str] = Counter()

AROUND_EFFECT: Final = ("before-intent", "after-intent", "after-apply", "after-evidence")
AROUND_UNDO: Final = ("before-undo", "after-undo")


def hit(step: str, point: str) -> None:
    """Die here if the environment says so: ``DRKIT_FAILPOINT=<step>:<point>[:<n-th hit>]``."""
    wanted = os.environ.get(_VARIABLE)
    if not wanted:
        return
    name = f"{step}:{point}"
    _hits[name] += 1
    if wanted in (name, f"{name}:{_hits[name]}"):
        os.kill(os.getpid(), signal.SIGKILL)


def names(procedure: Procedure) -> tuple[str, ...]:
    """Every failpoint of a procedure."""
    effects = [step.name for step in procedure.steps if step.is_effect]
    return tuple(f"{name}:{point}" for name in effects for point in (*AROUND_EFFECT, *AROUND_UNDO))
