"""A plan on the command line: shown, asked about, carried out; and the disaster move that may take its place."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import click

from drkit.cli.live import LineView, LiveView, listener
from drkit.errors import DrkitError, RefusedError

if TYPE_CHECKING:
    from drkit.procedures.answers import RunReport
    from drkit.procedures.going_over import Choice, SourceDiedError
    from drkit.procedures.plan import Plan
    from drkit.procedures.restore_plan import RestorePlan
    from drkit.procedures.service import Service

View = LineView | LiveView
Policy = Literal["stop", "disaster"] | None
"""What was said beforehand about a source that dies; None: who sits at a terminal is asked."""


def goes_ahead(plan: Plan | RestorePlan, text: str, *, dry_run: bool, yes: bool, as_json: bool) -> bool:
    """Show a plan, as ``text`` or as JSON, and ask; False where showing it was all (``dry_run``).

    Raises ``RefusedError`` for a plan that is not allowed, and where the operator does not type the region's name.
    """
    if not as_json or not dry_run:
        click.echo(text, err=as_json)
    if dry_run:
        if as_json:
            click.echo(json.dumps(plan.document))
        return False
    plan.require_allowed()
    if not yes and not confirmed(plan.target):
        raise RefusedError("not confirmed; nothing was changed")
    return True


def carry_out(
    service: Service,
    budgets: Mapping[str, float | None],
    run: Callable[[View, Choice | None], RunReport],
    policy: Policy,
    *,
    yes: bool,
    as_json: bool,
) -> RunReport:
    """Run a move of these steps, and should its source die, plan, show and run a disaster move in its place.

    ``yes``: nothing is asked, so that only a policy of ``disaster`` goes over. Raises what the run raises; where no
    disaster move may take its place, ``StoppedError`` with both reasons.
    """
    from drkit.procedures.going_over import SourceDiedError

    with listener(budgets) as view:
        try:
            return run(view, _choice(policy, view, yes=yes))
        except SourceDiedError as error:
            died = error
    return _in_its_place(service, died, yes=yes or policy == "disaster", as_json=as_json)


def _choice(policy: Policy, view: View, *, yes: bool) -> Choice | None:
    def by_policy(what: str) -> bool:
        view.note(f"{what}: a disaster move is planned")
        return True

    def by_operator(what: str) -> bool:
        # A run lets a first Ctrl-C wait until its step is over; here nothing is under way, and it is an answer.
        taken = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with view.paused():
                return click.confirm(f"{what}. Go over to a disaster move? Its plan is shown first", err=True)
        except click.Abort:
            return False
        finally:
            signal.signal(signal.SIGINT, taken)

    if policy == "disaster":
        return by_policy
    may_ask = policy is None and not yes and sys.stdin.isatty()
    return by_operator if may_ask else None


def _in_its_place(service: Service, died: SourceDiedError, *, yes: bool, as_json: bool) -> RunReport:
    from drkit.cli.render import plan_text

    try:
        plan = service.plan(died.request)
        click.echo(plan_text(plan), err=as_json)
        plan.require_allowed()
    except DrkitError as error:
        raise died.stays(error) from error
    if not yes and not confirmed(plan.target):
        raise died
    with listener(plan.budgets) as view:
        return service.run(plan, view, undo_on_failure=False)


def show_report(report: RunReport, *, as_json: bool) -> int:
    """Print what a run came to; the exit code."""
    from drkit.cli.render import report_text

    click.echo(json.dumps(report.document) if as_json else report_text(report.document))
    return int(report.exit_code)


def confirmed(region: str) -> bool:
    """Whether the operator types the region's name."""
    answer: str = click.prompt(f"Type {region} to go on", default="", show_default=False, err=True)
    return answer.strip() == region
