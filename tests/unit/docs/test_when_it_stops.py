"""The page about every way in which drkit stops is complete, and names nothing that does not exist."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import drkit
from drkit.domain.lifecycle_graph import mermaid
from drkit.errors import EXIT_CODE_MEANINGS, DrkitError
from tests.unit.docs.test_documents import parse

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "runbooks" / "when-it-stops.md").read_text()
SECTIONS = {
    int(code): (title, body)
    for code, title, body in re.findall(r"^### (\d+): (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
ROWS = [line.strip("| ").split(" | ") for _, body in SECTIONS.values() for line in body.splitlines() if "| " in line]
SEEN = [row[0] for row in ROWS if row[0] != "you see"]
"""First cells. Code in them is of messages; an ellipsis is what a message fills in."""
TYPED = [code for row in ROWS for code in re.findall(r"`(drkit [^`]+)`", row[-1])]


@cache
def strings() -> str:
    """Every string of drkit's own code."""
    return "\n".join(
        node.value
        for path in Path(drkit.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def import_everything() -> None:
    """An error is in the tree once its module is imported."""
    for module in pkgutil.walk_packages(drkit.__path__, "drkit."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def errors(base: type[DrkitError] = DrkitError) -> Iterator[type[DrkitError]]:
    """The error tree, of what is imported."""
    yield base
    for kind in base.__subclasses__():
        yield from errors(kind)


def test_every_exit_code_has_its_section() -> None:
    assert {code: title for code, (title, _) in SECTIONS.items()} == {
        int(code): meaning for code, meaning in EXIT_CODE_MEANINGS.items()
    }


def test_every_error_is_in_the_section_of_its_exit_code() -> None:
    import_everything()
    found = {kind for kind in errors() if not kind.__name__.startswith("_") and kind.__module__.startswith("drkit.")}
    said = {
        code: set(re.findall(r"`(\w+)`", named[0]))
        for code, (_, body) in SECTIONS.items()
        if (named := re.findall(r"^In the code: (.+)$", body, re.MULTILINE))
    }
    expected: dict[int, set[str]] = {}
    for kind in found:
        expected.setdefault(int(kind.exit_code), set()).add(kind.__name__)
    assert said == expected


@pytest.mark.parametrize("seen", SEEN, ids=lambda seen: seen[:60])
def test_a_message_is_one_that_drkit_says(seen: str) -> None:
    pieces = [piece.strip() for code in re.findall(r"`([^`]+)`", seen) for piece in code.split("…")]
    steps = re.compile(r"stopped at(?: [\w-]+:)?|kill -9|interrupted by SIG")
    missing = [piece for piece in pieces if piece and not steps.fullmatch(piece) and piece not in strings()]
    assert missing == []


@pytest.mark.parametrize("line", TYPED)
def test_what_is_to_be_typed_parses(line: str) -> None:
    parse(line)


def test_the_picture_is_the_one_that_drkit_draws() -> None:
    drawn = re.search(r"<!-- drkit runs graph -->\n```mermaid\n(.*?)\n```", PAGE, re.DOTALL)
    assert drawn is not None
    assert drawn[1] == mermaid()
