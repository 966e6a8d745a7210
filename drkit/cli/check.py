"""``drkit check``: readiness, for people and for schedulers."""

from __future__ import annotations

import json

import click

from drkit.cli.options import output_option
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode


@click.command()
@output_option
@click.pass_obj
def check(chosen: Chosen, output: str) -> int:
    """Say whether a failover would be possible now.

    Configuration, cluster ids, health of both regions, the mirror, the standby's fence, redirect targets, the state
    bucket, and the forecast against the objectives. Exit code 5 when a failover would be refused. Nothing is written.
    """
    from drkit import bootstrap
    from drkit.cli.render import check_text

    with bootstrap.open_service(chosen) as service:
        document = service.check()
    click.echo(json.dumps(document) if output == "json" else check_text(document))
    return int(ExitCode.DONE if document["ready"] else ExitCode.REFUSED)
