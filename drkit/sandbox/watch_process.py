"""``drkit offsets watch`` as a process of a sandbox: it ends with the sandbox."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from drkit.sandbox.processes import ProcessSpec

if TYPE_CHECKING:
    from drkit.sandbox.sandbox import Sandbox

WATCH: Final = "watch"


def start_watch(box: Sandbox, *, every_seconds: float) -> None:
    """Start a watch of the sandbox's service, which follows its primary; each look is a line of its log."""
    # -P: the sandbox's directory, in which the process runs, is no place to import modules from.
    interpreter = (sys.executable, "-P", *box.processes.python_marks(WATCH), "-m", "drkit")
    watch = ("offsets", "watch", "--every", f"{every_seconds:g}", "--output", "json")
    command = (*interpreter, "--config", str(box.config), *watch)
    box.processes.start(ProcessSpec(WATCH, command, box.root / "logs" / f"{WATCH}.log", {}))
