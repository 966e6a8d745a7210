"""The live view of a run: one line per step with its time, on stderr; plain lines where there is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_MARKS = {
    "succeeded": ("✔", "green"),
    "missed": ("!", "red"),
    "failed": ("✘", "red"),
    "unknown": ("?", "yellow"),
    "undone": ("↩", "yellow"),
}


Budgets = Mapping[str, float | None]
"""Steps in order, each with the longest that it waits, in seconds; None for one that does not wait."""


def listener(budgets: Budgets) -> LiveView | LineView:
    """The view that fits stderr: live on a terminal, one line per event anywhere else."""
    return LiveView(budgets) if sys.stderr.isatty() else LineView(budgets)


def of_budget(seconds: float, budget_seconds: float | None) -> str:
    """Time that has passed, and where there is a limit, that."""
    return f"{seconds:7.2f} s" + (f" of {budget_seconds:g} s" if budget_seconds is not None else "")


class LineView:
    """One line per finished step."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

    def paused(self) -> AbstractContextManager[None]:
        """Nothing is drawn that a question would stand in."""
        return nullcontext()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to leave."""

    def step_started(self, name: str) -> None:
        """Say nothing: the end of a step is what counts in a log."""

    def step_finished(self, name: str, outcome: str, seconds: float, summary: str) -> None:
        """Print the step, its outcome and its time."""
        elapsed = of_budget(seconds, self._budgets.get(name))
        click.echo(f"{outcome:<9} {name:<18} {elapsed}  {summary}".rstrip(), err=True)

    def note(self, text: str) -> None:
        """Say nothing: notes are for somebody who watches."""


class LiveView:
    """A table of all steps that is drawn anew as they go."""

    def __init__(self, budgets: Budgets) -> None:
        from rich.console import Console
        from rich.live import Live

        self._budgets = budgets
        self._rows = dict.fromkeys(budgets, ("", 0.0, ""))
        self._running: tuple[str, float] | None = None
        self._note = ""
        self._live: Live = Live(console=Console(stderr=True), get_renderable=self._draw, refresh_per_second=12)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = None
        self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the screen to a question."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def step_started(self, name: str) -> None:
        """Show the step as running."""
        self._running = (name, time.monotonic())
        self._note = ""

    def step_finished(self, name: str, outcome: str, seconds: float, summary: str) -> None:
        """Show its outcome."""
        self._rows[name] = (outcome, seconds, summary)
        self._running = None

    def note(self, text: str) -> None:
        """Show what the running step waits for."""
        self._note = text

    def _draw(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for name, (outcome, seconds, summary) in self._rows.items():
            if self._running and self._running[0] == name:
                elapsed = of_budget(time.monotonic() - self._running[1], self._budgets[name])
                table.add_row(Text("▸", "cyan"), Text(name, "bold"), elapsed, Text(self._note, "dim"))
            elif outcome:
                mark, colour = _MARKS.get(outcome, ("•", "white"))
                elapsed = of_budget(seconds, self._budgets[name])
                table.add_row(Text(mark, colour), name, elapsed, Text(summary, "dim"))
            else:
                table.add_row(" ", Text(name, "dim"), "", "")
        return table
