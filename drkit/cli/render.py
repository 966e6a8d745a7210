"""Text for people from the documents that ``--output json`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drkit.domain.lag import amount_from_json, amount_text
from drkit.domain.naming import printable
from drkit.reports.lost_records import loss_lines
from drkit.reports.run_report import report_text

if TYPE_CHECKING:
    from drkit.procedures.plan import Plan

__all__ = ["aligned", "check_text", "plan_text", "positions_text", "report_text", "runs_text", "status_text"]

_SHOWN_POSITIONS = 40


def plan_text(plan: Plan) -> str:
    """The plan: direction, health, forecast, steps, and what forbids it."""
    return _plan_text(plan.document)


def check_text(document: Mapping[str, Any]) -> str:
    """Readiness."""
    lines = [f"a failover to {document['to']} {'is possible' if document['ready'] else 'would be refused'}"]
    lines += [f"  state kept in {printable(document['state'])}, not in the state bucket"] if "state" in document else []
    lines += [f"  {printable(problem)}" for problem in document["problems"]]
    lines += [f"  note: {printable(note)}" for note in document["notes"]]
    if document["hint"]:
        lines.append(f"  next: {document['hint']}")
    if document["plan"]:
        lines += ["", _plan_text(document["plan"])]
    return "\n".join(lines)


def status_text(document: Mapping[str, Any]) -> str:
    """The status."""
    text: str = document["text"]
    return text


def runs_text(document: Mapping[str, Any]) -> str:
    """One line per run."""
    rows = [
        (
            run["run_id"],
            run["outcome"],
            f"{run['from']} to {run['to']}" if "from" in run else printable(run.get("reason", "")),
            # A restore has the mode of its journal alone: it moves nobody.
            "restore" if run.get("procedure") == "restore" else run.get("mode", ""),
            run.get("operator", ""),
        )
        for run in document["runs"]
    ]
    return aligned(rows) if rows else "no runs"


def positions_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Positions that are not exact in full, the exact ones as a number."""
    exact = sum(row["verdict"] == "exact" for row in rows)
    others = [row for row in rows if row["verdict"] != "exact"]
    lines = [f"{exact} of {len(rows)} positions exact"]
    shown = [
        (
            printable(row["group"]),
            printable(f"{row['topic']}-{row['partition']}"),
            str(row["upstream"]),
            str(row["downstream"]),
            row["verdict"],
            printable(row["reason"]),
        )
        for row in others[:_SHOWN_POSITIONS]
    ]
    if shown:
        lines.append(aligned([("group", "partition", "upstream", "downstream", "verdict", "reason"), *shown]))
    if len(others) > _SHOWN_POSITIONS:
        lines.append(f"and {len(others) - _SHOWN_POSITIONS} more; --output json has all")
    return "\n".join(lines)


def forecast_text(document: Mapping[str, Any]) -> str:
    """Totals, the groups that MM2 would set back most, and what is not exact."""
    found, evidence = document["totals"], document["evidence"]
    asked = "now" if document["source_answers"] else f"seen {_age(evidence['age_seconds'])} ago"
    size = f"{found['groups']} groups, {found['partitions']} positions, {asked}"
    missing = "none missing" if evidence["no_sync_missing"] else "some missing"
    lines = [
        f"from {document['source']} to {document['target']}: {size}",
        f"  exact                       {found['exact']} of {found['partitions']}",
        f"  read again, by drkit        {_amount(found['replay'])}{_pace(found['replay_seconds'])}",
        f"  read again, by MM2 alone    {_amount(found['mm2_replay'])}{_pace(found['mm2_replay_seconds'])}",
        f"  never mirrored, so missed   {_amount(found['never_mirrored_records'])}",
        f"  offset syncs                {evidence['offset_syncs']}, {missing}",
    ]
    lines += [f"  note: {printable(note)}" for note in document["notes"]]
    rows = [
        (
            printable(row["group"]),
            f"{row['exact']}/{row['partitions']}",
            _amount(row["replay"]),
            _amount(row["mm2_replay"]) + _pace(row["mm2_replay_seconds"]),
            f"{_age(row['mm2_evidence_age_seconds'])}",
            row["state_on_target"] + (f", ahead on {row['ahead_on_target']}" if row["ahead_on_target"] else ""),
        )
        for row in document["groups"][:_SHOWN_POSITIONS]
    ]
    if rows:
        head = ("group", "exact", "by drkit", "by MM2 alone", "checkpoint", f"in {document['target']}")
        lines += ["", aligned([head, *rows])]
    if len(document["groups"]) > len(rows):
        lines.append(f"and {len(document['groups']) - len(rows)} more groups; --output json has all")
    uncertain = [row for group in document["groups"] for row in group["not_exact"]]
    if uncertain:
        lines += ["", "not exact:", *(f"  {_uncertain(row)}" for row in uncertain[:_SHOWN_POSITIONS])]
    if len(uncertain) > _SHOWN_POSITIONS:
        lines.append(f"  and {len(uncertain) - _SHOWN_POSITIONS} more; --output json has all")
    return "\n".join(lines)


