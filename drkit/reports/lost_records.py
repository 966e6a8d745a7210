"""What a run's journal says of the records that were lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drkit.domain.kafka import TopicPartition
from drkit.domain.lag import Amount, AtMost, Estimated, Exactly, NotKnown, amount_from_json, amount_text, total
from drkit.domain.loss import loss_from_json
from drkit.domain.mode import FailoverMode
from drkit.domain.naming import printable
from drkit.domain.partition_tree import from_tree
from drkit.domain.run_steps import StepOutcome
from drkit.domain.runs import RunState

_SHOWN = 10
_HEAD = ("partition", "at least", "about", "at the highest rate", "at most when it was seen")
_FIGURES = ("records_lost_at_least", "records_lost_estimate", "records_lost_highest")


def lost_records(state: RunState) -> Amount:
    """How many. Unknown until it was measured."""
    # Journals from before this was counted do not have it.
    never = state.evidence.get("translate-offsets", {}).get("offsets", {}).get("never_mirrored", 0)
    if state.plan.mode is not FailoverMode.PLANNED:
        return total([_amount(never), _left_behind(state)])
    # Before the drain succeeded nothing was given up: the run would stop rather than lose a record.
    drained = state.steps.get("drain-mirror")
    is_drained = drained is not None and drained.outcome is StepOutcome.SUCCEEDED
    behind, fewer = _found_lost(state, "old-side"), _found_lost(state, "record-counts")
    is_known = is_drained and never is not None and behind is not None and fewer is not None
    # What was never mirrored is missing when both sides are counted, too: it is lost once.
    known = max(never or 0, fewer or 0) + (behind or 0)
    return Exactly(known) if is_known else NotKnown("the mirror was not drained, or both sides not compared", known)


def _left_behind(state: RunState) -> Amount:
    """What a source that is gone had and the mirror had not: counted where it came back behind a fence."""
    orphans = state.evidence.get("plan-failback", {}).get("orphans")
    counted = None if orphans is None else amount_from_json(orphans)
    return counted if isinstance(counted, Exactly | AtMost) else loss_from_json(loss(state))[0]


def loss(state: RunState) -> Mapping[str, Any] | None:
    """A disaster run's loss, as it was measured when the mirror had stopped; None before that."""
    found: Mapping[str, Any] | None = state.evidence.get("cut", {}).get("loss")
    return found


def lost_to_json(amount: Amount) -> dict[str, Any]:
    """The figures of ``drkit.run/1``: ``records_lost`` and what it is at least, by estimate and at the highest rate."""
    figures: list[int | None]
    match amount:
        case Estimated(at_least, estimate, highest):
            figures = [at_least, estimate, highest]
        case NotKnown(_, at_least):
            figures = [at_least, None, None]
        case AtMost(records):
            figures = [0, None, records]
        case Exactly(records):
            figures = [records] * 3
    return {
        "records_lost": {"known": figures[0], "unknown": not isinstance(amount, Exactly)},
        **dict(zip(_FIGURES, figures, strict=True)),
    }


def lost_text(document: Mapping[str, Any]) -> str:
    """``records_lost`` and its kin for people."""
    lost = document["records_lost"]
    if not lost["unknown"]:
        return str(lost["known"])
    if document["records_lost_estimate"] is None:
        at_least = f"at least {lost['known']}, and " if lost["known"] else ""
        return f"unknown: {at_least}whatever had not been mirrored"
    at_least, estimate, highest = (document[name] for name in _FIGURES)
    return amount_text(Estimated(at_least, estimate, highest, ""))


def loss_lines(document: Mapping[str, Any] | None) -> list[str]:
    """What a loss goes by and the partitions that lost most, as lines without indent."""
    if document is None:
        return []
    seen, silent = document["seen_seconds_ago"], document["silent_seconds_ago"]
    lines = []
    if document["seen_by"]:
        when = "not everywhere" if seen is None else f"{seen:.1f} s ago at the latest"
        gone = "" if silent is None else f"; known not to answer for {silent:.1f} s"
        lines.append(f"seen by {', '.join(document['seen_by'])}, {when}{gone}")
    if document["seconds"] is not None:
        lines.append(f"the oldest of them about {document['seconds']:.1f} s old when the source died")
    if document["records"]["certainty"] in ("estimated", "unknown"):
        lines.append(printable(document["records"]["reason"]))
    rows = sorted(from_tree(document["partitions"]).items(), key=lambda item: -_weight(item[1]))
    lines += _aligned([_HEAD, *(_cells(p, row) for p, row in rows[:_SHOWN])]) if rows else []
    left_out = max(0, len(rows) - _SHOWN) + document["left_out"]
    return [*lines, f"and {left_out} more partitions; --output json has more"] if left_out else lines


def _weight(row: Mapping[str, Any]) -> int:
    highest = row["records"].get("highest")
    return (1 << 62) if highest is None else int(highest)


def _cells(partition: TopicPartition, row: Mapping[str, Any]) -> tuple[str, ...]:
    records, seen = row["records"], row["seen_seconds_ago"]
    return (
        printable(str(partition)),
        str(records["at_least"]),
        *("unknown" if records.get(name) is None else str(records[name]) for name in ("estimate", "highest")),
        "never seen" if seen is None else f"{row['at_most_when_seen']}, {seen:.1f} s ago",
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _amount(records: int | None) -> Amount:
    reason = "nobody knows how many records that groups had not read are below where the mirror began"
    return NotKnown(reason) if records is None else Exactly(records)


def _found_lost(state: RunState, name: str) -> int | None:
    """Records that a check of the verification found missing on the new primary; None where nobody knows."""
    checks: Sequence[Mapping[str, Any]] = state.evidence.get("verify", {}).get("checks", ())
    # Journals from before this was counted do not have it, nor does a run that has not come to it.
    found: list[Mapping[str, Any]] = [check["lost"] for check in checks if check["name"] == name and "lost" in check]
    if any(lost["certainty"] != "exact" for lost in found):
        return None
    return sum(int(lost["records"]) for lost in found)
