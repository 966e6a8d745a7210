"""Every cell of the lifecycle: each phase, each trigger, each combination of facts."""

from __future__ import annotations

import itertools

import pytest

from drkit.domain.lifecycle import Facts, LifecycleError, Phase, Trigger, next_phase

P, T = Phase, Trigger

# Written out a second time, on purpose: what is here is what the design says, not what the table says.
MOVES: dict[tuple[Phase, Trigger], Phase] = {
    (P.RUNNING, T.TAKE_OVER): P.RUNNING,
    (P.STOPPED, T.TAKE_OVER): P.RUNNING,
    (P.UNKNOWN, T.TAKE_OVER): P.RUNNING,
    (P.INTERRUPTED, T.TAKE_OVER): P.RUNNING,
    (P.UNDOING, T.TAKE_OVER): P.UNDOING,
    (P.UNDO_STOPPED, T.TAKE_OVER): P.UNDOING,
    (P.RUNNING, T.ADVANCE): P.RUNNING,
    (P.RUNNING, T.FAIL): P.STOPPED,
    (P.RUNNING, T.LOSE_SIGHT): P.UNKNOWN,
    (P.RUNNING, T.INTERRUPT): P.INTERRUPTED,
    (P.UNDOING, T.INTERRUPT): P.UNDO_STOPPED,
    (P.RUNNING, T.UNDO): P.UNDOING,
    (P.STOPPED, T.UNDO): P.UNDOING,
    (P.UNKNOWN, T.UNDO): P.UNDOING,
    (P.INTERRUPTED, T.UNDO): P.UNDOING,
    (P.UNDOING, T.WITHDRAW_UNDO): P.STOPPED,
    (P.UNDOING, T.ADVANCE_UNDO): P.UNDOING,
    (P.UNDOING, T.FAIL_UNDO): P.UNDO_STOPPED,
    (P.RUNNING, T.SUCCEED): P.SUCCEEDED,
    (P.RUNNING, T.MISS): P.VERIFICATION_MISSED,
    (P.STOPPED, T.REFUSE): P.REFUSED,
    (P.UNDOING, T.FINISH_UNDO): P.UNDONE,
    (P.RUNNING, T.SUPERSEDE): P.SUPERSEDED,
    (P.STOPPED, T.SUPERSEDE): P.SUPERSEDED,
    (P.UNKNOWN, T.SUPERSEDE): P.SUPERSEDED,
    (P.INTERRUPTED, T.SUPERSEDE): P.SUPERSEDED,
    (P.UNDOING, T.SUPERSEDE): P.SUPERSEDED,
    (P.UNDO_STOPPED, T.SUPERSEDE): P.SUPERSEDED,
}


def is_allowed(trigger: Trigger, facts: Facts) -> bool:
    """What the guards say, in prose: see ``Facts``."""
    match trigger:
        case T.UNDO:
            return not facts.is_past_no_return
        case T.WITHDRAW_UNDO:
            return not facts.is_undo_begun
        case T.SUCCEED:
            return facts.is_complete and not facts.has_missed
        case T.MISS:
            return facts.is_complete and facts.has_missed
        case T.REFUSE | T.FINISH_UNDO:
            return not facts.is_changed
        case _:
            return True


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_cell(phase: Phase, trigger: Trigger) -> None:
    for values in itertools.product([False, True], repeat=5):
        facts = Facts(*values)
        wanted = MOVES.get((phase, trigger)) if is_allowed(trigger, facts) else None
        if wanted is not None:
            assert next_phase(phase, trigger, facts) is wanted
            continue
        with pytest.raises(LifecycleError, match=phase.value):
            next_phase(phase, trigger, facts)


def test_nothing_leads_out_of_a_final_phase() -> None:
    final = {phase for phase in Phase if phase.is_final}
    assert final == {P.SUCCEEDED, P.VERIFICATION_MISSED, P.REFUSED, P.UNDONE, P.SUPERSEDED}
    assert not final & {phase for phase, _ in MOVES}


def test_every_other_phase_leads_to_a_final_one() -> None:
    reached = {phase for phase in Phase if phase.is_final}
    while more := {source for (source, _), to in MOVES.items() if to in reached} - reached:
        reached |= more
    assert reached == set(Phase)
