"""Calls of fakes that go wrong as told."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from enum import Enum, auto

from drkit.errors import UnreachableError
from drkit.ports import PreconditionFailed


class Fault(Enum):
    """What can go wrong with one call."""

    LOST_ANSWER = auto()
    """The effect happens, its answer is lost."""
    NOT_ARRIVED = auto()
    """Nothing happens, and no answer comes."""
    LOST_CONDITION = auto()
    """A 412 although the condition holds: what a blind second attempt of a write that had succeeded gets."""


Script = Fault | Callable[[], object]
"""A fault, or what somebody else does just before the call takes effect (or the error that is raised there)."""


class Scripted:
    """Faults by the name of the call, used up one by one; ``is_dark`` fails every call until it is lifted."""

    def __init__(self) -> None:
        self.is_dark = False
        self.calls: list[tuple[str, str]] = []
        self._scripts: defaultdict[str, deque[Script]] = defaultdict(deque)

    def on_next(self, call: str, *scripts: Script) -> None:
        """What happens to the next calls of this name."""
        self._scripts[call].extend(scripts)

    def _begin(self, call: str, argument: str) -> Fault | None:
        self.calls.append((call, argument))
        if self.is_dark:
            raise UnreachableError(f"{call} {argument}: dark")
        script = self._scripts[call].popleft() if self._scripts[call] else None
        if script is Fault.NOT_ARRIVED:
            raise UnreachableError(f"{call} {argument}: not arrived")
        if script is Fault.LOST_CONDITION:
            raise PreconditionFailed(f"{call} {argument}: lost condition")
        if script is None or isinstance(script, Fault):
            return script
        script()
        return None

    def _end(self, fault: Fault | None, call: str, argument: str) -> None:
        if fault is Fault.LOST_ANSWER:
            raise UnreachableError(f"{call} {argument}: lost answer")
