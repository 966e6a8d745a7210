"""``drkit resume``, ``drkit abort`` and ``drkit runs``: runs that were interrupted, and those of the past."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from drkit.cli.options import Records, output_option, require_terminal
from drkit.config.chosen import Chosen

if TYPE_CHECKING:
    from drkit.engine.listener import RunListener
    from drkit.procedures.answers import RunReport
    from drkit.procedures.going_over import Choice


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--accept-loss",
    type=Records(),
    metavar="N|unknown",
    help="Go on although up to N records are lost, or although nobody knows how many.",
)
@click.option(
    "--accept-replay",
    type=Records(),
    metavar="N|unknown",
    help="Go on although groups would read up to N records again.",
)
@output_option
@click.pass_obj
def resume(chosen: Chosen, /, run_id: str | None, yes: bool, output: str, **risks: int | str | None) -> int:
    """Go on with an unfinished run.

    Without RUN, the newest. The world is read again before anything is done.
    """
    accepted = {risk: records for risk, records in risks.items() if records is not None}
    return _continue(chosen, "resume", run_id, yes=yes, output=output, accepted=accepted)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--target-is-gone",
    is_flag=True,
    help="The opened region does not answer: open the old one without knowing whether applications wrote there.",
)
@output_option
@click.pass_obj
def abort(chosen: Chosen, run_id: str | None, yes: bool, target_is_gone: bool, output: str) -> int:
    """Undo an unfinished run.

    Without RUN, the newest. Refused once clients have been redirected: the way back is a failover to the old primary.
    """
    return _continue(chosen, "abort", run_id, yes=yes, output=output, target_is_gone=target_is_gone)


@click.group()
def runs() -> None:
    """List and show runs."""


@runs.command("list")
@output_option
@click.pass_obj
def list_runs(chosen: Chosen, output: str) -> None:
    """List runs, newest first."""
    from drkit import bootstrap
    from drkit.cli.render import runs_text

    with bootstrap.open_service(chosen) as service:
        document = service.list_runs()
    click.echo(json.dumps(document) if output == "json" else runs_text(document))


@runs.command("show")
@click.argument("run_id", metavar="RUN")
@output_option
@click.pass_obj
def show_run(chosen: Chosen, run_id: str, output: str) -> None:
    """Show a run: its steps, their evidence, and its outcome."""
    from drkit import bootstrap
    from drkit.cli.render import report_text

    with bootstrap.open_service(chosen) as service:
        document = service.show_run(run_id)
    click.echo(json.dumps(document) if output == "json" else report_text(document))


@runs.command("graph")
@output_option
def graph(output: str) -> None:
    """Draw the life of a run as a Mermaid state diagram."""
    from drkit.domain.lifecycle_graph import graph_document, mermaid

    click.echo(json.dumps(graph_document()) if output == "json" else mermaid())


@runs.command("upload")
@output_option
@click.pass_obj
def upload(chosen: Chosen, output: str) -> None:
    """Bring what `--state local:DIR` holds into the state bucket.

    For when the bucket answers again. Nothing there is overwritten; a lineage that was continued elsewhere is refused.
    """
    from drkit import bootstrap

    document = bootstrap.upload_state(chosen, lambda line: click.echo(line, err=True))
    text = f"{len(document['uploaded'])} objects uploaded; the primary is {document['primary']}"
    click.echo(json.dumps(document) if output == "json" else text)


def _continue(
    chosen: Chosen,
    verb: str,
    run_id: str | None,
    *,
    yes: bool,
    output: str,
    target_is_gone: bool = False,
    accepted: Mapping[str, int | str] | None = None,
) -> int:
    from drkit import bootstrap
    from drkit.cli.moves import carry_out, show_report

    as_json = output == "json"
    if not yes:
        require_terminal("add --yes")
    with bootstrap.open_service(chosen) as service:
        unfinished = replace(service.unfinished_run(run_id), accepted=accepted or {})
        if not yes:
            click.confirm(f"{verb} {unfinished.run_id}, which {unfinished.summary}?", abort=True, err=True)

        def run(view: RunListener, if_source_dies: Choice | None) -> RunReport:
            if verb == "resume":
                return service.resume(unfinished, view, if_source_dies=if_source_dies)
            return service.abort(unfinished, view, target_is_gone=target_is_gone)

        policy = unfinished.if_source_dies if verb == "resume" else "stop"
        report = carry_out(service, unfinished.budgets, run, policy, yes=yes, as_json=as_json)
    return show_report(report, as_json=as_json)
