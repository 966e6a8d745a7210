"""The root command: summaries, exit codes, errors as text and as JSON."""

from __future__ import annotations

import importlib
import json

import click
import pytest

from drkit import cli
from drkit.errors import EXIT_CODE_MEANINGS, ConfigError, ExitCode


@pytest.mark.parametrize("name", sorted(cli._SUMMARIES))
def test_a_command_is_listed_with_its_own_first_line(name: str) -> None:
    module, attribute = cli._COMMANDS[name].split(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(limit=200) == cli._SUMMARIES[name]


def test_a_command_that_is_not_listed_is_meant_to_be_hidden() -> None:
    for name in cli._COMMANDS.keys() - cli._SUMMARIES.keys():
        module, attribute = cli._COMMANDS[name].split(":")
        assert getattr(importlib.import_module(module), attribute).hidden, name


def test_every_exit_code_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    shown = capsys.readouterr().out
    for code, meaning in EXIT_CODE_MEANINGS.items():
        assert f"{int(code)} " in shown
        assert meaning in shown
    assert set(EXIT_CODE_MEANINGS) == set(ExitCode)


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["frobnicate"]) == ExitCode.USAGE
    assert "frobnicate" in capsys.readouterr().err


def _raising(error: Exception) -> click.Command:
    @click.command()
    @click.option("--output")
    def command(output: str) -> None:
        raise error

    return command


def test_an_error_says_what_and_what_to_do_next(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.cli, "get_command", lambda *_: _raising(ConfigError("no bucket", hint="name one")))
    assert cli.run(["status", "--output", "json"]) == ExitCode.CONFIG
    shown = capsys.readouterr()
    assert shown.err == "error: no bucket\n  next: name one\n"
    assert json.loads(shown.out) == {
        "schema": "drkit.error/1",
        "error": "no bucket",
        "hint": "name one",
        "exit_code": 10,
    }


def test_a_bug_shows_no_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRKIT_DEBUG", raising=False)
    monkeypatch.setattr(cli.cli, "get_command", lambda *_: _raising(ZeroDivisionError("oops")))
    assert cli.run(["status"]) == ExitCode.BUG
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: oops" in shown
    assert "Traceback" not in shown
