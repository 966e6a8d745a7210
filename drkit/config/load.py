"""Finding and reading ``drkit.yaml``: every error at once, each with its line, its path and what to write instead.

Three phases, never mixed: the text and the models here, the rules between values in ``rules``, and what only the
clusters know in ``drkit check``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from drkit.config.explain import explain
from drkit.config.models import Settings
from drkit.config.rules import check
from drkit.config.yaml_text import Document, Problem, parse
from drkit.errors import ConfigError, UsageError

PLACEHOLDER: Final = "REPLACE-ME"
"""What ``drkit init`` writes where only the operator knows the value."""

_FILE_NAME: Final = "drkit.yaml"
_VARIABLE: Final = "DRKIT_CONFIG"
_MAX_BYTES: Final = 256 * 1024
_CHECK_AGAIN: Final = "correct the file, then: drkit config check"


@dataclass(frozen=True, slots=True)
class Examination:
    """What is to be said about a file. ``settings`` is None if the models refused it."""

    path: Path
    settings: Settings | None
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def find_config(explicit: str | None = None) -> Path:
    """The file to use: ``--config``, else ``DRKIT_CONFIG``, else ``./drkit.yaml``.

    Raises ``UsageError`` where there is none.
    """
    named = explicit or os.environ.get(_VARIABLE)
    path = Path(named or _FILE_NAME).expanduser()
    if path.is_file():
        return path
    if path.exists():
        raise UsageError(f"{path} is no file", hint=f"name the configuration: drkit --config DIRECTORY/{_FILE_NAME}")
    asked_by = "--config" if explicit else _VARIABLE if named else ""
    raise UsageError(
        f"{asked_by} names {path}, which does not exist" if asked_by else f"there is no {_FILE_NAME} here",
        hint=f"drkit init writes one; drkit --config FILE or {_VARIABLE} names another",
    )


def load(path: Path) -> Settings:
    """The settings. Raises ``ConfigError`` with every error found."""
    examination = examine(path)
    if examination.errors or examination.settings is None:
        lines = "\n".join(f"  {problem}" for problem in examination.errors)
        count = len(examination.errors)
        raise ConfigError(f"{path} has {count} error{'s' if count > 1 else ''}\n{lines}", hint=_CHECK_AGAIN)
    return examination.settings


def examine(path: Path) -> Examination:
    """Read and check a file, and say everything that can be said. Raises ``ConfigError`` if it cannot be read."""
    document = parse(text_of(path, _FILE_NAME))
    problems = document.problems
    if not problems and document.value is None:
        problems.append(Problem(0, (), "is empty; drkit init --output - shows what belongs here"))
    elif not problems and not isinstance(document.value, dict):
        problems.append(Problem(1, (), "must be a mapping of keys to values, beginning with project:"))
    if not isinstance(document.value, dict):
        return Examination(path, None, tuple(problems))
    problems.extend(_placeholders(document))
    settings = _settings(document)
    if settings is None:
        return Examination(path, None, _in_order(problems))
    findings = check(settings)
    known = {problem.path for problem in problems}
    problems.extend(
        Problem(document.line(found.path), found.path, found.message)
        for found in findings.errors
        if found.path not in known
    )
    warnings = [Problem(document.line(found.path), found.path, found.message) for found in findings.warnings]
    return Examination(path, settings, _in_order(problems), _in_order(warnings))


def json_schema() -> dict[str, object]:
    """The JSON Schema of ``drkit.yaml``, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}


def text_of(path: Path, kind: str) -> str:
    """The text of a file. ``kind``: what it is. Raises ``ConfigError`` for what cannot be read or is none."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="check its owner and mode") from error
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path} is larger than {_MAX_BYTES // 1024} KiB", hint=f"this is no {kind}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path} is not UTF-8 (line {line})", hint="save it as UTF-8") from error


def _settings(document: Document) -> Settings | None:
    """The model's answer. Its errors go to the document, but for places that have one already."""
    try:
        # As JSON, a list is good for a tuple and a whole number for a float; anything else must be of the exact type.
        return Settings.model_validate_json(json.dumps(document.value))
    except ValidationError as error:
        known = {problem.path for problem in document.problems}
        found = explain(error, document, Settings.model_json_schema())
        document.problems.extend(problem for problem in found if problem.path not in known)
        return None


def _placeholders(document: Document) -> list[Problem]:
    return [
        Problem(place.line, path, f"fill in: it still says {PLACEHOLDER}")
        for path, place in document.places.items()
        if place.text and PLACEHOLDER in place.text
    ]


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.line, problem.dotted_path)))
