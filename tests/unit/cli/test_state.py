"""``--state local:DIR`` as a command line: loud, private, and refused where nobody knows the primary."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from drkit import cli
from drkit.errors import ExitCode
from tests.unit.config import sample


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_aws_identity: None) -> str:
    """A configuration whose AWS refuses every connection."""
    monkeypatch.setenv("DRKIT_PASSWORD", "secret")
    document = sample.changed("aws", {"endpoint_url": "http://127.0.0.1:9"})
    return str(sample.write(tmp_path, document))


def test_the_primary_has_to_be_named(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = f"local:{tmp_path / 'state'}"
    assert cli.run(["--config", config, "--state", state, "runs", "list"]) == ExitCode.REFUSED
    said = capsys.readouterr().err
    assert said.startswith(f"warning: break-glass: the state is kept in {state}, not in the state bucket")
    assert f"drkit --state {state} --primary REGION" in said
    assert not (tmp_path / "state").exists()


def test_commands_work_without_the_bucket(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "state"
    assert cli.run(["--config", config, "--state", f"local:{directory}", "--primary", "tokyo", "runs", "list"]) == 0
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir() if path.is_file()} == {0o600}
    monkeypatch.setenv("DRKIT_STATE", f"local:{directory}")
    capsys.readouterr()
    assert cli.run(["--config", config, "runs", "list", "-o", "json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["runs"] == []
    assert "warning: break-glass" in shown.err


def test_the_command_that_an_error_names_goes_with_the_same_state(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = f"local:{tmp_path / 'state'}"
    assert cli.run(["--config", config, "--state", state, "--primary", "tokyo", "resume", "--yes"]) == ExitCode.REFUSED
    assert f"has brought this there, it is over (each with --state {state})" in capsys.readouterr().err


def test_a_directory_that_others_may_write_to_is_refused(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o770)
    state = f"local:{tmp_path / 'state'}"
    assert cli.run(["--config", config, "--state", state, "--primary", "tokyo", "runs", "list"]) == ExitCode.REFUSED
    assert "others may write to" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--state", "s3://b"], ["--primary", "tokyo"]])
def test_what_makes_no_sense_is_a_usage_error(config: str, arguments: list[str]) -> None:
    assert cli.run(["--config", config, *arguments, "runs", "list"]) == ExitCode.USAGE


def test_the_bucket_takes_nothing_while_it_is_dark(config: str, tmp_path: Path) -> None:
    arguments = ["--config", config, "--state", f"local:{tmp_path / 'state'}", "--primary", "tokyo"]
    assert cli.run([*arguments, "runs", "upload"]) == ExitCode.REFUSED
