"""drkit that freezes itself at a failpoint, so that the world can change around it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import psutil

from tests.e2e.command import Answer, start
from tests.waiting import eventually


class Freezing:
    """One command line, from its start to where it freezes or ends. ``at``: the failpoint, None to go through."""

    def __init__(self, *arguments: str, config: Path, at: str | None) -> None:
        environment = {} if at is None else {"DRKIT_FAILPOINT": at, "DRKIT_FAILPOINT_SIGNAL": "STOP"}
        self._process = start(*arguments, config=config, **environment)
        self._answer: Answer | None = None

    def is_frozen(self) -> bool:
        """Wait until it freezes (true) or ends."""
        seen = psutil.Process(self._process.pid)
        try:
            eventually(
                lambda: seen.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE),
                timeout_seconds=180,
                because="it freezes or ends",
            )
        except BaseException:
            self.kill()
            raise
        return seen.status() == psutil.STATUS_STOPPED

    def thawed(self) -> Answer:
        """What it says after it went on to its end."""
        if self._answer is None:
            self._process.send_signal(signal.SIGCONT)
            try:
                stdout, stderr = self._process.communicate(timeout=180)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            self._answer = Answer(self._process.returncode, stdout, stderr)
        return self._answer

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
