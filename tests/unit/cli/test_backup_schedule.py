"""``drkit backup serve`` and ``drkit backup schedule`` as they are typed wrongly, and what they do not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drkit import cli
from drkit.errors import ExitCode
from tests.unit.config.sample import VALID, write


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(["backup", *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--every", "1x:all,1h:toipcs"), ["'1x' is no duration", "'toipcs' is nothing", "10s:groups,1h:all"]),
        (("--jitter", "60%"), ["'60%' is no share"]),
        (("--grace", "soon"), ["'soon' is no duration"]),
        (("--listen", "9464"), ["--listen '9464' is not HOST:PORT"]),
    ],
)
def test_what_a_service_cannot_be_asked_for(
    arguments: tuple[str, ...], said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "serve", *arguments)
    assert (code, out) == (ExitCode.USAGE, "")
    for words in said:
        assert words in err


def test_units_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRKIT_CONFIG", str(write(tmp_path, VALID)))
    code, out, err = run(capsys, "schedule", "--format", "systemd", "--every", "1h:all", "-o", "json")
    document = json.loads(out)
    assert (code, err) == (ExitCode.DONE, "")
    assert (document["schema"], document["format"]) == ("drkit.backup-schedule/1", "systemd")
    assert set(document["files"]) == {f"drkit-backup-shop-staging-all.{kind}" for kind in ("service", "timer")}


def test_eventbridge_is_one_json_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRKIT_CONFIG", str(write(tmp_path, VALID)))
    code, out, _ = run(capsys, "schedule", "--format", "eventbridge", "--every", "1h:all")
    assert code == ExitCode.DONE
    assert json.loads(out)["schedule-all.json"]["ScheduleExpression"] == "rate(1 hour)"


def test_a_place_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, VALID)
    monkeypatch.setenv("DRKIT_CONFIG", str(path))
    code, _, err = run(capsys, "schedule", "--format", "cron", "--out", str(path / "units"))
    assert code == ExitCode.USAGE
    assert "cannot be written" in err


def test_help_needs_neither_metrics_nor_a_server_nor_templates() -> None:
    script = (
        "import sys; from drkit import cli; cli.run(['backup', 'serve', '--help']); cli.run(['backup', '--help']);"
        "print([name for name in ('prometheus_client', 'http.server', 'jinja2', 'botocore') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"
