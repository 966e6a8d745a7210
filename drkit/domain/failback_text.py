"""A failback plan as ``drkit.failback/1`` JSON and as Markdown. Names of topics are untrusted text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from drkit.domain.failback import ApiCall, Divergence, FailbackPlan, FailbackStep, PartitionDivergence
from drkit.domain.failback_steps import describe, start_offsets
from drkit.domain.lag import amount_text, amount_to_json
from drkit.domain.naming import printable

SCHEMA: Final = "drkit.failback/1"

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!&])")


def plan_to_json(plan: FailbackPlan) -> dict[str, Any]:
    """The plan as it is stored; ``from`` is the new side, ``to`` the old one, as the way back goes."""
    return {
        "schema": SCHEMA,
        "run_id": plan.run_id,
        "planned_at": plan.planned_at,
        "mode": plan.mode,
        "from": plan.reverse.source,
        "to": plan.reverse.target,
        "partitions": {divergence.value: plan.count(divergence) for divergence in Divergence},
        "orphans": amount_to_json(plan.orphans),
        "topics": {
            topic.topic: {
                "way": topic.way.value,
                "partitions": {str(one.partition.partition): _partition(one) for one in topic.partitions},
            }
            for topic in plan.topics
        },
        "reverse_connector": plan.reverse.source_connector,
        "start_offsets": start_offsets(plan.reverse, plan.topics)["offsets"],
        "steps": [_step(number, step) for number, step in enumerate(plan.steps, 1)],
    }


def _partition(one: PartitionDivergence) -> dict[str, Any]:
    return {
        "divergence": one.divergence.value,
        "diverges_at": one.diverges_at,
        "last_mirrored": one.last_mirrored,
        "old_end": one.old_end,
        "orphans": amount_to_json(one.orphans),
    }


def _step(number: int, step: FailbackStep) -> dict[str, Any]:
    return {
        "number": number,
        "title": step.title,
        "reason": step.reason,
        "commands": list(step.commands),
        "connect_url": step.connect_url or None,
        "calls": [{"method": call.method, "path": call.path, "body": call.body} for call in step.calls],
    }


def plan_to_markdown(plan: FailbackPlan) -> str:
    """The plan for people."""
    old, new = plan.reverse.target, plan.reverse.source
    counts = ", ".join(f"{plan.count(one)} {one.value}" for one in Divergence)
    lines = [
        f"# Way back from {_text(new)} to {_text(old)}",
        "",
        f"After run {_text(plan.run_id)} ({_text(plan.mode)}), as of {_text(plan.planned_at)}.",
        "",
        f"Partitions: {counts}. Records that only {_text(old)} has: {amount_text(plan.orphans)}.",
        "",
        "## Where the sides part",
        "",
        f"In {_text(new)}, offsets below *parts at* were mirrored, and from it on records are new.",
        f"In {_text(old)}, what is above *mirrored up to* never arrived.",
        "",
        "| topic | partition | way | parts at | mirrored up to | old end | state |",
        "|---|---|---|---|---|---|---|",
        *_rows(plan),
        "",
        "## Steps",
        "",
    ]
    for number, step in enumerate(plan.steps, 1):
        lines += _step_lines(number, step)
    return "\n".join(lines)


def _rows(plan: FailbackPlan) -> Iterator[str]:
    for topic in plan.topics:
        for one in topic.partitions:
            cells = (
                _text(topic.topic),
                one.partition.partition,
                topic.way.value,
                one.diverges_at,
                "nothing" if one.last_mirrored is None else one.last_mirrored,
                "unknown" if one.old_end is None else one.old_end,
                describe(one),
            )
            yield f"| {' | '.join(str(cell) for cell in cells)} |"


def _step_lines(number: int, step: FailbackStep) -> list[str]:
    lines = [f"### {number}. {_text(step.title)}", "", _text(step.reason), ""]
    if step.commands:
        lines += _code("sh", step.commands)
    if step.calls:
        where = _text(step.connect_url) if step.connect_url else "the Connect cluster (no URL is configured)"
        lines += [f"At {where}:", "", *_code("http", [_call(call) for call in step.calls])]
    return lines


def _code(language: str, blocks: list[str] | tuple[str, ...]) -> list[str]:
    # Every line has been made printable, so that no name can end the block; a longer fence guards against backticks.
    return [f"~~~~{language}", *blocks, "~~~~", ""]


def _call(call: ApiCall) -> str:
    body = "" if call.body is None else "\n" + json.dumps(call.body, indent=1)
    return f"{call.method} {call.path}{body}"


def _text(text: str) -> str:
    """Untrusted text as plain Markdown text: control characters made visible, nothing left that Markdown acts on."""
    return _MARKDOWN.sub(r"\\\1", printable(text))
