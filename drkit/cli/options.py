"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from drkit.errors import UsageError

output_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What to print on stdout.",
)


class Records(click.ParamType[int | str]):
    """A number of records, or ``unknown``."""

    name = "N|unknown"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int | str:
        """``unknown``, or the number."""
        if isinstance(value, int):
            return value
        if value == "unknown":
            return "unknown"
        if isinstance(value, str) and value.isdecimal():
            return int(value)
        self.fail(f"{value!r} is neither a number of records nor 'unknown'", param, ctx)
        return None


def require_terminal(hint: str) -> None:
    """Raise ``UsageError`` where there is nobody to ask. ``hint``: what makes asking unnecessary."""
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on, and --yes was not given", hint=hint)


def write_files(out: Path, files: Mapping[str, str]) -> None:
    """``--out``: write these files into a directory, and name them. Raises ``UsageError`` where that cannot be done."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
            click.echo(out / name)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", hint="name another directory") from error
