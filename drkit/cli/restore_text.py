"""The plan of a restore for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from drkit.domain.checks import listed
from drkit.domain.naming import printable

_SHOWN: Final = 10


def restore_plan_text(plan: Mapping[str, Any]) -> str:
    """The plan for people: the backup, what is changed, what stays, what is left to do, what forbids it."""
    backup = plan["backup"]
    is_other = plan["cluster_id"] != backup["cluster_id"]
    taken = f"{backup['backup_id']} ({backup['region']}, {_age(backup['age_seconds'])} old)"
    lines = [f"restore of {taken} to {plan['to']}: {', '.join(plan['parts'])}"]
    if is_other:
        lines.append(f"  ANOTHER CLUSTER: {plan['cluster_id']}, the backup is of {backup['cluster_id']}")
    by_part: dict[str, list[str]] = {}
    for change in plan["changes"]:
        by_part.setdefault(change["change"], []).append(_change(change))
    for kind, texts in by_part.items():
        lines.append(f"  {kind.replace('_', ' ')}: {len(texts)}")
        lines += _some(texts)
    if not by_part:
        lines.append("  nothing is to be changed")
    stays = [_stay(one) for one in plan["stays"]]
    lines += [f"  differs and stays: {len(stays)}", *_some(stays)] if stays else []
    lines += [f"  by hand: {printable(text)}" for text in plan["by_hand"]]
    lines += [f"  note: {printable(text)}" for text in plan["warnings"]]
    lines += [f"  {number:2}. {step['name']:<18} {step['does']}" for number, step in enumerate(plan["steps"], 1)]
    lines += [f"  refused: {printable(one['reason'])} ({one['flag']})" for one in plan["refusals"]]
    return "\n".join(lines)


def _change(change: Mapping[str, Any]) -> str:
    """The change in words; of positions, the first of them, each with what it replaces."""
    if change["change"] != "set_positions":
        return str(change["text"])
    before = {(topic, p): at["offset"] for topic, own in change["before"].items() for p, at in own.items()}
    positions = [
        f"{topic}-{p} at {at['offset']}" + (f" (was {before[topic, p]})" if (topic, p) in before else "")
        for topic, own in change["after"].items()
        for p, at in own.items()
    ]
    return f"group {change['group']}: {listed(positions)}"


def _stay(one: Mapping[str, Any]) -> str:
    return f"{one['what']}: {one['detail']}" + (f" ({one['flag']})" if one["flag"] else "")


def _some(texts: Sequence[str]) -> Iterable[str]:
    yield from (f"    {printable(text)}" for text in texts[:_SHOWN])
    if len(texts) > _SHOWN:
        yield f"    and {len(texts) - _SHOWN} more; --output json has all"


def _age(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
