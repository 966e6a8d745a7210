"""Journals as earlier versions wrote them, one line per entry: they stay readable, and mean what they meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drkit.domain.lifecycle import Phase
from drkit.domain.run_entries import FORMAT, JournalError, parse
from drkit.domain.run_steps import StepOutcome
from drkit.domain.runs import RunState, fold
from drkit.reports.run_report import report

GOLDEN = Path(__file__).parent / "golden"


def lines(name: str) -> list[bytes]:
    """The entries of one journal."""
    return (GOLDEN / name).read_bytes().splitlines(keepends=True)


def state(name: str) -> RunState:
    """What it tells."""
    return fold(parse(line) for line in lines(name))


def outcomes(found: RunState) -> dict[StepOutcome, int]:
    """How many steps ended how."""
    said = [step.outcome for step in found.steps.values()]
    return {outcome: said.count(outcome) for outcome in sorted(set(said))}


@pytest.mark.parametrize(
    ("name", "phase", "expected"),
    [
        ("planned", Phase.SUCCEEDED, {StepOutcome.SUCCEEDED: 17}),
        ("disaster", Phase.SUCCEEDED, {StepOutcome.SUCCEEDED: 14}),
        ("undone", Phase.UNDONE, {StepOutcome.FAILED: 1, StepOutcome.SUCCEEDED: 4, StepOutcome.UNDONE: 6}),
        ("stopped", Phase.STOPPED, {StepOutcome.FAILED: 1, StepOutcome.SUCCEEDED: 4}),
    ],
)
def test_a_journal_of_format_1_is_read(name: str, phase: Phase, expected: dict[StepOutcome, int]) -> None:
    found = state(f"format-1/{name}.jsonl")
    assert found.phase is phase
    told = {outcome: count for outcome, count in outcomes(found).items() if outcome is not StepOutcome.PENDING}
    assert told == expected
    assert found.plan.supersedes is None


def test_reports_of_runs_of_format_1_have_their_figures() -> None:
    planned, disaster = (report(state(f"format-1/{name}.jsonl")) for name in ("planned", "disaster"))
    assert planned["records_lost"] == {"known": 0, "unknown": False}
    assert (planned["offsets"]["exact"], planned["offsets"]["partitions"]) == (1, 1)
    assert disaster["records_lost"]["unknown"] is True
    assert disaster["accepted"] == {"accept_loss": "unknown", "accept_replay": 5}


def test_a_journal_of_a_restore_is_read_and_reported_as_one() -> None:
    found = state("format-2/restore.jsonl")
    assert found.is_restore
    assert outcomes(found) == {StepOutcome.SUCCEEDED: 6}
    told = report(found)
    assert told["schema"] == "drkit.restore-run/1"
    assert told["made"]["create_topic"] == 3
    assert told["is_as_backed_up"] is True


def test_there_are_journals_of_every_format() -> None:
    assert [path.name for path in sorted(GOLDEN.iterdir())] == [f"format-{number}" for number in range(1, FORMAT + 1)]


def test_a_newer_format_is_refused_with_the_version_that_is_needed() -> None:
    document: dict[str, Any] = json.loads(lines("format-1/planned.jsonl")[0])
    document |= {"schema": f"drkit.journal/{FORMAT + 1}", "written_by": "9.9.9"}
    with pytest.raises(JournalError, match=rf"has format {FORMAT + 1}, written by drkit 9\.9\.9") as caught:
        parse(json.dumps(document).encode())
    assert "install drkit 9.9.9" in caught.value.hint
