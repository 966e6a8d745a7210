"""``drkit offsets``: positions on the other side, and what they are known from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from drkit.cli.options import output_option
from drkit.config.chosen import Chosen

if TYPE_CHECKING:
    from drkit.procedures.watch import Look

_SHOWN_EVERY_SECONDS = 60.0


@click.group()
def offsets() -> None:
    """Where consumer groups continue on the other side, and how sure that is."""


@offsets.command("translate")
@click.option("--from", "source", metavar="REGION", required=True, help="Region whose committed offsets are taken.")
@click.option("--to", "target", metavar="REGION", required=True, help="Region that is mirrored into.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="Only this group; may be repeated.")
@output_option
@click.pass_obj
def translate(chosen: Chosen, source: str, target: str, groups: tuple[str, ...], output: str) -> None:
    """Show each group's position on the target, how sure it is, and why. Nothing is written.

    If the source does not answer, the positions come from MM2's checkpoints and the newest snapshot.
    """
    from drkit import bootstrap
    from drkit.cli.render import positions_text

    with bootstrap.open_service(chosen) as service:
        rows = service.translate(source, target, groups)
    click.echo(json.dumps(rows) if output == "json" else positions_text(rows))


@offsets.command("forecast")
@click.option("--from", "source", metavar="REGION", required=True, help="Region that would be left.")
@click.option("--to", "target", metavar="REGION", required=True, help="Region that would be moved to.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="Only this group; may be repeated.")
@click.option(
    "--measure",
    "seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0.0),
    default=3.0,
    show_default=True,
    help="How long to look at the groups' pace; 0: not.",
)
@output_option
@click.pass_obj
def forecast(chosen: Chosen, source: str, target: str, groups: tuple[str, ...], seconds: float, output: str) -> None:
    """Show what a move would make groups read again. Nothing is written.

    By drkit's translation, and by MirrorMaker 2's own: its checkpoints and what groups have committed on the target.
    With what is not certain, and why, and how old the evidence is.
    """
    from drkit import bootstrap
    from drkit.cli.render import forecast_text

    with bootstrap.open_service(chosen) as service:
        document = service.forecast(source, target, groups, measure_seconds=seconds)
    click.echo(json.dumps(document) if output == "json" else forecast_text(document))


@offsets.command("watch")
@click.option(
    "--every", "seconds", type=click.FloatRange(min=0.5), default=5.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="One look, for a scheduler.")
@click.option(
    "--most-read",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Positions whose records are read in one look.",
)
@output_option
@click.pass_obj
def watch(chosen: Chosen, seconds: float, once: bool, most_read: int, output: str) -> None:
    """Keep what would be gone with the primary, until Ctrl-C.

    Samples the groups' positions and the records there, and archives the offset syncs, in the state bucket: with the
    primary dead, positions are known from the last look on. May run as a service, on more than one machine, too.
    """
    from drkit import bootstrap

    with bootstrap.open_service(chosen) as service:
        service.watch(_show(output), every_seconds=seconds, most_read=most_read, once=once)


def _show(output: str) -> Callable[[Look], None]:
    """As JSON every look is a line; for people one a minute, and when something goes wrong or right again."""
    shown_at = -_SHOWN_EVERY_SECONDS
    shown_problems: list[str] = []

    def show(look: Look) -> None:
        nonlocal shown_at, shown_problems
        document = look.document()
        if output == "json":
            click.echo(json.dumps(document))
            return
        from drkit.cli.render import look_text

        now = time.monotonic()
        if document["problems"] == shown_problems and now - shown_at < _SHOWN_EVERY_SECONDS:
            return
        shown_at, shown_problems = now, document["problems"]
        click.echo(look_text(document))

    return show
