"""README, runbooks and help cannot rot: commands parse, links lead somewhere, tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from drkit.cli import cli
from drkit.errors import EXIT_CODE_MEANINGS

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("runbooks/**/*.md"), *ROOT.glob("mm2/**/*.md")]
)
FENCE = re.compile(r"^```(?:sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(#[^)]*)?\)")


def commands(document: Path) -> list[str]:
    """The drkit command lines in a document's shell blocks."""
    lines = [line.removeprefix("$ ") for block in FENCE.findall(document.read_text()) for line in block.splitlines()]
    return [line for line in lines if line.startswith("drkit ")]


def parse(line: str) -> None:
    """Parse a command line as drkit would, without running it."""
    arguments = [word.replace("RUN", "20260101t000000z-failover-abcd") for word in shlex.split(line, comments=True)[1:]]
    if "--help" in arguments:
        arguments.remove("--help")
    command: click.Command = cli
    context = cli.make_context("drkit", arguments, resilient_parsing=False)
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, name
        assert name is not None
        context = found.make_context(name, list(rest), parent=context)
        command = found


@pytest.mark.parametrize(
    ("document", "line"),
    [pytest.param(path, line, id=f"{path.name}: {line}") for path in DOCUMENTS for line in commands(path)],
)
def test_a_documented_command_parses(document: Path, line: str) -> None:
    try:
        parse(line)
    except click.ClickException as error:
        pytest.fail(f"{document.name}: {line}\n{error.format_message()}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    missing = [link for link, _ in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert missing == []


def test_the_readme_lists_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == [(str(int(code)), meaning) for code, meaning in EXIT_CODE_MEANINGS.items()]


def test_every_decision_is_listed() -> None:
    folder = ROOT / "runbooks" / "decisions"
    listed = set(re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("[0-9]*.md")}
