"""Failpoints, polling, signals, listeners."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

from drkit.engine import failpoints
from drkit.engine.interrupt import Interrupt, InterruptedRunError, InterruptibleClock
from drkit.engine.polling import wait_until
from drkit.engine.step import NotYetError
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.procedure import World, procedure


class TestFailpoints:
    @pytest.fixture(name="kills")
    def _kills(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
        kills: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "kill", lambda pid, number: kills.append((pid, number)))
        monkeypatch.setattr(failpoints, "_hits", Counter())
        return kills

    def test_off_without_the_variable(self, kills: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DRKIT_FAILPOINT", raising=False)
        failpoints.hit("cut", "after-apply")
        assert kills == []

    @pytest.mark.parametrize(
        ("wanted", "hits_until_killed"), [("cut:after-apply", 1), ("cut:after-apply:1", 1), ("cut:after-apply:3", 3)]
    )
    def test_the_process_kills_itself_at_the_nth_hit_and_only_there(
        self,
        kills: list[tuple[int, int]],
        monkeypatch: pytest.MonkeyPatch,
        wanted: str,
        hits_until_killed: int,
    ) -> None:
        monkeypatch.setenv("DRKIT_FAILPOINT", wanted)
        failpoints.hit("cut", "after-intent")
        failpoints.hit("cut-2", "after-apply")
        killed_at: list[int] = []
        for number in range(1, 6):
            failpoints.hit("cut", "after-apply")
            if len(kills) > len(killed_at):
                killed_at.append(number)
        assert killed_at == [hits_until_killed]
        assert kills == [(os.getpid(), signal.SIGKILL)]

    def test_every_effect_has_them_on_both_sides(self) -> None:
        of = procedure(World(FakeObjectStore()))
        names = failpoints.names(of.steps, of.no_return_after)
        assert len(names) == len(set(names)) == 7 * 4 + 5 * 4 + 5
        assert "redirect:after-apply" in names
        assert "redirect:before-undo-intent" in names
        assert "record:before-undo-intent" not in names
        assert "run:after-plan" in names
        assert not any(name.startswith(("pin:", "drain:", "verify:")) for name in names)


class TestPolling:
    def test_the_value_is_returned_once_it_is_as_wanted(self) -> None:
        clock, values = FakeClock(), iter([3, 1, 0])
        notes: list[str] = []
        value = wait_until(
            lambda: next(values),
            clock,
            deadline_seconds=10,
            interval_seconds=2,
            because="the mirror to drain",
            progress=notes.append,
            until=lambda left: left == 0,
        )
        assert value == 0
        assert clock.slept_seconds == [2, 2]
        assert notes == ["waiting for the mirror to drain (0 of 10 s)", "waiting for the mirror to drain (2 of 10 s)"]

    def test_at_the_deadline_it_says_what_it_saw_last(self) -> None:
        clock = FakeClock()
        with pytest.raises(NotYetError) as caught:
            wait_until(
                lambda: ["topic\x1b[2J"],
                clock,
                deadline_seconds=5,
                interval_seconds=2,
                because="the log ends to stand still",
                progress=lambda _: None,
                until=lambda moving: not moving,
                hint="look there",
            )
        assert caught.value.message == (
            "gave up waiting for the log ends to stand still after 5.0 s; last seen: ['topic\\x1b[2J']"
        )
        assert caught.value.hint == "look there"
        assert clock.slept_seconds == [2, 2, 1]

    def test_a_long_value_is_cut(self) -> None:
        with pytest.raises(NotYetError) as caught:
            wait_until(
                lambda: "x" * 10_000,
                FakeClock(),
                deadline_seconds=0,
                interval_seconds=1,
                because="it",
                progress=lambda _: None,
                until=lambda _: False,
            )
        assert len(caught.value.message) < 300


class TestInterrupt:
    def test_a_wait_ends_when_a_signal_has_come(self) -> None:
        interrupt, clock = Interrupt(), FakeClock()
        steps = InterruptibleClock(clock, interrupt)
        steps.sleep(1)
        assert clock.monotonic() == pytest.approx(1001)
        interrupt.signal_name = "SIGINT"
        with pytest.raises(InterruptedRunError, match="SIGINT"):
            steps.sleep(1)
        assert clock.monotonic() == pytest.approx(1001)
        assert steps.now() == clock.now()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_is_remembered_while_installed(self, number: signal.Signals) -> None:
        interrupt = Interrupt()
        # Whoever runs the tests may ignore some: SIGHUP is left alone then.
        inherited = signal.signal(number, signal.SIG_DFL)
        try:
            with interrupt.installed():
                interrupt.raise_if_asked()
                signal.raise_signal(number)
                assert interrupt.signal_name == number.name
                with pytest.raises(InterruptedRunError):
                    interrupt.raise_if_asked()
            assert signal.getsignal(number) == signal.SIG_DFL
        finally:
            signal.signal(number, inherited)

    def test_outside_the_main_thread_nothing_is_installed(self) -> None:
        handlers: list[object] = []

        def run() -> None:
            with Interrupt().installed():
                handlers.append(signal.getsignal(signal.SIGTERM))

        earlier = signal.getsignal(signal.SIGTERM)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert handlers == [earlier]

    def test_a_second_signal_leaves_at_once_and_says_how_to_go_on(self) -> None:
        program = (
            "import signal, time\n"
            "from drkit.engine.interrupt import Interrupt\n"
            "interrupt = Interrupt()\n"
            "interrupt.farewell = 'drkit resume RUN goes on'\n"
            "with interrupt.installed():\n"
            "    signal.raise_signal(signal.SIGINT)\n"
            "    signal.raise_signal(signal.SIGINT)\n"
            "    print('still here')\n"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
        assert ended.returncode == 130
        assert ended.stdout == ""
        assert ended.stderr == "\ninterrupted at once; drkit resume RUN goes on\n"
