"""The source's broker is killed under load: the loss is what was reported, and groups go back no further than known."""

from __future__ import annotations

from pathlib import Path

import pytest

from drkit.errors import ExitCode
from tests.conftest import free_subnet
from tests.e2e.command import drkit

pytestmark = [pytest.mark.sandbox, pytest.mark.long, pytest.mark.timeout(300)]


def test_a_disaster_under_load_loses_just_what_it_reports(tmp_path: Path) -> None:
    demo = drkit(
        *("demo", "--disaster", "--rate", "500", "--groups", "6", "--output", "json"),
        *("--dir", str(tmp_path / "demo"), "--subnet", free_subnet()),
        timeout_seconds=280,
    )
    assert demo.code == ExitCode.DONE, demo.said
    document = demo.document
    assert set(document["promises"].values()) == {True}
    run, ledger = document["run"], document["ledger"]
    at_least, estimate, highest = (run[f"records_lost_{name}"] for name in ("at_least", "estimate", "highest"))
    assert run["records_lost"] == {"known": at_least, "unknown": True}
    assert at_least - ledger["unacknowledged"]["unknown"]["records"] <= ledger["lost"] <= highest
    assert at_least <= estimate <= highest
    # The watch beside it saw when there was no answer any more: a figure of seconds, whatever the run took.
    assert highest <= 500 * 60
    assert run["loss"]["seen_by"] == ["watch"]
    assert run["loss"]["seen_seconds_ago"] is not None
    assert {len(offsets) for offsets in document["run"]["last_mirrored"].values()} == {6}
    assert document["ledger"]["acknowledged_at"].keys() == {"ap-east-2", "ap-northeast-1"}
