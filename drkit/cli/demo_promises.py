"""What ``drkit demo`` promises, held against the ledger, which knows the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from drkit.domain.kafka import GroupOffsets
    from drkit.domain.ledger_report import Judgement

OUTAGE_SECONDS: Final = 5.0


def planned_promises(run: Mapping[str, Any], ledger: Mapping[str, Any]) -> dict[str, bool]:
    """Nothing lost, read twice or reordered, every position exact, and a short outage."""
    offsets = run["offsets"]
    return {
        "the run succeeded": run["outcome"] == "succeeded",
        "lost 0": ledger["lost"] == 0,
        "replayed 0": ledger["replayed"] == 0,
        "out of order 0": ledger["out_of_order"] == 0,
        f"write outage at most {OUTAGE_SECONDS:g} s": ledger["write_outage_seconds"] <= OUTAGE_SECONDS,
        "every position exact": 0 < offsets["partitions"] == offsets["exact"],
        "the ledger is complete": _is_complete(ledger),
    }


def disaster_promises(
    run: Mapping[str, Any], ledger: Mapping[str, Any], judgement: Judgement, known: GroupOffsets
) -> dict[str, bool]:
    """The loss is what was reported, and groups read again only what they did after their last known position.

    ``known``: per group, the committed offsets on the lost side that outlived it. The loss lies within what was
    reported: not below what was counted, and not above what there was at the highest rate seen, up to when the source
    was known not to answer. What is counted was on the source, though its writer may have died with the answer.
    """
    return {
        "the run succeeded": run["outcome"] == "succeeded",
        "the loss was reported, as an estimate": run["records_lost"]["unknown"] and run["loss"] is not None,
        "lost within what was reported": _is_within(run, ledger),
        "lost exactly what is above the last mirrored offset": _lost(judgement) == _above(run, judgement),
        "read again only what came after the last checkpoint": not _read_too_early(run, judgement, known),
        "out of order 0": ledger["out_of_order"] == 0,
        "the ledger is complete": _is_complete(ledger),
    }


def _is_within(run: Mapping[str, Any], ledger: Mapping[str, Any]) -> bool:
    """Whether the records lost are at least, and at most, as many as was said."""
    at_least, highest = run["records_lost_at_least"], run["records_lost_highest"]
    unanswered = ledger["unacknowledged"]["unknown"]["records"]
    return highest is not None and at_least - unanswered <= ledger["lost"] <= highest


def _is_complete(ledger: Mapping[str, Any]) -> bool:
    return ledger["drained"] and not ledger["dead"] and not ledger["torn"]


def _lost(judgement: Judgement) -> set[int]:
    return {one.record for one, _ in judgement.lost()}


def _above(run: Mapping[str, Any], judgement: Judgement) -> set[int]:
    """Records of the lost side above the last one that the run reports as mirrored."""
    last = {
        (topic, int(partition)): -1 if offset is None else offset
        for topic, offsets in run["last_mirrored"].items()
        for partition, offset in offsets.items()
    }
    return {
        one.record
        for one in judgement.writes.all_acknowledged()
        if one.place.region == run["from"] and one.place.offset > last.get((one.place.topic, one.place.partition), -1)
    }


def _read_too_early(run: Mapping[str, Any], judgement: Judgement, known: GroupOffsets) -> list[str]:
    """Groups that read more records again from before their known position than the run allowed for."""
    places = {one.record: one.place for one in judgement.writes.all_acknowledged() if one.place.region == run["from"]}
    translated = next(step["evidence"] for step in run["steps"] if step["name"] == "translate-offsets")
    allowed = {
        (row["group"], row["topic"], row["partition"]): row["replay_at_most"] or 0 for row in translated["not_exact"]
    }
    early: list[str] = []
    for group, found in judgement.groups.items():
        positions = {(p.topic, p.partition): offset for p, offset in known.get(group, {}).items()}
        before = Counter(
            (place.topic, place.partition)
            for place in (places[record] for record in found.replayed_records if record in places)
            if place.offset < positions.get((place.topic, place.partition), 0)
        )
        early += [group for where, records in before.items() if records > allowed.get((group, *where), 0)]
    return early
