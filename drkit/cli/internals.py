"""``drkit internals``: for whoever tests drkit. Not in the list of commands."""

from __future__ import annotations

import json

import click

from drkit.cli.options import output_option


@click.group(hidden=True)
def internals() -> None:
    """What tests of drkit ask for."""


@internals.command("failpoints")
@output_option
def list_failpoints(output: str) -> None:
    """List where DRKIT_FAILPOINT can kill a run: on both sides of every effect of every procedure, and of backups."""
    from drkit.engine import failpoints
    from drkit.procedures import restoring
    from drkit.procedures.failover import NO_RETURN_AFTER, STEPS

    listed = {mode.value: failpoints.names(steps, NO_RETURN_AFTER) for mode, steps in STEPS.items()}
    listed["restore"] = failpoints.names(restoring.STEPS, restoring.NO_RETURN_AFTER)
    listed |= {where: failpoints.outside_runs(where) for where in failpoints.OUTSIDE_RUNS}
    if output == "json":
        click.echo(json.dumps({"schema": "drkit.failpoints/1", "procedures": listed}))
        return
    for mode, names in listed.items():
        for name in names:
            click.echo(f"{mode}  {name}")
