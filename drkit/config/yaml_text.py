"""YAML as ``drkit.yaml`` may use it: a subset in which nothing means something else than it looks like.

Plain scalars are resolved as in YAML 1.2's core schema, and narrower still: ``true`` and ``false``, decimal numbers
without leading zeros, ``null``; everything else is text (``NO``, ``1:30:00``, ``010``, ``1e3``, ``2026-01-01``), which
the models then refuse with an explanation where they want something else. Anchors, aliases, tags and a second document
are refused, a key given twice is an error, and every value knows its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

Path = tuple[str | int, ...]
"""Keys and indexes from the top of the file to a value."""

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

_MAX_DEPTH: Final = 32
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_CONSTANTS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a place in the file. ``line`` counts from 1; 0 is the file as a whole."""

    line: int
    path: Path
    message: str

    @property
    def dotted_path(self) -> str:
        """``regions.tokyo.cluster``, ``redirect[0].name``; empty for the whole file."""
        parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path]
        return "".join(parts).removeprefix(".")

    def __str__(self) -> str:
        place = ", ".join(filter(None, (f"line {self.line}" if self.line else "", self.dotted_path)))
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, and, for a scalar, its text and whether it is written without quotes."""

    line: int
    text: str | None = None
    is_plain: bool = False


@dataclass(slots=True)
class Document:
    """The file as plain values, with the place of each and what is wrong with the text itself."""

    value: Value = None
    places: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of the value, or of the nearest one around it that exists."""
        while path and path not in self.places:
            path = path[:-1]
        place = self.places.get(path)
        return place.line if place else 0


def parse(text: str) -> Document:
    """Read the text; problems are collected, and a syntax error is one of them."""
    document = Document()
    try:
        document.problems.extend(_forbidden(text))
        if not document.problems:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            if root is not None:
                document.value = _build(root, (), document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.problems.append(Problem(mark.line + 1 if mark else 0, (), _syntax_message(error)))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 0
        document.problems.append(Problem(line, (), f"the character U+{error.character:04X} is not allowed in YAML"))
    return document


def _forbidden(text: str) -> Iterator[Problem]:
    """What is refused before anything is built: references could make a small file huge, deep nesting a crash."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            yield Problem(line, (), f"the alias *{event.anchor} is not supported: write the value out")
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            yield Problem(
                line, (), f"the anchor &{event.anchor} is not supported: write the value out where it is used"
            )
        if tag is not None:
            yield Problem(line, (), f"the tag {tag} is not supported: remove it")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            yield Problem(line, (), f"nested more than {_MAX_DEPTH} levels deep")
            return


def _build(node: yaml.Node, path: Path, document: Document) -> Value:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        is_plain = node.style is None
        document.places[path] = Place(line, node.value, is_plain)
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            document.problems.append(Problem(line, path, "holds half of a surrogate pair, which is no text"))
            return ""
        return _resolve(node.value) if is_plain else str(node.value)
    document.places[path] = Place(line)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, index), document) for index, item in enumerate(node.value)]
    return _build_mapping(node, path, document)


def _build_mapping(node: yaml.Node, path: Path, document: Document) -> dict[str, Value]:
    values: dict[str, Value] = {}
    first_lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append(Problem(line, path, "a key must be text"))
            continue
        key = key_node.value
        if key in values:
            message = f"given twice: first on line {first_lines[key]}"
            document.problems.append(Problem(line, (*path, key), message))
            continue
        first_lines[key] = line
        values[key] = _build(value_node, (*path, key), document)
        if not isinstance(value_node, yaml.ScalarNode):
            # The key's line, not the one where the mapping or list below it begins.
            document.places[(*path, key)] = Place(line)
    return values


def _resolve(text: str) -> str | int | float | bool | None:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "no YAML"
    if "'\\t'" in problem:
        return "a tab where YAML allows only spaces"
    if problem.startswith("but found another document"):
        return "a second document begins here (`---`): one service per file"
    context = f"{error.context}: " if error.context else ""
    return f"not valid YAML: {context}{problem}"
