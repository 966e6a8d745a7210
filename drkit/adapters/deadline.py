"""A deadline for calls that have none of their own, or only one for each of their parts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar, cast

from drkit.errors import UnreachableError

T = TypeVar("T")


class _Attempt(threading.Thread):
    """One call in a thread of its own, which is left behind at the deadline and ends with the process."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__(name="drkit-call", daemon=True)
        self._call = call
        self.result: object = None
        self.error: BaseException | None = None
        self.is_over = threading.Event()
        self.is_given_up = threading.Event()

    def run(self) -> None:
        """Call; whoever waits gets the result or the error."""
        try:
            self.result = self._call()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            self.error = error
        finally:
            self.is_over.set()


def within(seconds: float, what: str, call: Callable[[], T]) -> T:
    """The call's result. ``what`` completes "cannot ...".

    No timeout of a socket bounds name resolution, an answer in drops, or a command that gives credentials. Raises what
    the call raises, and ``UnreachableError`` at the deadline: what it asked for may still happen.
    """
    attempt = _Attempt(call)
    attempt.start()
    if not attempt.is_over.wait(seconds):
        attempt.is_given_up.set()
        raise UnreachableError(
            f"cannot {what}: no whole answer within {seconds:g} s",
            hint="check the network path, name resolution, and what gives the credentials",
        )
    if attempt.error is not None:
        raise attempt.error
    return cast("T", attempt.result)


def refuse_if_given_up(**_: object) -> None:
    """Raise ``UnreachableError`` in a call that nobody waits for any more, so that it does not begin an effect late."""
    attempt = threading.current_thread()
    if isinstance(attempt, _Attempt) and attempt.is_given_up.is_set():
        raise UnreachableError("given up before it was sent")
