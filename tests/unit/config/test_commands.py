"""``drkit init`` and ``drkit config``, as they are typed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from drkit import cli
from drkit.config.load import examine, load
from drkit.errors import ExitCode
from tests.unit.config.sample import VALID, changed, write

FILLED = [
    "111122223333",
    "shop-drkit",
    "b-1.a.kafka.ap-east-2.amazonaws.com:9098,b-2.a.kafka.ap-east-2.amazonaws.com:9098",
    "cluster-a",
    "https://connect.taipei.example.com:8083",
    "https://orders.taipei.example.com/actuator/health/kafka",
    "b-1.b.kafka.ap-northeast-1.amazonaws.com:9098",
    "cluster-b",
    "https://connect.tokyo.example.com:8083",
    "https://orders.tokyo.example.com/actuator/health/kafka",
    "./fence.sh",
    "./fence.sh",
    "Z0123456789",
    "example.internal",
    "kafka.genai-demo.example.internal",
    "b-1.a.kafka.ap-east-2.amazonaws.com:9098",
    "b-1.b.kafka.ap-northeast-1.amazonaws.com:9098",
]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(arguments)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def filled(text: str) -> str:
    """The file with its placeholders filled in, in their order; comments are left alone."""
    values = iter(FILLED)
    lines = [
        line if line.lstrip().startswith("#") else re.sub("REPLACE-ME", lambda _: next(values), line)
        for line in text.splitlines()
    ]
    assert next(values, None) is None
    return "\n".join(lines) + "\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DRKIT_CONFIG", raising=False)
    return tmp_path


def test_a_new_file_has_placeholders_and_nothing_else_wrong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "init")[0] == ExitCode.DONE
    found = examine(Path("drkit.yaml"))
    assert {problem.message for problem in found.errors} == {"fill in: it still says REPLACE-ME"}
    assert len(found.errors) == len(FILLED)


def test_filled_in_it_is_valid_and_without_warnings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "init")
    path = here / "drkit.yaml"
    path.write_text(filled(path.read_text()))
    assert run(capsys, "config", "check") == (ExitCode.DONE, "drkit.yaml: ok\n", "")
    settings = load(path)
    assert (settings.primary, list(settings.regions)) == ("ap-east-2", ["ap-east-2", "ap-northeast-1"])
    assert settings.topic_prefix == "genai-demo.production."


def test_the_defaults_that_its_comments_name_are_the_defaults(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = filled(run(capsys, "init", "--output", "-")[1])
    keys = (
        "local_dir|offsets_topic|status_topic|samples|interval_seconds|topics_exclude|groups|groups_exclude"
        "|offset_lag_max|nameservers|timeouts|  [a-z_]+_seconds"
    )
    commented, count = re.subn(rf"^( *)# ((?:{keys}):.*)$", r"\1\2", text, flags=re.MULTILINE)
    plain, spelt = here / "plain.yaml", here / "spelt.yaml"
    plain.write_text(text)
    spelt.write_text(commented)
    assert count == 2 + 2 + 4 + 1 + 9 + 1
    assert load(spelt) == load(plain)


def test_a_file_is_not_replaced_unless_forced(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / "drkit.yaml"
    path.write_text("mine")
    code, out, err = run(capsys, "init")
    assert (code, out) == (ExitCode.REFUSED, "")
    assert err.startswith("error: drkit.yaml exists\n")
    assert path.read_text() == "mine"
    assert run(capsys, "init", "--force")[0] == ExitCode.DONE
    assert path.read_text().startswith("# drkit.yaml")
    assert [entry.name for entry in here.iterdir()] == ["drkit.yaml"]


def test_a_place_that_cannot_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "init", "--output", "nowhere/drkit.yaml")
    assert code == ExitCode.USAGE
    assert "nowhere/drkit.yaml cannot be written: No such file or directory" in err


def test_check_tells_errors_as_text_and_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = changed("primary", "osaka", changed("redirect", []))
    write(here, document)
    message = "osaka is not one of the regions taipei, tokyo"
    warning = "is empty: nothing tells clients where the service is after a failover"
    code, out, err = run(capsys, "config", "check")
    lines = [line for line in out.splitlines() if line.startswith("error: ")]
    assert (code, err) == (ExitCode.CONFIG, "")
    assert lines[0] == f"error: line 4, primary: {message}"
    assert out.endswith(f"drkit.yaml: {len(lines)} errors\n")

    code, out, err = run(capsys, "config", "check", "--output", "json")
    answer: dict[str, Any] = json.loads(out)
    assert (code, err) == (ExitCode.CONFIG, "")
    assert (answer["schema"], answer["file"], answer["valid"]) == ("drkit.config-check/1", "drkit.yaml", False)
    assert answer["errors"][0] == {"line": 4, "path": "primary", "message": message}
    assert warning in [problem["message"] for problem in answer["warnings"]]


def test_check_says_what_cannot_be_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "config", "check")
    assert code == ExitCode.USAGE
    assert "drkit init writes one" in err
    (here / "drkit.yaml").write_bytes(b"\xff")
    assert run(capsys, "config", "check")[0] == ExitCode.CONFIG


def test_show_is_a_file_with_the_same_meaning(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(here, VALID)
    code, out, _ = run(capsys, "--config", str(path), "config", "show")
    assert code == ExitCode.DONE
    shown = here / "shown.yaml"
    shown.write_text(out)
    assert load(shown) == load(path)
    assert json.loads(run(capsys, "--config", str(path), "config", "show", "-o", "json")[1])["timeouts"] == {
        "request_seconds": 10.0, "health_seconds": 3.0, "dns_seconds": 2.0, "aws_setup_seconds": 5.0,
        "journal_seconds": 30.0, "fence_seconds": 30.0, "drain_seconds": 120.0, "consumers_seconds": 0.5,
        "mirror_start_seconds": 60.0, "mirror_stop_seconds": 60.0, "redirect_seconds": 120.0,
        "clients_seconds": 30.0, "lease_seconds": 30.0, "local_lock_seconds": 2.0, "hook_end_seconds": 2.0,
    }  # fmt: skip


def test_the_schema_is_printed_with_the_meaning_of_keys(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(run(capsys, "config", "schema")[1])
    described = schema["$defs"]["Replication"]["properties"]["refresh_seconds"]
    assert described["description"] == "How soon new topics and groups are mirrored."
