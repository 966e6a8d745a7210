"""The fold of a journal: any history that can happen, every prefix of it, and no history that was tampered with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.domain import run_events as ev
from drkit.domain.lifecycle import LifecycleError, Phase
from drkit.domain.run_entries import GENESIS, Entry, JournalError, SealedEntry, parse, seal
from drkit.domain.run_steps import StepOutcome
from drkit.domain.runs import RunState, advance, begin, fold
from tests.fakes.aws import FakeObjectStore
from tests.fakes.procedure import World, planned, procedure

RUN_ID = "20260101t000000z-failover-0a1b"
PLAN = planned(procedure(World(FakeObjectStore())))
NAMES = [step.name for step in PLAN.steps]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates are replaced before an event is made.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: "\ud800" not in repr(value))
evidence = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), json_values, max_size=3)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
seconds = st.floats(min_value=0, max_value=1e6)
names = st.sampled_from(NAMES)

events: st.SearchStrategy[ev.Event] = st.one_of(
    st.builds(ev.RunTakenOver, text, st.sampled_from(["resume", "abort"]), text),
    st.builds(ev.StepStarted, names, text),
    st.builds(ev.StepSucceeded, names, evidence, seconds, st.booleans()),
    st.builds(ev.StepMissed, names, text, text, evidence, seconds),
    st.builds(ev.StepFailed, names, text, text, st.integers(0, 255), seconds),
    st.builds(ev.StepUnknown, names, text, text, seconds),
    st.builds(ev.RunInterrupted, st.none() | names, text),
    st.builds(ev.AbortStarted, text),
    st.builds(ev.AbortWithdrawn, names, text, text),
    st.builds(ev.CompensationStarted, names),
    st.builds(ev.CompensationDone, names, evidence, seconds),
    st.builds(ev.CompensationDeferred, names, text, text, st.integers(0, 255), seconds),
    st.builds(ev.CompensationFailed, names, text, text, st.integers(0, 255), seconds),
    st.builds(ev.RunFinished, st.sampled_from([p for p in Phase if p.is_final and p is not Phase.SUPERSEDED])),
    st.builds(ev.RunSuperseded, text),
)


def unsealed(state: RunState | None, event: ev.Event) -> Entry:
    """The next entry of a journal."""
    seq = state.next_seq if state else 0
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seq)
    return Entry(RUN_ID, seq, f"event-{seq}", at, "0.1.0", state.digest if state else GENESIS, event)


def entry(state: RunState | None, event: ev.Event) -> SealedEntry:
    """The next entry of a journal, as it is stored."""
    return seal(unsealed(state, event))


def can_happen(state: RunState, event: ev.Event) -> bool:
    """Whether the event can follow."""
    try:
        advance(state, SealedEntry(unsealed(state, event), "", b""))
    except LifecycleError:
        return False
    return True


def candidates(state: RunState) -> list[ev.Event]:
    """One event of each kind that moves a run on, for the steps whose turn it is."""
    due = next((step for step in state.steps.values() if not step.is_done), None)
    last = next((step for step in reversed(list(state.steps.values())) if step.begun), None)
    found: list[ev.Event] = [
        ev.RunTakenOver("bob", "resume", ""),
        ev.RunInterrupted(None, "SIGINT"),
        ev.AbortStarted("x"),
        *(ev.RunFinished(phase) for phase in Phase if phase.is_final and phase is not Phase.SUPERSEDED),  # type: ignore[arg-type]
        ev.RunSuperseded("s"),
    ]
    if due is not None:
        found += [
            ev.StepStarted(due.name, "x"),
            ev.StepSucceeded(due.name, {}, 1.0, satisfied=False),
            ev.StepMissed(due.name, "", "", {}, 1.0),
            ev.StepFailed(due.name, "", "", 5, 1.0),
            ev.StepUnknown(due.name, "", "", 1.0),
        ]
    if last is not None:
        found += [
            ev.CompensationStarted(last.name),
            ev.CompensationDone(last.name, {}, 1.0),
            ev.CompensationDeferred(last.name, "", "", 5, 1.0),
            ev.CompensationFailed(last.name, "", "", 5, 1.0),
            ev.AbortWithdrawn(last.name, "", ""),
        ]
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[SealedEntry]:
    """A journal of events that could each happen where they stand; steps succeed often enough to get to the end."""
    journal = [entry(None, PLAN)]
    state = begin(journal[0])
    for step in PLAN.steps[: draw(st.integers(0, len(NAMES)))]:
        for event in [ev.StepStarted(step.name, "x")] * step.is_effect + [ev.StepSucceeded(step.name, {}, 1.0, False)]:
            journal.append(entry(state, event))
            state = advance(state, journal[-1])
    for choice in draw(st.lists(st.integers(0, 1000), max_size=40)):
        following = [event for event in candidates(state) if can_happen(state, event)]
        if choice == 0:
            any_event = draw(events)
            following = [any_event] if can_happen(state, any_event) else following
        if not following:
            break
        forward = [event for event in following if isinstance(event, ev.StepStarted | ev.StepSucceeded)]
        likely = forward * 4 + following
        journal.append(entry(state, likely[choice % len(likely)]))
        state = advance(state, journal[-1])
    return journal


@settings(deadline=None)
@given(events)
def test_every_event_reads_back_as_it_was(event: ev.Event) -> None:
    one = entry(begin(entry(None, PLAN)), event)
    assert parse(one.body) == one
    assert one.entry.event == event
    assert b"\n" not in one.body


@settings(deadline=None)
@given(histories())
def test_every_prefix_is_a_run_and_folds_to_what_was_known_then(journal: list[SealedEntry]) -> None:
    state = begin(journal[0])
    for length in range(1, len(journal) + 1):
        if length > 1:
            state = advance(state, journal[length - 1])
        assert fold(parse(one.body) for one in journal[:length]) == state
        hold_invariants(state)


def hold_invariants(state: RunState) -> None:
    """What is true of every run at every moment."""
    steps = list(state.steps.values())
    if state.is_past_no_return:
        assert not state.is_being_undone
        assert state.phase is not Phase.UNDONE
    if state.phase in (Phase.UNDONE, Phase.REFUSED):
        assert not state.is_changed
    if state.phase is Phase.SUCCEEDED:
        assert all(step.outcome is StepOutcome.SUCCEEDED for step in steps)
    if state.phase is Phase.VERIFICATION_MISSED:
        assert all(step.is_done for step in steps)
    assert all(step.is_effect or not step.begun for step in steps)


@settings(deadline=None)
@given(histories(), st.data())
def test_no_entry_can_be_left_out_put_in_again_or_exchanged(journal: list[SealedEntry], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(journal) - 1))
    second = data.draw(st.integers(0, len(journal) - 1))
    changed = list(journal)
    match data.draw(st.sampled_from(["leave out", "repeat", "exchange"])):
        case "leave out" if first < len(journal) - 1:
            del changed[first]
        case "repeat":
            changed.insert(second, journal[first])
        case "exchange" if first != second:
            changed[first], changed[second] = changed[second], changed[first]
        case _:
            return
    with pytest.raises(JournalError):
        fold(changed)


@settings(deadline=None)
@given(histories(), st.data())
def test_no_byte_can_be_changed(journal: list[SealedEntry], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(journal))
    place = data.draw(st.integers(0, len(one.body) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != one.body[place]))
    body = one.body[:place] + bytes([byte]) + one.body[place + 1 :]
    try:
        read = parse(body)
    except JournalError:
        return
    # What is left are spellings of the same content, such as an escape in other letters.
    assert json.loads(body) == json.loads(one.body)
    assert read.entry == one.entry
