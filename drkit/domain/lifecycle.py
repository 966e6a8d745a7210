"""The life of a run: phases, triggers and guards as a table of ``transitions``.

The machine has no memory of its own: a run's phase is always the fold of its journal, and every journaled event fires
one trigger here. ``transitions`` is used for its table and its guards alone: no automatic triggers (they would jump
anywhere), no queue (a queued trigger reports success before it ran), no callbacks with effects (a callback that raises
leaves the machine in the new state). A guard that says no makes ``transitions`` answer False; here that is an error.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from transitions import Machine, MachineError

from drkit.errors import DrkitError


class Phase(StrEnum):
    """Where a run is. The last five are final."""

    RUNNING = "running"
    STOPPED = "stopped"
    """A step failed; a resumed run tries it again."""
    UNKNOWN = "unknown"
    """Nobody can tell whether a step's effect happened; a resumed run looks again."""
    INTERRUPTED = "interrupted"
    UNDOING = "undoing"
    UNDO_STOPPED = "undo_stopped"
    """Undoing failed or was interrupted part-way; an abort goes on with it."""
    SUCCEEDED = "succeeded"
    VERIFICATION_MISSED = "verification_missed"
    """Everything is done, and a verification found a difference."""
    REFUSED = "refused"
    """Ended before anything was changed."""
    UNDONE = "undone"
    """Everything that was changed has been undone."""
    SUPERSEDED = "superseded"
    """A later run went on from what this one had changed."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to the run."""
        return self in _FINAL


_FINAL: Final = frozenset({Phase.SUCCEEDED, Phase.VERIFICATION_MISSED, Phase.REFUSED, Phase.UNDONE, Phase.SUPERSEDED})


class Trigger(StrEnum):
    """What happens to a run; one per kind of journaled event."""

    TAKE_OVER = "take_over"
    ADVANCE = "advance"
    """A step starts, succeeds or misses its verification."""
    FAIL = "fail"
    LOSE_SIGHT = "lose_sight"
    INTERRUPT = "interrupt"
    UNDO = "undo"
    WITHDRAW_UNDO = "withdraw_undo"
    """The undoing was refused before it had changed anything."""
    ADVANCE_UNDO = "advance_undo"
    """The undoing of a step begins, is done, or has to wait."""
    FAIL_UNDO = "fail_undo"
    SUCCEED = "succeed"
    MISS = "miss"
    REFUSE = "refuse"
    FINISH_UNDO = "finish_undo"
    SUPERSEDE = "supersede"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the guards ask about a run."""

    is_past_no_return: bool = False
    is_changed: bool = False
    """A step with an effect has been started and not been undone."""
    is_undo_begun: bool = False
    """At least one step has been undone."""
    is_complete: bool = False
    """Every step has succeeded, or missed its verification."""
    has_missed: bool = False
    """A verification found a difference."""


class LifecycleError(DrkitError):
    """Something happened to a run that cannot happen in its phase."""


_RESUMABLE: Final = [Phase.RUNNING, Phase.STOPPED, Phase.UNKNOWN, Phase.INTERRUPTED]
_BEING_UNDONE: Final = [Phase.UNDOING, Phase.UNDO_STOPPED]

TRANSITIONS: Final[list[dict[str, Any]]] = [
    {"trigger": Trigger.TAKE_OVER, "source": _RESUMABLE, "dest": Phase.RUNNING},
    {"trigger": Trigger.TAKE_OVER, "source": _BEING_UNDONE, "dest": Phase.UNDOING},
    {"trigger": Trigger.ADVANCE, "source": Phase.RUNNING, "dest": Phase.RUNNING},
    {"trigger": Trigger.FAIL, "source": Phase.RUNNING, "dest": Phase.STOPPED},
    {"trigger": Trigger.LOSE_SIGHT, "source": Phase.RUNNING, "dest": Phase.UNKNOWN},
    {"trigger": Trigger.INTERRUPT, "source": Phase.RUNNING, "dest": Phase.INTERRUPTED},
    {"trigger": Trigger.INTERRUPT, "source": Phase.UNDOING, "dest": Phase.UNDO_STOPPED},
    {"trigger": Trigger.UNDO, "source": _RESUMABLE, "dest": Phase.UNDOING, "unless": "is_past_no_return"},
    {"trigger": Trigger.WITHDRAW_UNDO, "source": Phase.UNDOING, "dest": Phase.STOPPED, "unless": "is_undo_begun"},
    {"trigger": Trigger.ADVANCE_UNDO, "source": Phase.UNDOING, "dest": Phase.UNDOING},
    {"trigger": Trigger.FAIL_UNDO, "source": Phase.UNDOING, "dest": Phase.UNDO_STOPPED},
    {
        "trigger": Trigger.SUCCEED,
        "source": Phase.RUNNING,
        "dest": Phase.SUCCEEDED,
        "conditions": "is_complete",
        "unless": "has_missed",
    },
    {
        "trigger": Trigger.MISS,
        "source": Phase.RUNNING,
        "dest": Phase.VERIFICATION_MISSED,
        "conditions": ["is_complete", "has_missed"],
    },
    {"trigger": Trigger.REFUSE, "source": Phase.STOPPED, "dest": Phase.REFUSED, "unless": "is_changed"},
    {"trigger": Trigger.FINISH_UNDO, "source": Phase.UNDOING, "dest": Phase.UNDONE, "unless": "is_changed"},
    {"trigger": Trigger.SUPERSEDE, "source": [*_RESUMABLE, *_BEING_UNDONE], "dest": Phase.SUPERSEDED},
]


@dataclass(slots=True)
class _Run:
    """What the machine moves: a phase, and the facts under the names that the guards use."""

    state: Phase
    is_past_no_return: bool
    is_changed: bool
    is_undo_begun: bool
    is_complete: bool
    has_missed: bool


@cache
def _machine() -> Machine:
    # Without a model: nothing is bound to anything, so that no method can stand in for a trigger of its name.
    return Machine(model=None, states=Phase, transitions=TRANSITIONS, initial=Phase.RUNNING, auto_transitions=False)


@cache
def next_phase(phase: Phase, trigger: Trigger, facts: Facts) -> Phase:
    """The phase after ``trigger``.

    Raises ``LifecycleError`` where the table has no such transition or a guard forbids it.
    """
    run = _Run(phase, **asdict(facts))
    try:
        moved = _machine().events[trigger.value].trigger(run)
    except MachineError as error:
        raise LifecycleError(f"a run that is {phase.value} cannot {_verb(trigger)}") from error
    if not moved:
        raise LifecycleError(f"a run that is {phase.value} may not {_verb(trigger)} now: {facts}")
    return run.state


def _verb(trigger: Trigger) -> str:
    return trigger.value.replace("_", " ")
