"""``drkit.mm2/1`` as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drkit.domain.naming import printable


def mirror_text(document: Mapping[str, Any]) -> str:
    """What was done, connectors with their tasks, and everything that is not as it should be."""
    flow = document["flow"]
    lines = [
        *_applied(document["applied"]),
        f"{flow['source']} -> {flow['target']}: {'as configured' if document['healthy'] else 'NOT as configured'}",
        *_table([("connector", "state", "tasks"), *(_row(connector) for connector in document["connectors"])]),
        *_faults(document),
    ]
    # Names, settings and traces come from Connect: whatever is in them, a line stays a line.
    return "\n".join(printable(line) for line in lines)


def _applied(applied: Mapping[str, Any]) -> Iterator[str]:
    for topic in applied["topics"]:
        yield f"topic {topic} put right"
    for connector in applied["connectors"]:
        yield f"{connector['action']} {connector['name']}"
        yield from _changes(connector["changes"])


def _row(connector: Mapping[str, Any]) -> tuple[str, str, str]:
    tasks: list[str] = connector["tasks"]
    counts = ", ".join(f"{tasks.count(state)} {state}" for state in sorted(set(tasks)))
    return connector["name"], connector["state"], counts or "none"


def _faults(document: Mapping[str, Any]) -> Iterator[str]:
    for connector in document["connectors"]:
        if connector["trace"]:
            yield f"{connector['name']} failed: {connector['trace']}"
        if connector["drift"]:
            yield f"{connector['name']} differs from its template (drkit mm2 apply puts it right)"
            yield from _changes(connector["drift"])
    for topic in document["topics"]:
        if topic["missing"]:
            yield f"{topic['region']}: topic {topic['name']} is missing"
        else:
            yield f"{topic['region']}: topic {topic['name']} has {topic['live']}, not {topic['wanted']}"
    for finding in document["findings"]:
        yield f"{finding['severity']}: {finding['connector']} {finding['key']}: {finding['message']}".replace(
            " : ", ": "
        )


def _changes(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for change in changes:
        live, wanted = (_shown(change[side]) for side in ("live", "wanted"))
        yield f"    {change['key']}: {live} -> {wanted}"


def _shown(value: str | None) -> str:
    return "(not set)" if value is None else value


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
