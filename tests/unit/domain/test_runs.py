"""Journal entries and the fold: read strictly, nothing guessed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drkit.domain import run_events as ev
from drkit.domain.lifecycle import LifecycleError, Phase
from drkit.domain.run_entries import GENESIS, Entry, JournalError, SealedEntry, parse, seal
from drkit.domain.run_steps import StepOutcome
from drkit.domain.runs import RunState, advance, fold
from tests.fakes.aws import FakeObjectStore
from tests.fakes.procedure import World, planned, procedure

RUN_ID = "20260101t000000z-failover-0a1b"
PLAN = planned(procedure(World(FakeObjectStore())), accept_loss="unknown")
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def sealed(events: Sequence[ev.Event], *, run_id: str = RUN_ID) -> list[SealedEntry]:
    """The events as a journal."""
    entries: list[SealedEntry] = []
    for seq, event in enumerate(events):
        previous = entries[-1].digest if entries else GENESIS
        at = BEGUN + timedelta(seconds=seq)
        entries.append(seal(Entry(run_id, seq, f"event-{seq}", at, "0.1.0", previous, event)))
    return entries


def succeeded(step: str, *, satisfied: bool = False) -> ev.StepSucceeded:
    return ev.StepSucceeded(step, {"n": 1}, 0.5, satisfied)


def done(*steps: str) -> list[ev.Event]:
    """The events of these steps, done one after the other."""
    effects = {step.name for step in PLAN.steps if step.is_effect}
    return [
        event
        for name in steps
        for event in ([ev.StepStarted(name, "do it")] if name in effects else []) + [succeeded(name)]
    ]


def test_an_entry_is_one_line_of_ascii_and_reads_back() -> None:
    event = ev.StepSucceeded("pin", {"group": "grüppe\n\x1b[31m", "n": None, "f": 1e-7, "l": [True, {}]}, 0.1, False)
    entry = sealed([PLAN, event])[1]
    assert entry.body.isascii()
    assert not set(entry.body) & set(range(32))
    assert parse(entry.body) == entry
    assert parse(entry.body).entry.event == event


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [({"a": {1, 2}}, ValueError), ({"a": float("nan")}, ValueError), ({"a": (1, 2)}, ValueError), ({1: 2}, ValueError)],
)
def test_evidence_that_is_not_json_cannot_become_an_event(evidence: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ev.StepSucceeded("pin", evidence, 0.1, False)


def resealed(body: bytes, **changes: Any) -> bytes:
    """A body with other fields and a digest that fits them: what a careless editor cannot make, and a forger can."""
    document = {**json.loads(body), **changes}
    document.pop("digest")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return json.dumps({**document, "digest": hashlib.sha256(text.encode()).hexdigest()}).encode()


BODY = sealed([PLAN])[0].body


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "torn"),
        (BODY[:-1], "torn"),
        (BODY[: len(BODY) // 2], "torn"),
        (BODY + BODY, "torn"),
        (b"\xff\xfe", "torn"),
        (b"[" * 100_000, "torn"),
        (BODY.replace(b'"seq":0', b'"seq":0,"seq":0'), "torn"),
        (b'{"schema":"drkit.journal/1","a":NaN}', "torn"),
        (b"null", "not written by drkit"),
        (b"[]", "not written by drkit"),
        (b'{"schema":"drkit.lease/1"}', "not written by drkit"),
        (b'{"schema":7}', "not written by drkit"),
        (BODY.replace(b'"tester"', b'"mallory"'), "digest"),
        (b'{"schema":"drkit.journal/1"}', "digest"),
        (resealed(BODY, seq="0"), "seq"),
        (resealed(BODY, seq=-1), "seq"),
        (resealed(BODY, at="2026-01-01T00:00:00"), "at"),
        (resealed(BODY, extra=1), "extra"),
        (resealed(BODY, event={"kind": "run_exploded"}), "event"),
        (resealed(BODY, event={"kind": "run_finished", "outcome": "running"}), "outcome"),
        (resealed(BODY, event={"kind": "step_started", "step": "pin"}), "intent"),
    ],
)
def test_anything_but_an_entry_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(JournalError, match=says) as caught:
        parse(body, what="runs/x/00000000.json")
    assert "runs/x/00000000.json" in caught.value.message
    assert len(caught.value.message) < 400


def test_a_newer_format_names_the_version_that_is_needed() -> None:
    body = json.dumps({"schema": "drkit.journal/3", "written_by": "0.9.1", "whatever": []}).encode()
    with pytest.raises(JournalError, match=r"format 3, written by drkit 0\.9\.1") as caught:
        parse(body)
    assert caught.value.hint == "install drkit 0.9.1 or newer on this machine"


def test_a_newer_format_with_a_strange_writer_does_not_repeat_it() -> None:
    body = json.dumps({"schema": "drkit.journal/3", "written_by": "\x1b[2J"}).encode()
    with pytest.raises(JournalError, match="a newer one") as caught:
        parse(body)
    assert "\x1b" not in caught.value.message + caught.value.hint


def test_the_fold_of_a_whole_run() -> None:
    names = [step.name for step in PLAN.steps]
    state = fold(sealed([PLAN, *done(*names), ev.RunFinished(Phase.SUCCEEDED)]))
    assert state.phase is Phase.SUCCEEDED
    assert state.plan == PLAN
    assert state.owner == "tester"
    assert state.is_past_no_return
    assert state.evidence == {name: {"n": 1} for name in names}
    assert state.steps["fence"].first_started_at == BEGUN + timedelta(seconds=4)
    assert state.started_at == BEGUN


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], "empty"),
        ([succeeded("pin")], "does not begin with its plan"),
        ([PLAN, PLAN], "planned already"),
        ([PLAN, succeeded("nonsense")], "no step nonsense"),
        ([PLAN, succeeded("snapshot", satisfied=True)], "out of its turn"),
        ([PLAN, ev.StepStarted("pin", "x")], "out of its turn"),
        ([PLAN, *done("pin"), succeeded("snapshot")], "out of its turn"),
        ([PLAN, *done("pin"), ev.StepMissed("pin", "", "", {}, 0.1)], "out of its turn"),
        ([PLAN, ev.RunFinished(Phase.SUCCEEDED)], "may not succeed"),
        ([PLAN, ev.RunFinished(Phase.REFUSED)], "cannot refuse"),
        ([PLAN, ev.CompensationStarted("snapshot")], "out of its turn"),
        ([PLAN, *done("pin", "snapshot"), ev.CompensationStarted("snapshot")], "cannot advance undo"),
        ([PLAN, *done("pin", "snapshot"), ev.AbortStarted(""), ev.RunFinished(Phase.UNDONE)], "may not finish undo"),
        (
            [PLAN, *done("pin", "snapshot", "fence"), ev.AbortStarted(""), ev.CompensationStarted("snapshot")],
            "out of its turn",
        ),
        ([PLAN, ev.StepFailed("pin", "", "", 5, 0.1), succeeded("pin")], "cannot advance"),
        (
            [replace(PLAN, no_return_after="nonsense")],
            "point of no return",
        ),
        ([replace(PLAN, steps=(*PLAN.steps, PLAN.steps[0]))], "a step twice"),
    ],
)
def test_a_journal_that_drkit_cannot_have_written_is_refused(events: list[ev.Event], says: str) -> None:
    with pytest.raises(JournalError, match=says):
        fold(sealed(events))


def test_behind_the_point_of_no_return_an_abort_cannot_be_journaled() -> None:
    state = fold(sealed([PLAN, *done(*[step.name for step in PLAN.steps[:7]])]))
    assert state.is_past_no_return
    with pytest.raises(LifecycleError):
        advance(state, next_entry(state, ev.AbortStarted("")))


def test_another_runs_entry_is_refused() -> None:
    state = fold(sealed([PLAN]))
    stranger = replace(next_entry(state, succeeded("pin")).entry, run_id="20260101t000000z-failover-ffff")
    with pytest.raises(JournalError, match="does not continue"):
        advance(state, seal(stranger))


def test_undoing_forgets_what_was_begun() -> None:
    events = [PLAN, *done("pin", "snapshot"), ev.AbortStarted(""), ev.CompensationStarted("snapshot")]
    undoing = fold(sealed(events))
    assert undoing.steps["snapshot"].outcome is StepOutcome.UNDOING
    assert undoing.is_changed
    undone = fold(sealed([*events, ev.CompensationDone("snapshot", {"lifted": 3}, 0.1)]))
    assert not undone.is_changed
    assert undone.steps["snapshot"].evidence == {"lifted": 3}
    assert undone.evidence == {"pin": {"n": 1}}
    assert undone.facts.is_undo_begun


def test_a_takeover_changes_the_owner() -> None:
    events: list[ev.Event] = [PLAN, ev.RunInterrupted(None, "SIGINT"), ev.RunTakenOver("bob", "resume", "alice")]
    state = fold(sealed(events))
    assert (state.owner, state.phase) == ("bob", Phase.RUNNING)


def next_entry(state: RunState, event: ev.Event) -> SealedEntry:
    """An entry that continues this state."""
    return seal(Entry(state.run_id, state.next_seq, "next", state.last_at, "0.1.0", state.digest, event))
