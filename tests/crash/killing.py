"""A process that is killed at a failpoint, in a test: an exception that nothing catches."""

from __future__ import annotations

from collections.abc import Callable

import pytest


class KilledError(BaseException):
    """What SIGKILL is to a process."""


class Failpoints:
    """One failpoint kills; ``seen`` is told of every one that is passed."""

    def __init__(self) -> None:
        self.deadly = ""
        self.seen: Callable[[str], object] = lambda _: None

    def hit(self, where: str, point: str) -> None:
        name = f"{where}:{point}"
        self.seen(name)
        if name == self.deadly:
            self.deadly = ""
            raise KilledError(name)


def killed(points: Failpoints, name: str, doing: Callable[[], object]) -> None:
    points.deadly = name
    with pytest.raises(KilledError):
        doing()
