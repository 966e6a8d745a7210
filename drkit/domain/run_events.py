"""The events of a run. Each is checked when it is made, and so again when it is read from a journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final, Literal

from pydantic import ConfigDict, JsonValue
from pydantic.dataclasses import dataclass as model

from drkit.domain.lifecycle import Phase
from drkit.domain.mode import FailoverMode

_STRICT: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

JsonObject = Mapping[str, JsonValue]


@model(frozen=True, slots=True, config=_STRICT)
class StepIdentity:
    """A step as the plan names it; ``is_effect`` is False for one that only reads.

    ``budget_seconds``: the longest that it was to wait, None for one that does not, or where nobody wrote it down.
    """

    name: str
    version: int
    is_effect: bool
    budget_seconds: float | None = None


@model(frozen=True, slots=True, config=_STRICT)
class RunPlanned:
    """The run begins: what is to be done, by whom, under which configuration. The decision, from which RTO counts.

    ``plan_digest`` and ``settings_digest`` are SHA-256 in hexadecimal; ``options`` what was asked for on the command
    line; ``objectives`` the figures in force; ``undo_on_failure`` whether a failure before the point of no return
    undoes the run by itself.
    """

    procedure: str
    mode: FailoverMode
    source: str
    target: str
    steps: tuple[StepIdentity, ...]
    no_return_after: str
    options: JsonObject
    objectives: JsonObject
    plan_digest: str
    settings_digest: str
    config_path: str | None
    operator: str
    undo_on_failure: bool
    supersedes: str | None = None
    """The unfinished run that this one takes the place of (since format 2)."""
    kind: Literal["run_planned"] = "run_planned"


@model(frozen=True, slots=True, config=_STRICT)
class RunTakenOver:
    """Another process goes on with the run; from here on every append of the earlier one fails."""

    by: str
    purpose: Literal["resume", "abort"]
    previous: str
    """Who had the run before; empty if nobody held its lease any more."""
    accepted: Mapping[str, JsonValue] = field(default_factory=dict)
    """Risks that are accepted from here on: ``accept_loss``, ``accept_replay``."""
    kind: Literal["run_taken_over"] = "run_taken_over"


@model(frozen=True, slots=True, config=_STRICT)
class StepStarted:
    """The intent: the step's effect may happen from here on. Only steps with an effect have one."""

    step: str
    intent: str
    kind: Literal["step_started"] = "step_started"


@model(frozen=True, slots=True, config=_STRICT)
class StepSucceeded:
    """The step's effect is proved. ``satisfied``: it was there already. ``seconds``: what the step took."""

    step: str
    evidence: JsonObject
    seconds: float
    satisfied: bool
    kind: Literal["step_succeeded"] = "step_succeeded"


@model(frozen=True, slots=True, config=_STRICT)
class StepMissed:
    """A verification after the point of no return found a difference; the run goes on and ends with it on record."""

    step: str
    reason: str
    hint: str
    evidence: JsonObject
    seconds: float
    kind: Literal["step_missed"] = "step_missed"


@model(frozen=True, slots=True, config=_STRICT)
class StepFailed:
    """The step failed, and it is known that it did. ``exit_code`` is the one of its error."""

    step: str
    reason: str
    hint: str
    exit_code: int
    seconds: float
    kind: Literal["step_failed"] = "step_failed"


@model(frozen=True, slots=True, config=_STRICT)
class StepUnknown:
    """Nobody can tell whether the step's effect happened."""

    step: str
    reason: str
    hint: str
    seconds: float
    kind: Literal["step_unknown"] = "step_unknown"


@model(frozen=True, slots=True, config=_STRICT)
class RunInterrupted:
    """A signal stopped the process. ``step`` was under way; None between steps."""

    step: str | None
    signal: str
    kind: Literal["run_interrupted"] = "run_interrupted"


@model(frozen=True, slots=True, config=_STRICT)
class AbortStarted:
    """What the run has changed is going to be undone, in reverse order."""

    reason: str
    kind: Literal["abort_started"] = "abort_started"


@model(frozen=True, slots=True, config=_STRICT)
class AbortWithdrawn:
    """The first step to be undone refused, so nothing was undone: the run can be resumed as before."""

    step: str
    reason: str
    hint: str
    kind: Literal["abort_withdrawn"] = "abort_withdrawn"


@model(frozen=True, slots=True, config=_STRICT)
class CompensationStarted:
    """The intent to undo a step."""

    step: str
    kind: Literal["compensation_started"] = "compensation_started"


@model(frozen=True, slots=True, config=_STRICT)
class CompensationDone:
    """The step is undone."""

    step: str
    evidence: JsonObject
    seconds: float
    kind: Literal["compensation_done"] = "compensation_done"


@model(frozen=True, slots=True, config=_STRICT)
class CompensationDeferred:
    """What the step changed cannot be reached now. The steps before it are undone all the same; this one is owed.

    Since format 2.
    """

    step: str
    reason: str
    hint: str
    exit_code: int
    seconds: float
    kind: Literal["compensation_deferred"] = "compensation_deferred"


@model(frozen=True, slots=True, config=_STRICT)
class CompensationFailed:
    """The step could not be undone; an abort that is run again goes on here."""

    step: str
    reason: str
    hint: str
    exit_code: int
    seconds: float
    kind: Literal["compensation_failed"] = "compensation_failed"


@model(frozen=True, slots=True, config=_STRICT)
class RunFinished:
    """The run is over."""

    outcome: Literal[Phase.SUCCEEDED, Phase.VERIFICATION_MISSED, Phase.REFUSED, Phase.UNDONE]
    kind: Literal["run_finished"] = "run_finished"


@model(frozen=True, slots=True, config=_STRICT)
class RunSuperseded:
    """A later run has taken this one's place, with whatever it had changed. Since format 2."""

    by: str
    kind: Literal["run_superseded"] = "run_superseded"


StepEvent = StepStarted | StepSucceeded | StepMissed | StepFailed | StepUnknown
CompensationEvent = CompensationStarted | CompensationDone | CompensationDeferred | CompensationFailed
Event = (
    RunPlanned
    | RunTakenOver
    | StepEvent
    | CompensationEvent
    | RunInterrupted
    | AbortStarted
    | AbortWithdrawn
    | RunFinished
    | RunSuperseded
)
