"""The page about scheduled backups: its commands do what it says, its metrics and reasons are those that there are."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from drkit import cli
from drkit.adapters.local.exposition import metrics_page
from drkit.domain.job_records import Good, JobRecord, Served, health_document
from drkit.domain.schedules import JobSpec
from drkit.errors import ExitCode
from tests.unit.config.sample import VALID, write
from tests.unit.docs.test_documents import ROOT, commands

PAGE = ROOT / "runbooks" / "scheduled-backups.md"
TEXT = PAGE.read_text()
SCHEDULES = [line for line in commands(PAGE) if line.startswith("drkit backup schedule")]


@pytest.mark.parametrize("line", SCHEDULES)
def test_a_command_prints_units(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = write(tmp_path, VALID)
    monkeypatch.setenv("DRKIT_CONFIG", str(config))
    assert cli.run(shlex.split(line)[1:]) == ExitCode.DONE
    shown = capsys.readouterr()
    assert shown.err == ""
    if "--out" in line:
        assert all((tmp_path / name).is_file() for name in shown.out.splitlines())
    assert "shop-staging" in shown.out or "shop-drkit" in shown.out or (tmp_path / "units").is_dir()


def test_every_format_is_shown() -> None:
    shown = {match[1] for line in SCHEDULES if (match := re.search(r"--format ([a-z-]+)", line))}
    assert shown == {"cron", "systemd", "kubernetes", "eventbridge", "iam-policy"}


def told() -> set[str]:
    """Names of all metrics, as they are scraped."""
    record = JobRecord(JobSpec(60, None), 0.0, good={("topics", "a"): Good(datetime(2026, 1, 1, tzinfo=UTC), 0.0)})
    page = metrics_page(Served((record,), health_document([record], 0.0), 0.0, 0, 0))
    families = text_string_to_metric_families(page.body.decode())
    return {family.name + "_total" * (family.type == "counter") for family in families}


def test_the_metrics_are_those_that_there_are() -> None:
    named = {
        name for row in TEXT.splitlines() if row.startswith("| `drkit_") for name in re.findall("drkit_[a-z_]+", row)
    }
    assert named == told() - {"drkit_build_info"}


def test_the_rules_for_prometheus_name_metrics_that_there_are() -> None:
    found = re.search(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    (group,) = yaml.safe_load(found[1])["groups"]
    for rule in group["rules"]:
        assert set(re.findall("drkit_[a-z_]+", rule["expr"])) <= told()
