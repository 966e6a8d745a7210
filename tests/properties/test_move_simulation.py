"""Histories of the real procedure, on the fakes of both regions, under applications that write and groups that read.

Each from a seed: at any call of a port the process is killed, the call gets no answer, or its answer is lost; another
process resumes or undoes the run, as often as it takes. Applications write where the name points and they may, groups
commit on the old side while they may, and the mirror carries over whatever is there. (How several operators, clocks and
a bucket with late answers play together is ``run_simulation``'s: there the steps are small ones.)
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest

from drkit.adapters.kafka.acl_fence import AclFence
from drkit.domain.kafka import GroupOffsets
from drkit.domain.lifecycle import Phase
from drkit.domain.lineage import EpochState
from drkit.domain.positions import GroupPosition, by_group
from drkit.domain.runs import RunState
from drkit.errors import DrkitError, ExitCode, RefusedError, UnreachableError
from drkit.ports import ConnectorState
from drkit.steps import translate_offsets
from tests.fakes.kafka import FakeCluster
from tests.fakes.move import FIRST, GROUP, Move, mirrored_service
from tests.fakes.scripted import Fault, Scripted
from tests.fakes.service import APPLICATION
from tests.properties.simulated_ports import Broken
from tests.properties.test_run_simulation import HISTORIES

MOVES = HISTORIES // 20
_CHUNK = 25
_ATTEMPTS = 12
_UNFINISHED = frozenset({ExitCode.STOPPED, ExitCode.OUTCOME_UNKNOWN, ExitCode.INTERRUPTED})


class KilledError(BaseException):
    """The process is no more."""


class MoveHistory:
    """One history. ``odds``: how likely a kill, a silence and a lost answer are at one call of a port."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.odds = (0.004, 0.006, 0.006)
        self.is_dead = False
        self.is_looking = False
        self.trace: list[str] = []
        self.service = service = mirrored_service()
        service.source.cluster.commit(GROUP, {FIRST: self.rng.randint(0, 10)})
        self.before = dict(service.target.cluster.committed)
        for fake in (service.source, service.target, service.connect, service.store, service.redirect):
            self._disturb(fake)
        service.while_waiting(self.others)
        self.move = Move(service, undo_on_failure=self.rng.random() < 0.5)

    def run(self) -> Phase | None:
        """Live through it; how the run ended, None if none was begun. Raises ``Broken``."""
        state = self._attempt("run", self.move.run)
        for number in range(_ATTEMPTS):
            if state is None or state.phase.is_final:
                break
            if number >= _ATTEMPTS // 2:
                self.odds = (0.0, 0.0, 0.0)
            undo = state.is_being_undone or (number < 3 and self.rng.random() < 0.4)
            state = self._attempt("abort" if undo else "resume", self.move.abort if undo else self.move.resume)
        phase = None if state is None else state.phase
        with self._looking():
            self._require_end(phase)
        return phase

    def _attempt(self, what: str, attempt: Callable[[], RunState]) -> RunState | None:
        self.trace.append(f"-- {what}")
        try:
            attempt()
        except KilledError:
            self.trace.append("killed")
        except DrkitError as error:
            self.trace.append(f"{int(error.exit_code)}: {error.message} ({error.hint})")
            if error.exit_code is ExitCode.BUG:
                raise Broken(f"a bug: {error.message}") from error
            goes_on = "drkit resume " in error.hint or "drkit abort " in error.hint
            if error.exit_code in _UNFINISHED and not goes_on:
                raise Broken(f"no command to go on with: {error.message} ({error.hint})") from error
        self.is_dead = False
        with self._looking(), suppress(RefusedError):
            return self.move.state
        return None

    def _disturb(self, fake: Scripted) -> None:
        begin = fake._begin

        def disturbed(call: str, argument: str) -> Fault | None:
            if self.is_dead:
                raise KilledError
            # Which of several threads is first, no seed says.
            if self.is_looking or threading.current_thread() is not threading.main_thread():
                return begin(call, argument)
            self._require_always()
            chance, (kill, silence, lost) = self.rng.random(), self.odds
            fault = begin(call, argument)
            if chance < kill:
                self.is_dead = True
                self.trace.append(f"killed at {call} {argument}")
                raise KilledError
            if chance < kill + silence:
                self.trace.append(f"no answer to {call} {argument}")
                raise UnreachableError(f"{call} {argument}: no answer", hint="")
            if chance < kill + silence + lost:
                self.trace.append(f"lost answer to {call} {argument}")
                return Fault.LOST_ANSWER
            return fault

        fake._begin = disturbed  # type: ignore[method-assign]

    def _looking(self) -> Any:
        return _Looking(self)

    def others(self) -> None:
        """What everybody else does while drkit waits."""
        service = self.service
        source, target = service.source.cluster, service.target.cluster
        if service.redirect.current.values == ("1",):
            if source.is_allowed(APPLICATION, "write", "topic", FIRST.topic) and self.rng.random() < 0.5:
                service.write(FIRST, 1)
            if source.is_allowed(APPLICATION, "read", "group", GROUP) and self.rng.random() < 0.5:
                source.commit(GROUP, {FIRST: self.rng.randint(source.committed[GROUP][FIRST], source.logs[FIRST].end)})
        elif target.is_allowed(APPLICATION, "write", "topic", FIRST.topic) and self.rng.random() < 0.05:
            target.write(FIRST, b"new")
        if service.connect.states[service.mirror.source_connector] is ConnectorState.RUNNING:
            with self._looking():
                service.carry(FIRST)

    def _require_always(self) -> None:
        """At no moment may applications write on both sides, and at none is a group beyond what it has read."""
        source, target = self.service.source.cluster, self.service.target.cluster
        if _is_open(source) and _is_open(target):
            raise Broken("both sides take writes")
        for partition, offset in target.committed.get(GROUP, {}).items():
            copies = [record.value for record in target.logs[partition].read(0, offset, committed=True)]
            unread = {r.value for r in source.logs[FIRST].read(source.committed[GROUP][FIRST], 10**9, committed=True)}
            if skipped := [value for value in copies if value in unread]:
                raise Broken(f"{GROUP} stands at {offset}, behind {skipped}, which it has not read")

    def _require_end(self, phase: Phase | None) -> None:
        service = self.service
        source, target = service.source.cluster, service.target.cluster
        values = service.redirect.current.values
        in_force = [one for one in service.record.read().epochs if one.state is EpochState.IN_FORCE]
        if phase in (Phase.SUCCEEDED, Phase.VERIFICATION_MISSED):
            expected = (values, len(in_force), _is_open(source), _is_open(target)) == (("2",), 1, False, True)
            written = {record.value for record in source.logs[FIRST].read(0, 10**9, committed=True)}
            copied = {record.value for record in target.logs[FIRST].read(0, 10**9, committed=True)}
            if not written <= copied:
                raise Broken(f"lost: {written - copied}")
        elif phase in (None, Phase.UNDONE, Phase.REFUSED):
            expected = (values, in_force, _is_open(source), _is_open(target)) == (("1",), [], True, False)
            expected = expected and target.committed == self.before
        else:
            raise Broken(f"ended {phase}")
        if not expected:
            raise Broken(f"{phase}: the record is {values}, {in_force}, {_is_open(source)}, {_is_open(target)}")


