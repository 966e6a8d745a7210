"""The final report of a restore, ``drkit.restore-run/1``: what was put back, what differs, from the journal's evidence.

A restore moves nobody: it has none of a move's figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drkit.domain.naming import printable
from drkit.domain.run_steps import StepOutcome
from drkit.domain.runs import RunState
from drkit.reports.run_frame import frame, step_lines, steps_of

SCHEMA: Final = "drkit.restore-run/1"
_PARTS: Final = ("restore-topics", "restore-schemas", "restore-groups", "restore-acls")


def restore_report(state: RunState) -> dict[str, Any]:
    """The report as JSON values.

    ``made``: changes of each kind. ``differs``: what was left as it was, and what the comparison at the end found.
    ``is_as_backed_up``: whether all that was restored is as in the backup; None as long as that was not compared.
    ``undone``: of a restore that was undone, what of it stays, per step.
    """
    evidence = state.evidence
    made: dict[str, int] = {}
    for part in _PARTS:
        for kind, number in evidence.get(part, {}).get("made", {}).items():
            made[kind] = made.get(kind, 0) + number
    confirmed = state.steps["confirm-restore"]
    checks = confirmed.evidence.get("checks", ())
    is_known = confirmed.is_done
    return {
        "schema": SCHEMA,
        **frame(state),
        "backup_id": state.plan.options.get("backup_id"),
        "made": made,
        "is_as_backed_up": confirmed.outcome is StepOutcome.SUCCEEDED if is_known else None,
        "differs": [f"{check['name']}: {text}" for check in checks for text in check["differences"]],
        "undone": {
            name: dict(step.evidence) for name, step in state.steps.items() if step.outcome is StepOutcome.UNDONE
        },
        "steps": steps_of(state),
    }


def restore_report_text(document: Mapping[str, Any]) -> str:
    """The report for people."""
    made = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in document["made"].items())
    compared = {True: "yes", False: "no", None: "not compared"}[document["is_as_backed_up"]]
    lines = [
        f"restore {document['run_id']}: {document['outcome']}",
        f"  backup             {printable(str(document['backup_id']))} of {document['from']}, to {document['to']}",
        f"  done               {made or 'nothing'}",
        f"  as in the backup   {compared}",
        *(f"    {printable(text)}" for text in document["differs"]),
    ]
    for name, found in document["undone"].items():
        if found.get("kept"):
            lines.append(f"  stays of {name}: {printable(str(found['kept']))}")
    if "state" in document:
        lines.append(f"  state              {printable(document['state'])}, not the state bucket")
    return "\n".join([*lines, *step_lines(document)])
