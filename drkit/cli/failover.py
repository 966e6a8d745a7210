"""``drkit failover`` and ``drkit switchover``: plan, show, ask, run, report."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

import click

from drkit.cli.options import Records, output_option, require_terminal
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode

if TYPE_CHECKING:
    from drkit.engine.listener import RunListener
    from drkit.procedures.answers import RunReport
    from drkit.procedures.going_over import Choice


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    options: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
        click.option("--to", "target", metavar="REGION", required=True, help="Region that becomes primary."),
        click.option("--dry-run", is_flag=True, help="Show the plan and what could not be checked; write nothing."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option(
            "--accept-replay",
            type=Records(),
            metavar="N|unknown",
            help="Go on although groups would read up to N records again.",
        ),
        click.option(
            "--accept-foreign-groups",
            is_flag=True,
            help="Go on although there are share or Streams groups, whose positions are not carried over.",
        ),
        click.option("--again", metavar="REASON", help="Move the service again within an hour of another move."),
        click.option("--keep", is_flag=True, help="Leave a planned run that fails as it is; else it is undone."),
        output_option,
        click.pass_obj,
    ]
    return reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@click.command()
@_shared
@click.option(
    "--mode",
    type=click.Choice(["auto", "planned", "disaster"]),
    default="auto",
    show_default=True,
    help="planned: source alive, drained, nothing lost. disaster: source gone.",
)
@click.option(
    "--accept-loss",
    type=Records(),
    metavar="N|unknown",
    help="Go on although up to N records are lost, or although nobody knows how many.",
)
@click.option("--source-is-gone", is_flag=True, help="Treat a source that still answers as gone.")
@click.option(
    "--mirror-is-gone",
    is_flag=True,
    help="With the source gone: Kafka Connect has no source connector any more, and none runs anywhere else.",
)
@click.option(
    "--supersede",
    is_flag=True,
    help="With a region down: take the place of a run that can be neither finished nor undone.",
)
@click.option(
    "--if-source-dies",
    type=click.Choice(["stop", "disaster"]),
    help="In the middle of a planned move: stop, to be resumed, or go over to a disaster move. Asked at a terminal.",
)
def failover(chosen: Chosen, **options: Any) -> int:
    """Move the service to another region.

    \b
    Finds out whether the source is alive (planned: fenced and drained, nothing is lost) or gone (disaster).
    Shows the plan with its forecast and asks before anything is written.

    \b
      drkit failover --to ap-northeast-1 --dry-run
      drkit failover --to ap-northeast-1
      drkit failover --to ap-northeast-1 --if-source-dies disaster --accept-loss 1000
      drkit failover --to ap-northeast-1 --mode disaster --accept-loss unknown
    """
    return _move(chosen, "failover", options)


@click.command()
@_shared
def switchover(chosen: Chosen, **options: Any) -> int:
    """Move the service to another region, drained, nothing lost.

    The same as ``drkit failover --mode planned``: refused when the source does not answer.
    """
    return _move(
        chosen,
        "switchover",
        {
            **options,
            "mode": "planned",
            "accept_loss": None,
            "source_is_gone": False,
            "mirror_is_gone": False,
            "supersede": False,
            "if_source_dies": "stop",
        },
    )


def _move(chosen: Chosen, procedure: str, options: dict[str, Any]) -> int:
    from drkit import bootstrap
    from drkit.cli.moves import carry_out, goes_ahead, show_report
    from drkit.cli.render import plan_text
    from drkit.procedures.plan import Request

    as_json, dry_run, yes = options["output"] == "json", options["dry_run"], options["yes"]
    if not dry_run and not yes:
        require_terminal("add --yes, or --dry-run to see the plan")
    request = Request(
        procedure=procedure,
        target=options["target"],
        mode=options["mode"],
        accept_loss=options["accept_loss"],
        accept_replay=options["accept_replay"],
        source_is_gone=options["source_is_gone"],
        mirror_is_gone=options["mirror_is_gone"],
        accept_foreign_groups=options["accept_foreign_groups"],
        supersede=options["supersede"],
        again=options["again"],
        if_source_dies=options["if_source_dies"],
    )
    with bootstrap.open_service(chosen) as service:
        plan = service.plan(request)
        if not goes_ahead(plan, plan_text(plan), dry_run=dry_run, yes=yes, as_json=as_json):
            return int(ExitCode.REFUSED if plan.refusals else ExitCode.DONE)

        def run(view: RunListener, if_source_dies: Choice | None) -> RunReport:
            return service.run(plan, view, undo_on_failure=not options["keep"], if_source_dies=if_source_dies)

        report = carry_out(service, plan.budgets, run, options["if_source_dies"], yes=yes, as_json=as_json)
    return show_report(report, as_json=as_json)
