"""Something of a region that can be asked for its health."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ProbeStatus(StrEnum):
    """The answer of an HTTP health probe."""

    UP = "up"
    DOWN = "down"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """One answer, with what it said."""

    name: str
    status: ProbeStatus
    detail: str


class HealthProbe(Protocol):
    """Something of a region that can be asked for its health."""

    def ask(self) -> ProbeAnswer:
        """Ask once; never raises."""