class _Looking:
    """The test's own look at the world, which nothing disturbs."""

    def __init__(self, history: MoveHistory) -> None:
        self._history = history

    def __enter__(self) -> None:
        self._before, self._history.is_looking = self._history.is_looking, True

    def __exit__(self, *_: object) -> None:
        self._history.is_looking = self._before


def _is_open(cluster: FakeCluster) -> bool:
    return cluster.is_allowed(APPLICATION, "write", "topic", FIRST.topic)


def live(seed: int) -> Phase | None:
    """One history; what it was is printed where it breaks a promise."""
    history = MoveHistory(seed)
    try:
        return history.run()
    except Broken as broken:
        told = "\n".join(history.trace[-60:])
        again = f"python -c 'from tests.properties.test_move_simulation import live; live({seed})'"
        pytest.fail(f"{broken}\nseed {seed}, again with: {again}\n{told}", pytrace=False)


def live_all(seeds: Iterable[int]) -> None:
    """Histories until one breaks a promise."""
    for seed in seeds:
        MoveHistory(seed).run()


@pytest.mark.parametrize("first", range(0, MOVES, _CHUNK))
def test_every_move_keeps_the_promises(first: int) -> None:
    ends = Counter(live(seed) for seed in range(first, first + _CHUNK))
    assert ends[Phase.SUCCEEDED] > 0
    assert ends[Phase.UNDONE] > 0


def _unnamed(trace: Iterable[str]) -> list[str]:
    """The trace without what is drawn for each run's own name."""
    return [re.sub(r"failover-[0-9a-f]{4}", "failover", line.split("/")[0]) for line in trace]


def test_a_move_can_be_had_again() -> None:
    first, second = MoveHistory(7), MoveHistory(7)
    assert first.run() == second.run()
    assert _unnamed(first.trace) == _unnamed(second.trace)


def test_a_group_that_is_put_one_record_too_far_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_far(positions: Iterable[GroupPosition]) -> GroupOffsets:
        return {group: {p: offset + 1 for p, offset in found.items()} for group, found in by_group(positions).items()}

    monkeypatch.setattr(translate_offsets, "by_group", too_far)
    with pytest.raises(Broken, match="which it has not read"):
        live_all(range(40))


def test_a_standby_that_is_opened_beside_the_primary_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AclFence, "put_producers", lambda _: {})
    with pytest.raises(Broken, match="both sides take writes"):
        live_all(range(40))
