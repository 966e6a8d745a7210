"""Calls side by side."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from drkit.engine.calls import at_once, attempt
from drkit.errors import RefusedError, UnreachableError


def test_answers_come_in_the_order_of_the_questions_whoever_is_first() -> None:
    turn = [threading.Event() for _ in range(4)]
    turn[3].set()

    def call(number: int) -> int:
        turn[number].wait(10)
        turn[number - 1].set()
        return number

    assert at_once(call, range(4)) == [0, 1, 2, 3]


def test_one_alone_is_asked_by_the_caller_itself() -> None:
    assert at_once(lambda _: threading.current_thread(), [1]) == [threading.current_thread()]
    assert at_once(str, []) == []


def test_where_one_raises_those_that_have_not_begun_are_not_made() -> None:
    """A cluster that does not answer would be waited for as often as there are calls."""
    begun: list[int] = []
    others = threading.Event()

    def call(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise UnreachableError("no answer")
        others.wait(10)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(at_once, call, range(1000))
        with pytest.raises(TimeoutError):
            asked.result(0.2)
        others.set()
        with pytest.raises(UnreachableError):
            asked.result(10)
    assert len(begun) < 100


def test_an_error_of_drkits_is_an_answer_and_any_other_is_not() -> None:
    refused = RefusedError("no")

    def refuse(error: Exception) -> None:
        raise error

    assert attempt(refuse, refused) is refused
    assert attempt(int, "7") == 7
    with pytest.raises(KeyError):
        attempt(refuse, KeyError("x"))
