"""The commented ``drkit.yaml`` that ``drkit init`` writes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from drkit.errors import RefusedError, UsageError

_EXAMPLE = "drkit.example.yaml"


def example_text() -> str:
    """The file, for the platform of ``ap-east-2`` and ``ap-northeast-1``, with placeholders."""
    return (Path(__file__).parent / _EXAMPLE).read_text(encoding="utf-8")


def write_example(path: Path, *, force: bool) -> None:
    """Write the file whole or not at all.

    Raises ``RefusedError`` if it exists and ``force`` is not given, ``UsageError`` if it cannot be written there.
    """
    try:
        if force:
            _replace(path, example_text())
        else:
            with path.open("x", encoding="utf-8") as file:
                file.write(example_text())
    except FileExistsError:
        raise RefusedError(f"{path} exists", hint="drkit init --output OTHER-FILE, or --force to replace it") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="name another with --output") from error


def _replace(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
