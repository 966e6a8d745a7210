"""What a simulated operator meets: a clock, a state bucket whose answers get lost or late, and a world under watch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from drkit.engine import journal as journals
from drkit.errors import RefusedError, UnknownOutcomeError, UnreachableError
from drkit.ports import PreconditionFailed, StoredObject
from tests.fakes.aws import FakeObjectStore
from tests.fakes.procedure import World, procedure

if TYPE_CHECKING:
    from tests.properties.run_simulation import Process

LONGEST_FREEZE_SECONDS = 200.0

_EFFECTS = [step.name for step in procedure(World(FakeObjectStore())).steps if step.is_effect]
_INTENTS = {"step_started", "compensation_started"}


class Broken(BaseException):
    """A promise that a history broke."""


class SimulatedClock:
    """``drkit.ports.Clock`` of one machine: its monotonic clock is right, the other is off."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def now(self) -> datetime:
        seconds = self._process.history.seconds + self._process.skew_seconds
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return 1000.0 + self._process.history.seconds

    def sleep(self, seconds: float) -> None:
        history = self._process.history
        self._process.wakes_at = history.seconds + seconds
        history.give_up_turn(self._process)


class StateBucket:
    """The state bucket as one process meets it: answers are lost, requests too, and some arrive late."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._history = process.history
        self._store = process.history.state

    def get(self, key: str) -> StoredObject | None:
        self._history.point(self._process, f"get {key}")
        self._lose("get", key)
        return self._store.get(key)

    def list(self, prefix: str) -> Iterator[str]:
        self._history.point(self._process, f"list {prefix}")
        self._lose("list", prefix)
        return self._store.list(prefix)

    def create(self, key: str, body: bytes) -> str:
        return self._write(f"create {key}", lambda: self._store.create(key, body))

    def replace(self, key: str, body: bytes, etag: str) -> str:
        return self._write(f"replace {key}", lambda: self._store.replace(key, body, etag))

    def delete(self, key: str) -> None:
        self._write(f"delete {key}", lambda: self._gone(key))

    def _gone(self, key: str) -> str:
        self._store.delete(key)
        return ""

    def _write(self, what: str, write: Callable[[], str]) -> str:
        history, process = self._history, self._process
        # A renewal is no event; whatever else is written comes before the next look at the lease.
        if not what.endswith("lease.json"):
            process.guarded = False
        history.point(process, what)
        self._lose("before", what)
        if history.rng.random() < history.odds.delay:
            at = history.seconds + history.rng.random() * LONGEST_FREEZE_SECONDS
            history.late.append((at, lambda: _quietly(write)))
            history.tell(process, f"{what} arrives at {at:.2f}")
            raise UnreachableError(f"{what}: late")
        answer = write()
        history.point(process, f"{what}: done")
        self._lose("after", what)
        return answer

    def _lose(self, when: str, what: str) -> None:
        if self._history.rng.random() < self._history.odds.lost:
            self._history.tell(self._process, f"{when} {what}: lost")
            raise UnreachableError(f"{what}: no answer")


def _quietly(write: Callable[[], object]) -> None:
    # Nobody is there to hear that it was refused.
    with suppress(PreconditionFailed):
        write()


class Resources:
    """What steps change. Every change is held against the promises."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._store = process.history.world

    def get(self, key: str) -> StoredObject | None:
        return self._store.get(key)

    def list(self, prefix: str) -> Iterator[str]:
        return self._store.list(prefix)

    def create(self, key: str, body: bytes) -> str:
        self._require_right_to_change(key)
        return self._changed(self._store.create(key, body))

    def replace(self, key: str, body: bytes, etag: str) -> str:
        self._require_right_to_change(key)
        return self._changed(self._store.replace(key, body, etag))

    def delete(self, key: str) -> None:
        raise NotImplementedError

    def _require_right_to_change(self, part: str) -> None:
        process, history = self._process, self._process.history
        history.point(process, f"changes {part}")
        if not process.guarded:
            raise Broken(f"{process.name} changes {part} without a look at the lease after its intent")
        holder = json.loads(history.state.objects["lease.json"])
        if (holder["owner"], holder["is_held"]) != (process.owner, True):
            raise Broken(f"{process.name} changes {part}, and {holder['owner']} has the lease")
        run_id = journals.run_ids(history.state)[0]
        last = max(key for key in history.state.objects if key.startswith(f"runs/{run_id}/"))
        event = json.loads(history.state.objects[last])["event"]
        if event["kind"] not in _INTENTS or event["step"] != part.rpartition("-")[0]:
            raise Broken(f"{process.name} changes {part} after {event['kind']} of {event.get('step')}")

    def _changed(self, etag: str) -> str:
        parts = World(self._process.history.world).parts()
        steps = [step for step in _EFFECTS if step not in self._process.history.deferred]
        on = [parts.get(f"{step}-{n}", "off") != "off" for step in steps for n in (1, 2)]
        if on != sorted(on, reverse=True):
            raise Broken(f"a later step is there without an earlier one: {parts}")
        return etag


class FailingWorld(World):
    """Steps whose methods fail now and then."""

    def __init__(self, resources: Any, process: Process) -> None:
        super().__init__(resources)
        self._process = process

    def happen(self, step: str, method: str) -> None:
        history = self._process.history
        history.point(self._process, f"{step} {method}")
        if method != "prepare" and history.rng.random() < history.odds.step:
            kind = history.rng.choice((RefusedError, UnreachableError, UnknownOutcomeError))
            history.tell(self._process, f"{step} {method}: {kind.__name__}")
            if (method, kind) == ("compensate", UnreachableError):
                history.deferred.add(step)
            raise kind(f"{step} {method} was made to fail")
