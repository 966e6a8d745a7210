"""``drkit status``: the service at a glance."""

from __future__ import annotations

import json
import time

import click

from drkit.cli.options import output_option
from drkit.config.chosen import Chosen


@click.command()
@click.option("--watch", is_flag=True, help="Show it again until Ctrl-C.")
@click.option(
    "--every", "seconds", type=click.FloatRange(min=0.5), default=2.0, show_default=True, help="With --watch."
)
@output_option
@click.pass_obj
def status(chosen: Chosen, watch: bool, seconds: float, output: str) -> None:
    """Regions, roles, mirror lag, exposure and the last run."""
    from drkit import bootstrap
    from drkit.cli.render import status_text

    with bootstrap.open_service(chosen) as service:
        while True:
            document = service.status(service.last_run())
            if watch and output == "text":
                click.clear()
            click.echo(json.dumps(document) if output == "json" else status_text(document))
            if not watch:
                return
            time.sleep(seconds)
