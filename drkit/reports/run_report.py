"""The final report of a move, ``drkit.run/1``: every figure comes from the journal's evidence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from drkit.domain.lag import Estimated, Exactly, NotKnown
from drkit.domain.lifecycle import Phase
from drkit.domain.naming import printable
from drkit.domain.runs import RunState
from drkit.errors import ExitCode
from drkit.reports.lost_records import loss, loss_lines, lost_records, lost_text, lost_to_json
from drkit.reports.restore_report import SCHEMA as RESTORE_SCHEMA
from drkit.reports.restore_report import restore_report, restore_report_text
from drkit.reports.run_frame import frame, step_lines, steps_of

SCHEMA: Final = "drkit.run/1"

_EXIT_CODES: Final = {
    Phase.SUCCEEDED: ExitCode.DONE,
    Phase.VERIFICATION_MISSED: ExitCode.VERIFICATION,
    Phase.UNDONE: ExitCode.DONE,
    Phase.REFUSED: ExitCode.REFUSED,
    Phase.UNKNOWN: ExitCode.OUTCOME_UNKNOWN,
    Phase.INTERRUPTED: ExitCode.INTERRUPTED,
}

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
    """The report as JSON values; of a restore, ``drkit.restore-run/1``.

    ``rto_seconds``: decision to the first write that the new primary took, an application's if one was seen, else the
    canary's; None if there was none. ``write_outage_seconds``: from the moment at which writes were first refused to
    that write. Both are None where clocks contradict each other. ``records_lost``: 0 in planned mode once the mirror
    was drained, and what verification found all the same: records up to the cut that the new primary has fewer of
    (where they were not counted, those that groups had not read and the mirror never carried), and what the old primary
    took behind the cut; unknown when the source was gone. What is known of it then is in ``records_lost_at_least``,
    ``records_lost_estimate`` and ``records_lost_highest`` (None: nothing is), and in ``loss`` with what it goes by.
    ``objectives``: what was aimed at, whether it was met (None: not known), and what the operator accepted instead.
    """
    if state.is_restore:
        return restore_report(state)
    evidence = state.evidence
    return {
        "schema": SCHEMA,
        **frame(state),
        "rto_seconds": _rto(state),
        "write_outage_seconds": _between(_fenced_at(state), _first_write(evidence)),
        **lost_to_json(lost_records(state)),
        "loss": loss(state),
        "last_mirrored": _last_mirrored(evidence),
        "offsets": evidence.get("translate-offsets", {}).get("offsets", _NO_OFFSETS),
        "objectives": _objectives(state),
        "steps": steps_of(state),
    }


def exit_code(state: RunState) -> ExitCode:
    """The exit code that a run's end means: 6 for a run that is done and missed an objective, too.

    A missed objective is no failure as far as the operator accepted it before the run.
    """
    if state.phase is Phase.SUCCEEDED and not state.is_restore:
        missed = any(objective["met"] is False and not _is_accepted(objective) for objective in _objectives(state))
        return ExitCode.VERIFICATION if missed else ExitCode.DONE
    return _EXIT_CODES.get(state.phase, ExitCode.STOPPED)


def report_text(document: Mapping[str, Any]) -> str:
    """The report for people."""
    if document["schema"] == RESTORE_SCHEMA:
        return restore_report_text(document)
    offsets = document["offsets"]
    replay = "unknown" if offsets["replay_at_most"] is None else f"at most {offsets['replay_at_most']}"
    others = ", ".join(f"{verdict} {offsets[verdict]}" for verdict in ("bounded", "floor", "ahead", "unavailable"))
    lines = [
        f"{document['procedure']} {document['run_id']}: {document['outcome']}",
        f"  {document['from']} to {document['to']}, {document['mode']}",
        f"  records lost       {lost_text(document)}",
        *(f"                     {line}" for line in loss_lines(document["loss"])),
        f"  write outage       {_seconds(document['write_outage_seconds'])}",
        f"  recovery time      {_seconds(document['rto_seconds'])}",
        f"  positions          {offsets['exact']} of {offsets['partitions']} exact; {others}",
        f"  read again         {replay} by translation",
    ]
    if "state" in document:
        lines.append(f"  state              {printable(document['state'])}, not the state bucket")
    lines += [_missed(objective) for objective in document["objectives"] if objective["met"] is False]
    return "\n".join([*lines, *step_lines(document)])


def _first_write(evidence: Mapping[str, Mapping[str, Any]]) -> datetime | None:
    seen = _moment(evidence.get("await-clients", {}).get("first_write_at"))
    return seen or _moment(evidence.get("promote", {}).get("canary_written_at"))


def _fenced_at(state: RunState) -> datetime | None:
    """When writes were first refused.

    A fence that was put again after an interruption has the later moment in its evidence; the outage began with the
    first one.
    """
    fence = state.steps.get("fence-producers")
    if fence is None or not fence.is_done or not fence.evidence.get("fenced_at"):
        return None
    return fence.first_started_at if fence.times_started > 1 else _moment(fence.evidence["fenced_at"])


def _rto(state: RunState) -> float | None:
    return _between(state.started_at, _first_write(state.evidence))


def _objectives(state: RunState) -> list[dict[str, Any]]:
    offsets = state.evidence.get("translate-offsets", {}).get("offsets", {})
    found = {
        "rto_seconds": (_rto(state), None),
        "rpo_records": (_loss_to_judge(state), "accept_loss"),
        "replay_records": (offsets.get("replay_at_most"), "accept_replay"),
    }
    objectives = []
    for name, (value, accepted_by) in found.items():
        limit = state.plan.objectives.get(name)
        if isinstance(limit, int | float):
            objective = {"name": name, "limit": limit, "value": value, "met": None if value is None else value <= limit}
            accepted = state.plan.options.get(accepted_by) if accepted_by else None
            objectives.append(objective if accepted is None else {**objective, "accepted": accepted})
    return objectives


def _loss_to_judge(state: RunState) -> int | None:
    """The records lost, or what is known of them where that is too much already; None where it may be well."""
    lost, limit = lost_records(state), state.plan.objectives.get("rpo_records")
    if isinstance(lost, Exactly):
        return lost.records
    known = lost.at_least if isinstance(lost, Estimated | NotKnown) else 0
    return known if isinstance(limit, int) and known > limit else None


def _is_accepted(objective: Mapping[str, Any]) -> bool:
    accepted = objective.get("accepted")
    return accepted == "unknown" or (isinstance(accepted, int) and objective["value"] <= accepted)


def _missed(objective: Mapping[str, Any]) -> str:
    unit = "s" if objective["name"].endswith("_seconds") else "records"
    accepted = f"; accepted: {objective['accepted']}" if _is_accepted(objective) else ""
    return (
        f"  missed             {objective['name']}: {objective['value']} {unit}, the objective is "
        f"{objective['limit']} {unit}{accepted}"
    )


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _between(begin: datetime | None, end: datetime | None) -> float | None:
    if begin is None or end is None or begin.utcoffset() is None or end.utcoffset() is None:
        return None
    # The two may be of different machines' clocks: a negative duration is no figure.
    seconds = round((end - begin).total_seconds(), 3)
    return seconds if seconds >= 0 else None


def _last_mirrored(evidence: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int | None]]:
    cut: Mapping[str, Mapping[str, Mapping[str, Any]]] = evidence.get("cut", {}).get("cut", {})
    return {
        topic: {number: ends["source_last"] for number, ends in partitions.items()} for topic, partitions in cut.items()
    }


def _seconds(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f} s"
