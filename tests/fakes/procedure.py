"""A small procedure with every kind of step, on a world that is an object store, and a runner around it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drkit.domain.mode import FailoverMode
from drkit.domain.run_events import RunPlanned
from drkit.engine.step import Evidence, Procedure, RunContext, Step
from drkit.errors import VerificationError
from drkit.ports import ObjectStore

SOURCE, TARGET = "ap-east-2", "ap-northeast-1"


@dataclass
class World:
    """What steps change: parts that are on or off. ``faults``: what happens before a step's method does its work."""

    store: ObjectStore
    faults: dict[tuple[str, str], Callable[[], object]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def get(self, part: str) -> str:
        """The state of a part; "off" before anything was done."""
        stored = self.store.get(part)
        return json.loads(stored.body)["is"] if stored else "off"

    def put(self, part: str, value: str) -> None:
        """Set a part."""
        stored = self.store.get(part)
        body = json.dumps({"is": value}).encode()
        if stored is None:
            self.store.create(part, body)
        elif stored.body != body:
            self.store.replace(part, body, stored.etag)

    def parts(self) -> dict[str, str]:
        """Every part."""
        return {key: self.get(key) for key in self.store.list("")}

    def happen(self, step: str, method: str) -> None:
        """Count the call, and do what was arranged for it."""
        self.calls.append((step, method))
        fault = self.faults.get((step, method))
        if fault is not None:
            fault()

    def count(self, step: str, method: str) -> int:
        """How often a step's method was called."""
        return self.calls.count((step, method))


class Effect(Step[Mapping[str, str]]):
    """Turns two parts on, one after the other, so that there is a state half-way; its value carries the step before."""

    def __init__(self, world: World, name: str, *, after: str = "", holds: bool = True) -> None:
        self._world = world
        self._after = after
        # A step's name and kind are its class's; these steps differ in nothing else.
        self.__dict__.update(name=name, holds_over_interruption=holds)

    def describe(self, context: RunContext) -> str:
        return f"turn {self.name} on in {context.target}"

    def prepare(self, context: RunContext) -> None:
        self._world.happen(self.name, "prepare")

    def observe(self, context: RunContext) -> Mapping[str, str]:
        self._world.happen(self.name, "observe")
        return {part: self._world.get(part) for part in self._parts}

    def is_satisfied(self, context: RunContext, observation: Mapping[str, str]) -> bool:
        return set(observation.values()) == {self._wanted(context)}

    def is_begun(self, context: RunContext, observation: Mapping[str, str]) -> bool:
        return self._wanted(context) in observation.values()

    def apply(self, context: RunContext, observation: Mapping[str, str]) -> None:
        self._world.happen(self.name, "apply")
        first, second = self._parts
        self._world.put(first, self._wanted(context))
        self._world.happen(self.name, "half-way")
        self._world.put(second, self._wanted(context))

    def confirm(self, context: RunContext) -> Evidence:
        self._world.happen(self.name, "confirm")
        return {"value": self._world.get(self._parts[1]), "region": context.target}

    def compensate(self, context: RunContext) -> Evidence:
        self._world.happen(self.name, "compensate")
        for part in reversed(self._parts):
            self._world.put(part, "off")
        return {"value": "off"}

    def summarize(self, evidence: Evidence) -> str:
        return str(evidence["value"])

    @property
    def _parts(self) -> tuple[str, str]:
        return f"{self.name}-1", f"{self.name}-2"

    def _wanted(self, context: RunContext) -> str:
        return f"on after {context.of(self._after).get('value', 'nothing')[:20]}"


class Look(Step[None]):
    """Reads; ``expects`` is a part that must be on."""

    is_effect = False

    def __init__(self, world: World, name: str, *, holds: bool = True, expects: str = "") -> None:
        self._world = world
        self._expects = expects
        self.__dict__.update(name=name, holds_over_interruption=holds)

    def describe(self, context: RunContext) -> str:
        return f"look at {self.name}"

    def observe(self, context: RunContext) -> None:
        self._world.happen(self.name, "observe")

    def is_satisfied(self, context: RunContext, observation: None) -> bool:
        return True

    def confirm(self, context: RunContext) -> Evidence:
        self._world.happen(self.name, "confirm")
        if self._expects and self._world.get(self._expects) == "off":
            raise VerificationError(f"{self._expects} is off")
        return {"looked": True}


def procedure(world: World) -> Procedure:
    """Reads and effects, facts that an interruption wears out and ones that it does not, before and after no return."""
    return Procedure(
        name="failover",
        steps=(
            Look(world, "pin", holds=False),
            Effect(world, "snapshot"),
            Effect(world, "fence", after="snapshot", holds=False),
            Look(world, "drain", holds=False, expects="fence-2"),
            Effect(world, "cut", after="fence"),
            Effect(world, "promote", after="cut"),
            Effect(world, "redirect", after="promote"),
            Effect(world, "record", after="redirect"),
            Look(world, "verify", expects="record-2"),
            Effect(world, "plan-failback", after="record"),
        ),
        no_return_after="redirect",
    )


def planned(of: Procedure, *, undo_on_failure: bool = False, **options: Any) -> RunPlanned:
    """The plan of a run of this procedure."""
    return RunPlanned(
        procedure=of.name,
        mode=FailoverMode.PLANNED,
        source=SOURCE,
        target=TARGET,
        steps=of.identities,
        no_return_after=of.no_return_after,
        options=options,
        objectives={"rto_seconds": 600.0},
        plan_digest="a" * 64,
        settings_digest="b" * 64,
        config_path=None,
        operator="tester",
        undo_on_failure=undo_on_failure,
    )


class Watcher:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.finished: list[tuple[str, str, str]] = []
        self.notes: list[str] = []
        self.started: defaultdict[str, int] = defaultdict(int)

    def step_started(self, name: str) -> None:
        self.started[name] += 1

    def step_finished(self, name: str, outcome: str, seconds: float, summary: str) -> None:
        self.finished.append((name, outcome, summary))

    def note(self, text: str) -> None:
        self.notes.append(text)
