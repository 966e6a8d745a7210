"""The final report of a run, ``drkit.run/1``: every figure comes from the journal's evidence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from drkit.domain.lifecycle import Phase
from drkit.domain.mode import FailoverMode
from drkit.domain.runs import RunState, StepOutcome
from drkit.errors import ExitCode

SCHEMA: Final = "drkit.run/1"

_NO_OFFSETS: Final = {
    "groups": 0,
    "partitions": 0,
    "exact": 0,
    "bounded": 0,
    "floor": 0,
    "ahead": 0,
    "unavailable": 0,
    "replay_at_most": None,
}


def report(state: RunState) -> dict[str, Any]:
    """The report as JSON values.

    ``rto_seconds``: decision to the first write that the new primary took, an application's if one was seen, else the
    canary's; None if there was none. ``write_outage_seconds``: from the fence's refusal to that write.
    ``records_lost``: 0 in planned mode once the mirror was drained; unknown when the source was gone.
    """
    evidence = state.evidence
    first_write = _first_write(evidence)
    fenced_at = evidence.get("fence-producers", {}).get("fenced_at")
    return {
        "schema": SCHEMA,
        "run_id": state.run_id,
        "procedure": state.plan.procedure,
        "mode": state.plan.mode.value,
        "from": state.plan.source,
        "to": state.plan.target,
        "outcome": state.phase.value,
        "started_at": state.started_at.isoformat(),
        "operator": state.plan.operator,
        "accepted": dict(state.plan.options),
        "rto_seconds": _between(state.started_at.isoformat(), first_write),
        "write_outage_seconds": _between(fenced_at, first_write),
        "records_lost": _lost(state),
        "last_mirrored": _last_mirrored(evidence),
        "offsets": evidence.get("translate-offsets", {}).get("offsets", _NO_OFFSETS),
        "steps": [
            {
                "name": step.name,
                "outcome": step.outcome.value,
                "seconds": step.seconds,
                "reason": step.reason,
                "evidence": dict(step.evidence),
            }
            for step in state.steps.values()
        ],
    }


def exit_code(state: RunState) -> ExitCode:
    """The exit code that a run's end means."""
    codes = {Phase.SUCCEEDED: ExitCode.DONE, Phase.VERIFICATION_MISSED: ExitCode.VERIFICATION}
    return codes.get(state.phase, ExitCode.DONE if state.phase is Phase.UNDONE else ExitCode.STOPPED)


def report_text(document: Mapping[str, Any]) -> str:
    """The report for people."""
    lost, offsets = document["records_lost"], document["offsets"]
    records = "unknown: whatever had not been mirrored" if lost["unknown"] else str(lost["known"])
    replay = "unknown" if offsets["replay_at_most"] is None else f"at most {offsets['replay_at_most']}"
    others = ", ".join(f"{verdict} {offsets[verdict]}" for verdict in ("bounded", "floor", "ahead", "unavailable"))
    lines = [
        f"{document['procedure']} {document['run_id']}: {document['outcome']}",
        f"  {document['from']} to {document['to']}, {document['mode']}",
        f"  records lost       {records}",
        f"  write outage       {_seconds(document['write_outage_seconds'])}",
        f"  recovery time      {_seconds(document['rto_seconds'])}",
        f"  positions          {offsets['exact']} of {offsets['partitions']} exact, {offsets['groups']} groups; {others}",
        f"  read again         {replay} by translation",
    ]
    for step in document["steps"]:
        if step["outcome"] != StepOutcome.PENDING.value:
            reason = f"  {step['reason']}" if step["reason"] else ""
            lines.append(f"    {step['name']:<18} {step['outcome']:<10} {step['seconds']:8.2f} s{reason}")
    return "\n".join(lines)


def _first_write(evidence: Mapping[str, Mapping[str, Any]]) -> str | None:
    seen = evidence.get("await-clients", {}).get("first_write_at")
    return seen or evidence.get("promote", {}).get("canary_written_at")


def _between(begin: str | None, end: str | None) -> float | None:
    if begin is None or end is None:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds(), 3)


def _lost(state: RunState) -> dict[str, Any]:
    drained = state.steps.get("drain-mirror")
    if state.plan.mode is FailoverMode.PLANNED:
        # Before the drain succeeded nothing was given up: the run would stop rather than lose a record.
        known = drained is not None and drained.outcome is StepOutcome.SUCCEEDED
        return {"known": 0, "unknown": not known}
    return {"known": 0, "unknown": True}


def _last_mirrored(evidence: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int | None]]:
    cut: Mapping[str, Mapping[str, Mapping[str, Any]]] = evidence.get("cut", {}).get("cut", {})
    return {
        topic: {number: ends["source_last"] for number, ends in partitions.items()} for topic, partitions in cut.items()
    }


def _seconds(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f} s"
