"""``drkit topics``: topics by the naming convention, from a catalogue file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drkit.cli.options import output_option, require_terminal
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode, RefusedError, UsageError

if TYPE_CHECKING:
    from drkit.config.models import Settings
    from drkit.domain.topic_catalogue import WantedTopic
    from drkit.procedures.topics import HeldTopics


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.pass_obj,
        output_option,
        click.option("--catalogue", metavar="FILE", type=Path, help="The catalogue [topics.yaml beside drkit.yaml]."),
        click.option("--region", metavar="REGION", help="Which region [the primary]."),
        click.option("--environment", metavar="NAME", help="Must be drkit.yaml's; for scripts that name it."),
    ):
        command = option(command)
    return command


@click.group()
def topics() -> None:
    """List, check and create topics by the naming convention.

    \b
    A catalogue file says which topics there are, {project}.{environment}.{domain}.{event}, and how they are set up.
      drkit topics example > topics.yaml
      drkit topics create --dry-run
      drkit topics create

    \b
    They are made in the primary; the mirror makes them in the standby (--region makes them there all the same).
    Nothing that is there is ever changed: what differs is said, and drkit topics check exits with 6.
    """


@topics.command("example")
def example() -> None:
    """Print a commented catalogue."""
    from drkit.config.topics import example_text

    click.echo(example_text(), nl=False)


@topics.command("list")
@_options
def list_topics(
    chosen: Chosen, environment: str | None, region: str | None, catalogue: Path | None, output: str
) -> int:
    """List the environment's topics, with what the catalogue says of each."""
    _show(_held(chosen, environment, region, catalogue, is_needed=False), output)
    return int(ExitCode.DONE)


@topics.command("check")
@_options
def check(chosen: Chosen, environment: str | None, region: str | None, catalogue: Path | None, output: str) -> int:
    """Say whether the topics are as in the catalogue; exit code 6 if not."""
    held = _held(chosen, environment, region, catalogue)
    _show(held, output)
    return int(ExitCode.DONE if held.is_as_wanted else ExitCode.VERIFICATION)


@topics.command("create")
@click.option("--dry-run", is_flag=True, help="Show what would be made; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_options
def create(
    chosen: Chosen,
    environment: str | None,
    region: str | None,
    catalogue: Path | None,
    output: str,
    dry_run: bool,
    yes: bool,
) -> int:
    """Make the topics that are missing; safe to repeat.

    Exit code 6 if topics that are there differ from the catalogue: they are left as they are.
    """
    from drkit import bootstrap

    if not dry_run and not yes:
        require_terminal("add --yes, or --dry-run to see the plan")
    with bootstrap.open_service(chosen) as service:
        wanted = _wanted(chosen, service.settings, environment, catalogue)
        held = service.topics.hold(wanted, region)
        if held.missing and not dry_run:
            _show(held, "text", to_stderr=True)
            if not yes and not click.confirm(f"Make {len(held.missing)} topics in {held.region}?", err=True):
                raise RefusedError("not confirmed; nothing was changed")
            held = service.topics.create(held, lambda text: click.echo(text, err=True))
    _show(held, output)
    is_done = held.is_as_wanted or (dry_run and not any(one.differences for one in held.findings))
    return int(ExitCode.DONE if is_done else ExitCode.VERIFICATION)


def _held(
    chosen: Chosen, environment: str | None, region: str | None, catalogue: Path | None, *, is_needed: bool = True
) -> HeldTopics:
    from drkit import bootstrap

    with bootstrap.open_service(chosen) as service:
        return service.topics.hold(
            _wanted(chosen, service.settings, environment, catalogue, is_needed=is_needed), region
        )


def _wanted(
    chosen: Chosen, settings: Settings, environment: str | None, catalogue: Path | None, *, is_needed: bool = True
) -> tuple[WantedTopic, ...]:
    from drkit.config.load import find_config
    from drkit.config.topics import FILE_NAME, load_catalogue

    if environment not in (None, settings.environment):
        raise UsageError(
            f"{environment} is not the environment of this drkit.yaml, which is {settings.environment}",
            hint="each environment has a drkit.yaml of its own: name it with drkit --config FILE",
        )
    path = catalogue or find_config(chosen.config_path).resolve().parent / FILE_NAME
    if not path.is_file():
        if catalogue is None and not is_needed:
            return ()
        raise UsageError(
            f"there is no catalogue {path}", hint="drkit topics example > topics.yaml, or name one with --catalogue"
        )
    return load_catalogue(path, settings.project, settings.environment)


def _show(held: HeldTopics, output: str, *, to_stderr: bool = False) -> None:
    from drkit.cli.topics_text import topics_text

    click.echo(json.dumps(held.document) if output == "json" else topics_text(held.document), err=to_stderr)
