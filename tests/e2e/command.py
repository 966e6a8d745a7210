"""drkit as its users run it: a subprocess with arguments, an exit code, stdout and stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drkit.errors import ExitCode


@dataclass(frozen=True)
class Answer:
    """What one command line answered."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """Stdout as one JSON document."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    @property
    def said(self) -> str:
        """Everything it said, for assertion messages."""
        return f"exit {self.code}\n{self.stdout}\n{self.stderr}"


def start(*arguments: str, config: Path | None = None, **environment: str) -> subprocess.Popen[str]:
    """Start drkit without a terminal."""
    options = ["--config", str(config)] if config else []
    return subprocess.Popen(
        [sys.executable, "-m", "drkit", *options, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1", **environment},
    )


def drkit(*arguments: str, config: Path | None = None, timeout_seconds: float = 120, **environment: str) -> Answer:
    """Run drkit without a terminal, to its end."""
    process = start(*arguments, config=config, **environment)
    try:
        stdout, stderr = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Answer(process.returncode, stdout, stderr)


def refused(answer: Answer, code: ExitCode, *words: str) -> None:
    """The exit code, an error that says these words, and no traceback."""
    assert answer.code == code, answer.said
    for word in words:
        assert word in answer.stderr, answer.said
    assert "Traceback" not in answer.stderr
    assert json.loads(answer.stdout)["exit_code"] == code
