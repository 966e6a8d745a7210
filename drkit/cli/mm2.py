"""``drkit mm2``: the MirrorMaker 2 connectors of one direction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drkit.cli.options import output_option, write_files
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from drkit.config.models import Settings

_FLOW_HELP = "Which direction [out of the primary]."


@click.group()
def mm2() -> None:
    """Render, apply and inspect the MirrorMaker 2 connectors.

    They come from the templates in `mm2/`, where each setting stands beside its reason.
    """


@mm2.command("render")
@click.option("--flow", metavar="SOURCE:TARGET", help="Which direction [out of the configured primary].")
@click.option("--mode", type=click.Choice(["connect", "dedicated"]), default="connect", show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write files here, the worker's as well.")
@click.pass_obj
def render(chosen: Chosen, flow: str | None, mode: str, out: Path | None) -> None:
    """Print what Connect or a dedicated process is to be given.

    Connector configurations as one JSON object by name, or an mm2.properties. Asks no cluster; secrets stay references.
    """
    from drkit.config.load import find_config, load
    from drkit.config.mirror_templates import flow_of, render_connectors, render_dedicated, render_files

    settings = load(find_config(chosen.config_path))
    direction = flow_of(settings, _source(settings, flow) or settings.primary)
    if out is None and mode == "connect":
        click.echo(json.dumps(render_connectors(settings, direction), indent=2))
        return
    if out is None:
        click.echo(render_dedicated(settings, direction), nl=False)
        return
    write_files(out, render_files(settings, direction, mode))


@mm2.command("apply")
@click.option("--flow", metavar="SOURCE:TARGET", help=_FLOW_HELP)
@click.option("--resume", is_flag=True, help="Resume connectors that are stopped or paused, restart failed tasks.")
@output_option
@click.pass_obj
def apply(chosen: Chosen, flow: str | None, resume: bool, output: str) -> int:
    """Make topics and connectors as rendered.

    Then wait until they run. Safe to repeat: nothing is changed that is right already. Refused where it would start a
    loop, write to another cluster than configured, or lose or repeat records. Exit code 6 if they do not run then.
    """
    from drkit import bootstrap

    with bootstrap.open_service(chosen) as service:
        source = _source(service.settings, flow)
        document = service.mm2_apply(source, resume=resume, progress=lambda text: click.echo(text, err=True))
    return _show(document, output)


@mm2.command("status")
@click.option("--flow", metavar="SOURCE:TARGET", help=_FLOW_HELP)
@output_option
@click.pass_obj
def status(chosen: Chosen, flow: str | None, output: str) -> int:
    """Show connectors, drift and known traps.

    Connectors with their tasks, what differs from the templates, and settings that lose, repeat or mangle records.
    Exit code 6 if anything is not as it should be. Nothing is written.
    """
    from drkit import bootstrap

    with bootstrap.open_service(chosen) as service:
        document = service.mm2_status(_source(service.settings, flow))
    return _show(document, output)


def _source(settings: Settings, flow: str | None) -> str | None:
    """The flow's source region; None where the flow is not given."""
    if flow is None:
        return None
    source, _, target = flow.partition(":")
    if {source, target} != set(settings.regions):
        names = list(settings.regions)
        raise UsageError(
            f"--flow {flow} does not lead from one of the two regions to the other",
            hint=f"--flow {names[0]}:{names[1]} or --flow {names[1]}:{names[0]}",
        )
    return source


def _show(document: dict[str, Any], output: str) -> int:
    if output == "json":
        click.echo(json.dumps(document))
    else:
        from drkit.cli.mirror_text import mirror_text

        click.echo(mirror_text(document))
    return int(ExitCode.DONE if document["healthy"] else ExitCode.VERIFICATION)
