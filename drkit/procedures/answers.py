"""What a service answers commands with, and what it is told of their process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from drkit.domain.naming import printable
from drkit.domain.runs import RunState
from drkit.engine.lease import IsGone
from drkit.errors import ExitCode
from drkit.reports.run_report import exit_code, report


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run's report and the exit code that it means."""

    document: dict[str, Any]
    exit_code: ExitCode

    @classmethod
    def of(cls, state: RunState) -> RunReport:
        """The report of a run as it stands."""
        return cls(report(state), exit_code(state))


@dataclass(frozen=True, slots=True)
class ThisProcess:
    """Who works: as leases name the process, as reports name its operator, and how a dead owner is told."""

    owner: str
    operator: str
    is_gone: IsGone


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run that can be resumed or aborted."""

    state: RunState
    accepted: Mapping[str, int | str] = field(default_factory=dict)
    """Risks that are accepted from here on."""

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.state.run_id

    @property
    def budgets(self) -> Mapping[str, float | None]:
        """Its steps in order, each with the longest that it was to wait, in seconds."""
        return {step.name: step.budget_seconds for step in self.state.plan.steps}

    @property
    def if_source_dies(self) -> Literal["stop", "disaster"] | None:
        """What was said when it was planned; a restore has nothing that a disaster move could take the place of."""
        if self.state.is_restore:
            return "stop"
        said = self.state.plan.options.get("if_source_dies")
        return "disaster" if said == "disaster" else "stop" if said == "stop" else None

    @property
    def summary(self) -> str:
        """What it is and where it stands, as the rest of a sentence."""
        plan = self.state.plan
        done = sum(step.is_done for step in self.state.steps.values())
        does = f"moves the service to {plan.target}"
        if self.state.is_restore:
            does = f"restores backup {printable(str(plan.options.get('backup_id')))} to {plan.target}"
        return f"{does} and has done {done} of {len(self.state.steps)} steps"
