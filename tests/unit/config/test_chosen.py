"""What --state and --primary may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from drkit.config.chosen import Chosen
from drkit.errors import UsageError


def test_the_bucket_is_the_default() -> None:
    assert Chosen().state_directory is None
    assert Chosen(state="").state_directory is None


def test_a_directory_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ops")
    assert Chosen(state="local:state").state_directory == tmp_path / "state"
    assert Chosen(state="local:~/state").state_directory == Path("/home/ops/state")


@pytest.mark.parametrize("state", ["local:", "s3://bucket", "/var/lib/drkit"])
def test_anything_else_is_refused(state: str) -> None:
    with pytest.raises(UsageError, match="--state is"):
        _ = Chosen(state=state).state_directory


def test_the_lineage_in_the_bucket_says_who_is_primary() -> None:
    with pytest.raises(UsageError, match="goes with --state"):
        _ = Chosen(primary="tokyo").state_directory
