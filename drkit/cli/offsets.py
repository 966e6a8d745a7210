"""``drkit offsets``: positions on the other side, without writing them."""

from __future__ import annotations

import json

import click

from drkit.cli.options import output_option


@click.group()
def offsets() -> None:
    """Show where consumer groups continue on the other side."""


@offsets.command("translate")
@click.option("--from", "source", metavar="REGION", required=True, help="Region whose committed offsets are taken.")
@click.option("--to", "target", metavar="REGION", required=True, help="Region that is mirrored into.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="Only this group; may be repeated.")
@output_option
@click.pass_obj
def translate(config_path: str | None, source: str, target: str, groups: tuple[str, ...], output: str) -> None:
    """Show each group's position on the target, how sure it is, and why. Nothing is written.

    If the source does not answer, the positions come from MM2's checkpoints and the newest snapshot.
    """
    from drkit import bootstrap
    from drkit.cli.render import positions_text

    with bootstrap.open_service(config_path) as service:
        rows = service.translate(source, target, groups)
    click.echo(json.dumps(rows) if output == "json" else positions_text(rows))
