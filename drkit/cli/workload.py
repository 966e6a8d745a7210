"""``drkit sandbox workload``: a service at work, with a ledger."""

from __future__ import annotations

import json
from pathlib import Path

import click

from drkit.cli.options import output_option

_dir_option = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=".drkit/sandbox",
    show_default=True,
    help="The sandbox's directory.",
)


@click.group()
def workload() -> None:
    """Producers and consumer groups with a ledger of what was acknowledged and processed."""


@workload.command()
@_dir_option
@click.option("--rate", type=click.IntRange(1, 20000), default=2000, show_default=True, help="Records per second.")
@click.option("--groups", type=click.IntRange(1, 100), default=20, show_default=True, help="Half of them lag.")
def start(directory: Path, rate: int, groups: int) -> None:
    """Start it."""
    from drkit.sandbox import Sandbox
    from drkit.sandbox.workload.control import Workload

    Workload(Sandbox(directory)).start(rate=rate, groups=groups)


@workload.command()
@_dir_option
@click.option("--drain-seconds", type=click.FloatRange(min=0), default=60, show_default=True)
def stop(directory: Path, drain_seconds: float) -> None:
    """End the writes, let every group read to the end, end the groups."""
    from drkit.sandbox import Sandbox
    from drkit.sandbox.workload.control import Workload

    Workload(Sandbox(directory)).stop(drain_seconds=drain_seconds, progress=lambda line: click.echo(line, err=True))


@workload.command()
@_dir_option
@output_option
def report(directory: Path, output: str) -> None:
    """Show what the ledger proves."""
    from drkit.sandbox import Sandbox
    from drkit.sandbox.workload.control import Workload

    document = Workload(Sandbox(directory)).report()
    click.echo(json.dumps(document) if output == "json" else ledger_text(document))


def ledger_text(document: dict[str, object]) -> str:
    """The ledger's totals."""
    names = ("acknowledged", "processed", "lost", "replayed", "duplicates", "out_of_order", "write_outage_seconds")
    return "\n".join(f"{name.replace('_', ' '):<22} {document[name]}" for name in names)
