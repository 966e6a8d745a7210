"""``drkit resume``, ``drkit abort`` and ``drkit runs``: runs that were interrupted, and those of the past."""

from __future__ import annotations

import json
import sys

import click

from drkit.cli.options import output_option
from drkit.errors import UsageError


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
@click.pass_obj
def resume(config_path: str | None, run_id: str | None, yes: bool, output: str) -> int:
    """Go on with an unfinished run.

    Without RUN, the newest. The world is read again before anything is done.
    """
    return _continue(config_path, "resume", run_id, yes=yes, output=output)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
@click.pass_obj
def abort(config_path: str | None, run_id: str | None, yes: bool, output: str) -> int:
    """Undo an unfinished run.

    Without RUN, the newest. Refused once clients have been redirected: the way back is a failover to the old primary.
    """
    return _continue(config_path, "abort", run_id, yes=yes, output=output)


@click.group()
def runs() -> None:
    """List and show runs."""


@runs.command("list")
@output_option
@click.pass_obj
def list_runs(config_path: str | None, output: str) -> None:
    """List runs, newest first."""
    from drkit import bootstrap
    from drkit.cli.render import runs_text

    with bootstrap.open_service(config_path) as service:
        document = service.list_runs()
    click.echo(json.dumps(document) if output == "json" else runs_text(document))


@runs.command("show")
@click.argument("run_id", metavar="RUN")
@output_option
@click.pass_obj
def show_run(config_path: str | None, run_id: str, output: str) -> None:
    """Show a run: its steps, their evidence, and its outcome."""
    from drkit import bootstrap
    from drkit.cli.render import report_text

    with bootstrap.open_service(config_path) as service:
        document = service.show_run(run_id)
    click.echo(json.dumps(document) if output == "json" else report_text(document))


def _continue(config_path: str | None, verb: str, run_id: str | None, *, yes: bool, output: str) -> int:
    from drkit import bootstrap
    from drkit.cli.live import listener
    from drkit.cli.render import report_text

    if not yes and not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on, and --yes was not given", hint="add --yes")
    with bootstrap.open_service(config_path) as service:
        unfinished = service.unfinished_run(run_id)
        if not yes:
            click.confirm(f"{verb} {unfinished.run_id}, which {unfinished.summary}?", abort=True, err=True)
        with listener(unfinished.step_names) as view:
            report = service.resume(unfinished, view) if verb == "resume" else service.abort(unfinished, view)
    click.echo(json.dumps(report.document) if output == "json" else report_text(report.document))
    return int(report.exit_code)
