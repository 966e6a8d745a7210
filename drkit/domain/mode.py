"""Which mode a failover runs in, from what was asked for and the health of both regions.

The tables here are the whole of the decision; the tests enumerate them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from drkit.domain.health import Degraded, Finding, Healthy, Problem, Unknown, Unreachable, Verdict


class RequestedMode(StrEnum):
    """``--mode``."""

    AUTO = "auto"
    PLANNED = "planned"
    DISASTER = "disaster"


class FailoverMode(StrEnum):
    """The mode that applies."""

    PLANNED = "planned"
    DISASTER = "disaster"


@dataclass(frozen=True, slots=True)
class ModeChosen:
    """The mode, and why. ``warnings``: what is wrong and does not forbid it."""

    mode: FailoverMode
    reason: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModeRefused:
    """No mode applies: nothing is to be changed."""

    reason: str
    hint: str


ModeDecision = ModeChosen | ModeRefused

_NO_PRIMARY: Final = frozenset(
    {
        Problem.PARTITIONS_UNREADABLE,
        Problem.LEADERLESS,
        Problem.BELOW_MIN_ISR,
        Problem.CANARY_FAILED,
        # Without Kafka Connect the mirror can neither be stopped nor asked how far it came.
        Problem.MIRROR_UNREADABLE,
    }
)
"""What keeps a region from becoming the primary, however urgent."""

_NOT_NOW: Final = _NO_PRIMARY | {
    Problem.FLAPPING,
    Problem.CONNECTOR_MISSING,
    Problem.CONNECTOR_NOT_RUNNING,
    Problem.NO_TASK,
    Problem.TASK_FAILED,
    Problem.PROBE_DOWN,
    Problem.PROBE_SILENT,
    # What applications wrote there is no copy: positions are counted from copies, and would skip it.
    Problem.STANDBY_OPEN,
}
"""What forbids a planned move, which can wait: a mirror that cannot drain, applications that are not up there, a log
that is not the mirror's alone."""

_MIRROR: Final = frozenset(
    {Problem.CONNECTOR_MISSING, Problem.CONNECTOR_NOT_RUNNING, Problem.NO_TASK, Problem.TASK_FAILED}
)
_MEND_MIRROR: Final = "drkit mm2 apply --resume makes the connectors that are missing, and starts what has stopped"
_PUT_RIGHT: Final = "put that right first: drkit check and drkit mm2 status show it"

TARGET_BLOCKERS: Final = {FailoverMode.PLANNED: _NOT_NOW, FailoverMode.DISASTER: _NO_PRIMARY}


def decide_mode(
    requested: RequestedMode, source: Verdict, target: Verdict, *, source_is_gone: bool = False
) -> ModeDecision:
    """The mode for a move from ``source`` to ``target``.

    ============  =======================  ===================  ==================
    requested     source answers           source unreachable   source unknown
    ============  =======================  ===================  ==================
    auto          planned                  disaster             refused
    planned       planned                  refused              refused
    disaster      refused                  disaster             refused
    ============  =======================  ===================  ==================

    ``source_is_gone`` (``--source-is-gone``) makes every column the middle one. A target that is not fit for the mode
    refuses it. A source "answers" when it is healthy or degraded.
    """
    decision = _by_source(requested, source, source_is_gone=source_is_gone)
    return decision if isinstance(decision, ModeRefused) else _with_target(decision, target)


def _by_source(requested: RequestedMode, source: Verdict, *, source_is_gone: bool) -> ModeDecision:
    answers = isinstance(source, Healthy | Degraded)
    gone = source_is_gone or isinstance(source, Unreachable)
    if requested is RequestedMode.PLANNED and gone:
        why = "--source-is-gone contradicts it" if source_is_gone else f"the source is unreachable: {_text(source)}"
        return ModeRefused(
            f"planned mode drains a source that answers, and {why}",
            "drkit failover --mode disaster moves without the source",
        )
    if gone:
        reason = "the source is declared gone" if source_is_gone else "the source is unreachable"
        return ModeChosen(
            FailoverMode.DISASTER, reason, (f"the source still answers: {_text(source)}",) if answers else ()
        )
    if not answers:
        return ModeRefused(
            f"it cannot be told whether the source is alive: {_text(source)}",
            "clear the contradiction, or, if you know that nothing writes there any more, add --source-is-gone "
            "with --mode disaster",
        )
    if requested is RequestedMode.DISASTER:
        return ModeRefused(
            f"the source answers ({_text(source)}): a disaster failover would lose what planned mode carries over",
            "use --mode planned, or add --source-is-gone if it must be treated as gone",
        )
    warnings = tuple(finding.detail for finding in source.findings)
    return ModeChosen(FailoverMode.PLANNED, "the source answers", warnings)


def _with_target(chosen: ModeChosen, target: Verdict) -> ModeDecision:
    if isinstance(target, Unreachable | Unknown):
        state = "is unreachable" if isinstance(target, Unreachable) else "is in an unknown state"
        return ModeRefused(
            f"the target {state}: {_text(target)}", "bring the target up first: drkit check shows its health"
        )
    blocking = blockers(target, chosen.mode)
    if blocking:
        return ModeRefused(
            f"the target cannot take over in {chosen.mode.value} mode: " + "; ".join(f.detail for f in blocking),
            _PUT_RIGHT if not _MIRROR & {f.problem for f in blocking} else f"{_MEND_MIRROR}; {_PUT_RIGHT}",
        )
    noted = tuple(finding.detail for finding in target.findings)
    return ModeChosen(chosen.mode, chosen.reason, chosen.warnings + noted)


def blockers(target: Verdict, mode: FailoverMode) -> tuple[Finding, ...]:
    """The findings that keep a region from being the target in this mode."""
    return tuple(finding for finding in target.findings if finding.problem in TARGET_BLOCKERS[mode])


def _text(verdict: Verdict) -> str:
    return "; ".join(finding.detail for finding in verdict.findings) or "healthy"
