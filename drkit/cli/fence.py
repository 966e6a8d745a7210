"""``drkit fence``: the standby's write fence outside a failover."""

from __future__ import annotations

import json
from typing import Any

import click

from drkit.cli.options import output_option
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode


@click.group()
def fence() -> None:
    """Show, put or lift a region's write fence.

    The standby is fenced from the start, so that only the mirror writes there; a failover lifts that fence by itself.
    """


@fence.command("status")
@click.argument("region")
@output_option
@click.pass_obj
def status(chosen: Chosen, region: str, output: str) -> int:
    """Say whether a region is fenced; exit code 5 if it is not."""
    from drkit import bootstrap

    with bootstrap.open_service(chosen) as service:
        document = service.fence_status(region)
    _show(document, output)
    return int(ExitCode.DONE if document["fenced"] else ExitCode.REFUSED)


@fence.command("put")
@click.argument("region")
@output_option
@click.pass_obj
def put(chosen: Chosen, region: str, output: str) -> None:
    """Refuse the applications' writes in the standby; refused for the primary."""
    from drkit import bootstrap

    with bootstrap.open_service(chosen) as service:
        _show(service.fence_put(region), output)


@fence.command("lift")
@click.argument("region")
@output_option
@click.pass_obj
def lift(chosen: Chosen, region: str, output: str) -> None:
    """Let the applications write again; removes only what drkit put."""
    from drkit import bootstrap

    with bootstrap.open_service(chosen) as service:
        _show(service.fence_lift(region), output)


def _show(document: dict[str, Any], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(document))
    else:
        click.echo(f"{document['region']} is {'fenced' if document['fenced'] else 'not fenced'}")
