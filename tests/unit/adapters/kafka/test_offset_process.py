"""The process that reads committed offsets: it may end at any question, and nobody notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from drkit.adapters.kafka import offset_process
from drkit.adapters.kafka.offset_process import OffsetProcess
from drkit.domain.inventory import CommittedPosition
from drkit.domain.kafka import TopicPartition
from drkit.errors import AuthError, UnreachableError
from tests.waiting import PATIENCE_SECONDS, eventually

P = TopicPartition("orders", 0)
SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offset_process, "CHILD", "tests.fakes.offset_child")


def process(tmp_path: Path, *, deaths: int = 0, seconds: float = PATIENCE_SECONDS) -> OffsetProcess:
    settings = {"told": str(tmp_path / "told"), "deaths": deaths, "sasl.password": SECRET}
    return OffsetProcess("here", settings, seconds)


def asked(tmp_path: Path) -> list[int]:
    """The process that was asked, question by question."""
    told = tmp_path / "told"
    return [int(line) for line in told.read_text().splitlines()] if told.exists() else []


def test_one_process_answers_all_questions(tmp_path: Path) -> None:
    reading = process(tmp_path)
    assert reading.read([]) == {}
    assert reading._running is None, "it is not started before it is needed"
    assert asked(tmp_path) == []
    first = reading.read({"b", "a"})
    (pid,) = asked(tmp_path)
    assert first == {group: {P: CommittedPosition(pid, None, "stable False")} for group in ("a", "b")}
    assert reading.read(["a"], stable=True) == {"a": {P: CommittedPosition(pid, None, "stable True")}}
    assert pid != os.getpid()
    assert SECRET not in " ".join(psutil.Process(pid).cmdline())
    assert os.getsid(pid) == pid, "Ctrl-C at the terminal does not reach it"


def test_one_that_dies_of_a_question_is_followed_by_another_that_is_asked_the_same(tmp_path: Path) -> None:
    reading = process(tmp_path, deaths=2)
    found = reading.read(["a"])
    first, second, third = asked(tmp_path)
    assert len({first, second, third}) == 3
    assert found == {"a": {P: CommittedPosition(third, None, "stable False")}}


def test_one_that_dies_of_every_question_is_asked_until_the_deadline(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="offsets of groups at here: their coordinators keep moving"):
        process(tmp_path, deaths=1_000_000, seconds=1.0).read(["a"])
    assert len(asked(tmp_path)) > 1


def test_one_that_was_killed_between_two_questions_is_followed_by_another(tmp_path: Path) -> None:
    reading = process(tmp_path)
    reading.read(["a"])
    os.kill(asked(tmp_path)[0], signal.SIGKILL)
    (position,) = reading.read(["a"])["a"].values()
    assert position.offset == asked(tmp_path)[-1]


def test_the_error_of_reading_is_raised_here(tmp_path: Path) -> None:
    reading = process(tmp_path)
    with pytest.raises(AuthError) as raised:
        reading.read(["refused"])
    assert (raised.value.message, raised.value.hint) == ("no", "ask")
    reading.read(["a"])
    assert len(set(asked(tmp_path))) == 1


def test_the_answer_of_an_interrupted_question_is_not_taken_for_the_next_ones(tmp_path: Path) -> None:
    reading = process(tmp_path)
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        eventually(lambda: asked(tmp_path), timeout_seconds=PATIENCE_SECONDS, because="it is asked")
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    # Where tests run in the background, the signal is ignored from the start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            reading.read(["slow"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert not psutil.pid_exists(asked(tmp_path)[0])
    assert [*reading.read(["a"])] == ["a"]


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    code = (
        "import time; from tests.unit.adapters.kafka.test_offset_process import *; "
        f"reading = OffsetProcess('here', {{'told': {str(tmp_path / 'told')!r}, 'deaths': 0}}, 60); "
        "offset_process.CHILD = 'tests.fakes.offset_child'; reading.read(['a']); time.sleep(600)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code])
    try:
        eventually(lambda: asked(tmp_path), timeout_seconds=PATIENCE_SECONDS, because="it is asked")
    finally:
        starter.kill()
        starter.wait()
    (pid,) = asked(tmp_path)
    eventually(lambda: not psutil.pid_exists(pid), timeout_seconds=PATIENCE_SECONDS, because="it is alone")


def test_nothing_is_left_of_one_that_is_not_needed_any_more(tmp_path: Path) -> None:
    reading = process(tmp_path)
    reading.read(["a"])
    del reading
    assert not psutil.pid_exists(asked(tmp_path)[0])