def _uncertain(row: Mapping[str, Any]) -> str:
    again = "unknown" if row["replay_at_most"] is None else f"at most {row['replay_at_most']} again"
    where = printable(f"{row['group']} on {row['topic']}-{row['partition']}")
    return f"{where} at {row['upstream']}: {row['verdict']}, {again}: {printable(row['reason'])}"


def _age(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds:.0f} s"


def _pace(seconds: float | None) -> str:
    return "" if not seconds else f" ({seconds:.1f} s)"


def look_text(look: Mapping[str, Any]) -> str:
    """One look of the watch."""
    line = (
        f"{look['at']}  {look['source']}: {look['positions']} positions of {look['groups']} groups, "
        f"{look['moved']} moved, {look['sampled']} records read ({look['left_over']} left over), {look['logs']} logs, "
        f"{look['archived_syncs']} syncs archived, {look['stored_bytes']:,} bytes in {look['seconds']:.2f} s"
    )
    return "\n".join([line, *(f"  problem: {printable(problem)}" for problem in look["problems"])])


def _plan_text(plan: Mapping[str, Any]) -> str:
    forecast = plan["forecast"]
    offsets = forecast["offsets"]
    lines = [
        f"{plan['procedure']} from {plan['from']} to {plan['to']}, {plan['mode']}: {plan['reason']}",
        *(f"  {region}: {_health(found)}" for region, found in plan["health"].items()),
        f"  records that would be lost        {_amount(forecast['records_lost'])}",
        *(f"                                    {line}" for line in loss_lines(forecast.get("loss"))),
        f"  records that groups read again    {_amount(forecast['records_read_again'])}",
        f"  records not mirrored yet          {_amount(forecast['records_to_mirror'])}",
        f"  positions                         {offsets['exact']} of {offsets['partitions']} exact now",
        *(f"  note: {printable(warning)}" for warning in plan["warnings"]),
        *(f"  {number:2}. {step['name']:<18} {step['does']}" for number, step in enumerate(plan["steps"], 1)),
        *(f"  refused: {printable(reason)}" for reason in plan["refusals"]),
        *(f"  accepted: {printable(reason)}" for reason in plan["accepted"]),
    ]
    return "\n".join(lines)


def _health(found: Mapping[str, Any]) -> str:
    reasons = "; ".join(printable(reason["detail"]) for reason in found["reasons"])
    return f"{found['verdict']}" + (f" ({reasons})" if reasons else "")


def _amount(amount: Mapping[str, Any]) -> str:
    match amount["certainty"]:
        case "unknown":
            return f"unknown: {printable(amount['reason'])}"
        case "estimated":
            return amount_text(amount_from_json(amount))
        case certainty:
            return f"{'at most ' if certainty == 'at_most' else ''}{amount['records']}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns, two spaces apart."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
