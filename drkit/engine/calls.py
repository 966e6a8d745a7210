"""Calls whose errors are answers, and calls that are made side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from drkit.errors import DrkitError

T = TypeVar("T")
U = TypeVar("U")

_AT_ONCE: Final = 16


def attempt(call: Callable[..., T], *arguments: object) -> T | DrkitError:
    """What it returns, or the error of drkit's that it raises."""
    try:
        return call(*arguments)
    except DrkitError as error:
        return error


def at_once(call: Callable[[U], T], arguments: Iterable[U]) -> list[T]:
    """The answers, in order, of calls that are made side by side, 16 at a time.

    Where one raises, those that have not begun are not made.
    """
    arguments = list(arguments)
    if len(arguments) < 2:
        return [call(one) for one in arguments]
    with ThreadPoolExecutor(min(_AT_ONCE, len(arguments)), thread_name_prefix="at-once") as pool:
        return list(pool.map(call, arguments))
