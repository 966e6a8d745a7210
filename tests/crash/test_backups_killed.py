"""Backups and prunes killed (SIGKILL) beside every object that they write or remove, and run again.

Every backup that is to be seen is whole, in each place where it is to be seen, at every moment.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drkit.backup.manifest import MANIFESTS, OBJECTS, Manifest
from drkit.backup.vault import Vault
from drkit.engine import failpoints
from tests.crash.backup_driver import region, vault

HITS = {"object": 4, "manifest": 2}
"""A version changes two parts, and there are two replicas. A prune removes two backups, with four objects each."""
DAY = 24

Operate = Callable[..., dict[str, Any]]


def cases(where: str, times: int) -> list[str]:
    return [
        f"{name}:{hit}"
        for name in failpoints.outside_runs(where)
        for hit in range(1, HITS[name.rpartition("-")[2]] * times + 1)
    ]


@pytest.fixture(scope="module", name="process")
def _process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.crash.backup_driver"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(name="operate")
def _operate(process: subprocess.Popen[str], tmp_path: Path) -> Operate:
    def operate(command: str, hour: int, **given: object) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"command": command, "directory": str(tmp_path), "hour": hour, **given}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        assert "error" not in answer, answer
        return answer

    return operate


def whole(directory: Path) -> list[Manifest]:
    """Every backup that is to be seen, whole wherever it is to be seen."""
    for replica in vault(directory).replicas:
        alone = Vault([replica])
        listing = alone.listing()
        for found in alone.read_all(listing).values():
            assert isinstance(found, Manifest), found
            version = found.backup_id, alone.load(found)
            users = version[1].users
            assert users is not None
            assert version[1] == region(users["u"].mechanisms["SCRAM-SHA-512"])
    return vault(directory).manifests()


def named(manifests: list[Manifest]) -> set[str]:
    return {part.key for one in manifests for part in one.parts.values()}


def keys(directory: Path, prefix: str) -> list[set[str]]:
    return [set(replica.store.list(prefix)) for replica in vault(directory).replicas]


@pytest.mark.parametrize("point", cases(failpoints.BACKUP, 1))
def test_a_backup_that_was_killed(operate: Operate, tmp_path: Path, point: str) -> None:
    first = operate("backup", 0, version=0)["backup_id"]
    killed = operate("backup", 1, version=1, failpoint=point)
    assert killed["signal"] == signal.SIGKILL
    seen = [one.backup_id for one in whole(tmp_path)]
    assert seen[0] == first
    # With its manifest somewhere it is there, with all of it; before that it is nowhere.
    assert len(seen) == (
        1 if ":before-object" in point or ":after-object" in point or point.endswith("before-manifest:1") else 2
    )
    again = operate("backup", 2, version=1)
    assert again["copies"] == ["a", "b"]
    assert len(whole(tmp_path)) == len(seen) + 1
    operate("backup", 2 + 2 * DAY, version=1)
    pruned = operate("prune", 4 + 2 * DAY)
    assert pruned["not_removed"] == {}
    left = whole(tmp_path)
    assert len(left) == 1
    # Nothing of the one that was killed is left either.
    assert keys(tmp_path, OBJECTS) == [named(left)] * 2


@pytest.mark.parametrize("point", cases(failpoints.PRUNE, 2))
def test_a_prune_that_was_killed(operate: Operate, tmp_path: Path, point: str) -> None:
    ids = [operate("backup", 3 * number, version=number)["backup_id"] for number in range(3)]
    killed = operate("prune", 12, failpoint=point)
    assert killed["signal"] == signal.SIGKILL
    assert [one.backup_id for one in whole(tmp_path)][-1] == ids[-1]
    assert operate("prune", 12)["not_removed"] == {}
    left = whole(tmp_path)
    assert [one.backup_id for one in left] == ids[-1:]
    assert keys(tmp_path, MANIFESTS) == [{left[0].key}] * 2
    # What a prune left behind that was killed between manifest and objects goes when it is old.
    operate("backup", 15 + DAY, version=2)
    operate("prune", 18 + DAY)
    operate("backup", 21 + 2 * DAY, version=2)
    operate("prune", 24 + 2 * DAY)
    assert keys(tmp_path, OBJECTS) == [named(whole(tmp_path))] * 2
