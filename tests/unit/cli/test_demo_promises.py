"""The promises of a demo can be broken: each by just what it is about."""

from __future__ import annotations

from typing import Any

import pytest

from drkit.cli.demo_promises import disaster_promises, planned_promises
from drkit.domain.kafka import TopicPartition
from drkit.domain.ledger import Committed, Drained, GroupEvent, Origin, Processed, Writes, record_id
from drkit.domain.ledger_history import judge_group
from drkit.domain.ledger_report import Judgement

SOURCE, TARGET = Origin("a", "orders", 0), Origin("b", "orders", 0)
RECORDS = [record_id(1, 0, 0, number) for number in range(10)]
P = TopicPartition("orders", 0)
LOST = "lost exactly what is above the last mirrored offset"
AGAIN = "read again only what came after the last checkpoint"
WITHIN = "lost within what was reported"
REPORTED = "the loss was reported, as an estimate"


def judged(*, read_again_from: int, mirrored: int = 6) -> Judgement:
    """Ten records on the lost side, all processed and committed there up to 5; ``mirrored`` of them arrived."""
    writes = Writes(1)
    for offset, record in enumerate(RECORDS):
        writes.log(SOURCE).add(record, offset, offset)
    writes.settle()
    events: list[GroupEvent] = [
        Processed(SOURCE, RECORDS[:6], range(6)),
        Committed(SOURCE, 6),
        Processed(TARGET, RECORDS[read_again_from:mirrored], range(read_again_from, mirrored)),
        Drained("b"),
    ]
    return Judgement(writes, {"g": judge_group(["orders"], events, writes)}, "stopped", {}, (), 1.0, 0)


def run(
    *, last_mirrored: int = 5, bounded: int = 0, at_least: int = 0, highest: int | None = 9, is_reported: bool = True
) -> dict[str, Any]:
    row = {"group": "g", "topic": "orders", "partition": 0, "replay_at_most": bounded}
    return {
        "from": "a",
        "outcome": "succeeded",
        "records_lost": {"known": 0, "unknown": True},
        "records_lost_at_least": at_least,
        "records_lost_highest": highest,
        "loss": {"records": {}} if is_reported else None,
        "last_mirrored": {"orders": {"0": last_mirrored}},
        "steps": [{"name": "translate-offsets", "evidence": {"not_exact": [row] if bounded else []}}],
    }


def broken(promises: dict[str, bool]) -> set[str]:
    return {promise for promise, holds in promises.items() if not holds}


def test_a_disaster_that_lost_and_repeated_what_was_to_be_expected() -> None:
    judgement = judged(read_again_from=4)
    assert broken(disaster_promises(run(), judgement.document(), judgement, {"g": {P: 4}})) == set()


@pytest.mark.parametrize("last_mirrored", [4, 6])
def test_a_loss_of_more_or_less_than_was_reported(last_mirrored: int) -> None:
    judgement = judged(read_again_from=4)
    promises = disaster_promises(run(last_mirrored=last_mirrored), judgement.document(), judgement, {"g": {P: 4}})
    assert broken(promises) == {LOST}


@pytest.mark.parametrize(
    ("at_least", "highest", "unanswered", "is_within"),
    [(4, 4, 0, True), (0, 9, 0, True), (5, 9, 0, False), (5, 9, 1, True), (0, 3, 0, False), (0, None, 0, False)],
)
def test_a_loss_lies_within_what_was_reported(
    at_least: int, highest: int | None, unanswered: int, *, is_within: bool
) -> None:
    """Four were lost. One that was counted may be one whose writer never got the answer: it wrote it again."""
    judgement = judged(read_again_from=4)
    ledger = judgement.document()
    ledger["unacknowledged"]["unknown"]["records"] = unanswered
    found = disaster_promises(run(at_least=at_least, highest=highest), ledger, judgement, {"g": {P: 4}})
    assert broken(found) == (set() if is_within else {WITHIN})


def test_a_loss_that_was_not_reported() -> None:
    judgement = judged(read_again_from=4)
    found = disaster_promises(run(is_reported=False), judgement.document(), judgement, {"g": {P: 4}})
    assert broken(found) == {REPORTED}


def test_a_group_that_goes_back_behind_its_last_known_position() -> None:
    judgement = judged(read_again_from=3)
    document = judgement.document()
    assert broken(disaster_promises(run(), document, judgement, {"g": {P: 4}})) == {AGAIN}
    assert broken(disaster_promises(run(bounded=1), document, judgement, {"g": {P: 4}})) == set()
    assert broken(disaster_promises(run(bounded=1), document, judgement, {"g": {P: 5}})) == {AGAIN}


def test_planned_promises_are_about_figures() -> None:
    document = {
        "lost": 0,
        "replayed": 0,
        "out_of_order": 0,
        "write_outage_seconds": 5.0,
        "drained": True,
        "dead": [],
        "torn": 0,
    }
    moved = {"outcome": "succeeded", "offsets": {"partitions": 6, "exact": 6}}
    assert broken(planned_promises(moved, document)) == set()
    for key, value in (("lost", 1), ("replayed", 1), ("out_of_order", 1), ("write_outage_seconds", 5.1), ("torn", 1)):
        assert len(broken(planned_promises(moved, {**document, key: value}))) == 1
    assert broken(planned_promises({**moved, "offsets": {"partitions": 6, "exact": 5}}, document)) == {
        "every position exact"
    }
    assert "every position exact" in broken(
        planned_promises({**moved, "offsets": {"partitions": 0, "exact": 0}}, document)
    )
