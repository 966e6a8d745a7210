"""The life of a run as a picture: made from the table that guards it, so that the two cannot differ."""

from __future__ import annotations

from typing import Any

from drkit.domain.lifecycle import TRANSITIONS, Phase

SCHEMA = "drkit.run-graph/1"


def graph_document() -> dict[str, Any]:
    """``drkit.run-graph/1``: every phase, and every transition with its guards; keys are only ever added."""
    return {
        "schema": SCHEMA,
        "initial": Phase.RUNNING.value,
        "phases": [{"phase": phase.value, "is_final": phase.is_final} for phase in Phase],
        "transitions": [
            {
                "trigger": one["trigger"].value,
                "from": source.value,
                "to": one["dest"].value,
                "only_if": _listed(one.get("conditions", [])),
                "unless": _listed(one.get("unless", [])),
            }
            for one in TRANSITIONS
            for source in _listed(one["source"])
        ],
    }


def mermaid() -> str:
    """The same as a Mermaid state diagram: one arrow for all triggers that lead from one phase to another."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for one in graph_document()["transitions"]:
        guards = [*(f"if {name}" for name in one["only_if"]), *(f"unless {name}" for name in one["unless"])]
        label = " ".join([one["trigger"], *([f"({' and '.join(guards)})"] if guards else [])]).replace("_", " ")
        arrows.setdefault((one["from"], one["to"]), []).append(label)
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.RUNNING.value}: planned"]
    lines += [f"    {source} --> {dest}: {', '.join(labels)}" for (source, dest), labels in arrows.items()]
    lines += [f"    {phase.value} --> [*]" for phase in Phase if phase.is_final]
    return "\n".join(lines)


def _listed(one: object) -> list[Any]:
    return list(one) if isinstance(one, list) else [one]
