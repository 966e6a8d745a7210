"""The journal under lost and refused answers, with two writers: nothing acknowledged is lost, nothing interleaves."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.domain import run_events as ev
from drkit.domain.run_entries import parse
from drkit.engine import journal as journals
from drkit.engine.journal import Journal, StateDarkError
from drkit.errors import LeaseLostError
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.procedure import World, planned, procedure
from tests.fakes.scripted import Fault

RUN_ID = "20260101t000000z-failover-0a1b"
PLAN = planned(procedure(World(FakeObjectStore())))

faults = st.lists(st.sampled_from([*Fault, None]), max_size=6)
lost_answers = st.lists(st.sampled_from([Fault.LOST_ANSWER, Fault.NOT_ARRIVED, None]), max_size=6)


def nothing() -> None:
    """No fault."""


@settings(deadline=None)
@given(
    creates=st.lists(faults, min_size=1, max_size=12),
    gets=st.lists(lost_answers, min_size=1, max_size=12),
    writers=st.lists(st.sampled_from("ab"), min_size=1, max_size=12),
)
def test_two_writers_of_one_run(
    creates: list[list[Fault | None]], gets: list[list[Fault | None]], writers: list[str]
) -> None:
    store, clock = FakeObjectStore(), FakeClock()
    local: dict[str, list[str]] = {"a": [], "b": []}
    begun = Journal(store, lambda _run, _line: None, clock, run_id=RUN_ID)
    state = begun.append(PLAN)
    both = {
        name: Journal(store, lambda _run, line, name=name: local[name].append(line), clock, run_id=RUN_ID, state=state)  # type: ignore[misc]
        for name in "ab"
    }
    acknowledged: list[str] = []
    lost: set[str] = set()
    for turn, writer in enumerate(writers):
        store.on_next("create", *[fault or nothing for fault in creates[turn % len(creates)]])
        store.on_next("get", *[fault or nothing for fault in gets[turn % len(gets)]])
        by = f"{writer}{turn}"
        try:
            both[writer].append(ev.RunTakenOver(by, "resume", ""))
        except LeaseLostError:
            lost.add(writer)
        except StateDarkError:
            pass
        else:
            assert writer not in lost, "it wrote after another process had taken the run"
            acknowledged.append(by)
        store._scripts.clear()

    journal = [parse(store.objects[key]).entry.event for key in store.list(f"runs/{RUN_ID}/")]
    written = [event.by for event in journal if isinstance(event, ev.RunTakenOver)]
    assert journals.load(store, RUN_ID).next_seq == len(journal)
    # Whatever was acknowledged is there, in order; what is there besides had an answer that was lost for good.
    assert [by for by in written if by in acknowledged] == acknowledged
    # The two never alternate: whoever is second at a place is out.
    assert len({by[0] for by in written}) <= 1 or written == sorted(written, key=lambda by: written[0][0] != by[0])
    stored = {body.decode() for body in store.objects.values()}
    assert all(line in stored for lines in local.values() for line in lines)
