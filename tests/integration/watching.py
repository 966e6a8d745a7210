"""``drkit offsets watch`` beside a test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def watching(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A watch that looks every second, and writes what it did into ``log``."""
    options = ("--config", str(config), "offsets", "watch", "--every", "1", "--output", "json")
    command = [sys.executable, "-m", "drkit", *options]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out) as process:
        try:
            yield process
        finally:
            process.kill()


def looks(log: Path) -> list[dict[str, Any]]:
    """What it has written, one document per look."""
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
