"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

output_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What to print on stdout.",
)
