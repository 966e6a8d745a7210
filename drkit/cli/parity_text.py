"""Parity of two regions for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Final

from drkit.cli.render import aligned
from drkit.domain.naming import printable
from drkit.domain.parity import HEADLINES, Kind

_SHOWN: Final = 12


def parity_text(document: Mapping[str, Any]) -> str:
    """Findings by kind in a table, what drkit would do about each, and what was not compared."""
    source, target = document["from"], document["to"]
    where = document["source"]
    as_of = f" as of {where['as_of']} ({where['where']})" if where["as_of"] else ""
    total = len(document["findings"])
    lines = [f"{target} compared with {source}{as_of}: {document['problems']} problems, {document['notes']} notes"]
    for kind, rows in groupby(document["findings"], key=lambda finding: finding["kind"]):
        findings = list(rows)
        severity = max(finding["severity"] for finding in findings)
        lines += ["", f"{len(findings)} {HEADLINES[Kind(kind)]} ({severity}: {printable(findings[0]['why'])})"]
        lines += _rows(source, target, findings[:_SHOWN])
        if len(findings) > _SHOWN:
            lines.append(f"  and {len(findings) - _SHOWN} more; --output json has all")
    changes = sum(finding["change"] is not None for finding in document["findings"])
    lines += ["", f"{changes} of {total} can be applied (--apply); the others are for a person"] if total else []
    lines += ["", *(f"not checked: {what}: {printable(why)}" for what, why in sorted(document["not_checked"].items()))]
    lines += [f"nothing is applied: {printable(document['refusal'])}"] if document["refusal"] else []
    return "\n".join(lines)


def applied_text(document: Mapping[str, Any]) -> str:
    """What was applied, and what is left."""
    applied = document["applied"]
    lines = [f"applied in {document['to']}: {len(applied['changes'])} changes"]
    lines += [f"  failed: {one['change']}: {printable(one['reason'])}" for one in applied["failed"]]
    return "\n".join([*lines, "", parity_text(document)])


def _rows(source: str, target: str, findings: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    rows = [
        (
            f"  {finding['resource']}",
            finding["source"],
            finding["target"],
            "would be made" if finding["does"] else f"for a person: {printable(finding['person'])}",
        )
        for finding in findings
    ]
    return [aligned([("  what", source, target, "what drkit does"), *rows])]
