"""``drkit init`` and ``drkit config``: write, check, describe and show ``drkit.yaml``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drkit.cli.options import output_option
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode

if TYPE_CHECKING:
    from drkit.config.yaml_text import Problem


@click.command()
@click.option("--output", "-o", metavar="FILE", default="drkit.yaml", show_default=True, help="Where to; - is stdout.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def init(output: str, force: bool) -> None:
    """Write a commented drkit.yaml.

    Fill in what says REPLACE-ME; `drkit config check` names what is left.
    """
    from drkit.config.example import example_text, write_example

    if output == "-":
        click.echo(example_text(), nl=False)
        return
    write_example(Path(output), force=force)
    click.echo(f"wrote {output}: fill in what says REPLACE-ME, then: drkit config check", err=True)


@click.group()
def config() -> None:
    """Check, show and describe drkit.yaml."""


@config.command("check")
@output_option
@click.pass_obj
def check(chosen: Chosen, output: str) -> int:
    """Say everything that is wrong with the file.

    Each error with its line; exit code 10 if there is one. Asks no cluster: that is `drkit check`.
    """
    from drkit.config.load import examine, find_config

    found = examine(find_config(chosen.config_path))
    if output == "json":
        document = {
            "schema": "drkit.config-check/1",
            "file": str(found.path),
            "valid": not found.errors,
            "errors": _problems(found.errors),
            "warnings": _problems(found.warnings),
        }
        click.echo(json.dumps(document))
    else:
        for kind, problems in (("error", found.errors), ("warning", found.warnings)):
            for problem in problems:
                click.echo(f"{kind}: {problem}")
        click.echo(f"{found.path}: {f'{len(found.errors)} errors' if found.errors else 'ok'}")
    return int(ExitCode.CONFIG if found.errors else ExitCode.DONE)


def _problems(problems: Sequence[Problem]) -> list[dict[str, object]]:
    return [{"line": p.line, "path": p.dotted_path, "message": p.message} for p in problems]


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of drkit.yaml, for editors."""
    from drkit.config.load import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@config.command("show")
@output_option
@click.pass_obj
def show(chosen: Chosen, output: str) -> None:
    """Print the settings in force, defaults included.

    Secrets are references and stay so.
    """
    from drkit.config.load import find_config, load

    settings = load(find_config(chosen.config_path)).model_dump(mode="json")
    if output == "json":
        click.echo(json.dumps(settings))
        return
    import yaml

    click.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), nl=False)
