"""``drkit backup`` as a command line, on simulated S3, with clusters that do not answer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drkit import cli
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.local.clock import SystemClock
from drkit.backup.manifest import OBJECTS
from drkit.backup.storing import Storing
from drkit.backup.survey import Surveyed
from drkit.bootstrap import open_service
from drkit.cli.backup import _PARTS
from drkit.domain.inventory import Part
from drkit.domain.kafka import Acl
from drkit.errors import ExitCode
from tests.fakes.inventories import FULL, only
from tests.unit.config import sample


@dataclass
class Box:
    """A configuration whose buckets are there, and what is in them."""

    config: str
    session: AwsSession
    buckets: list[str]

    def keys(self, number: int) -> list[str]:
        found = self.session.s3().list_objects_v2(Bucket=self.buckets[number])
        return [one["Key"] for one in found.get("Contents", ())]

    def backup(self, inventory: Any = FULL) -> str:
        """A backup of taipei, stored as drkit stores it."""
        with open_service(self.config) as service:
            storing = Storing(service._world.vault, SystemClock())
            parts = [part for part in Part if getattr(inventory, part.value) is not None]
            begun = storing.begin("taipei", "cluster-1", parts)
            return storing.commit(begun, Surveyed(inventory)).manifest.backup_id


@pytest.fixture(name="box")
def _box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto_endpoint: str, no_aws_identity: None) -> Box:
    monkeypatch.setenv("DRKIT_PASSWORD", "secret")
    document = sample.changed("aws", {"endpoint_url": moto_endpoint})
    document["timeouts"] = {"request_seconds": 1.0}
    names = [f"backups-{uuid.uuid4().hex}" for _ in range(2)]
    session = AwsSession(SystemClock(), region="us-east-1", endpoint_url=moto_endpoint)
    for number, region in enumerate(("taipei", "tokyo")):
        document["regions"][region]["cluster"]["bootstrap"] = f"127.0.0.1:{number + 8}"
        document["regions"][region]["backup"] = {"bucket": names[number], "region": "us-east-1", "prefix": "shop"}
        session.s3().create_bucket(Bucket=names[number])
    state = f"state-{uuid.uuid4().hex}"
    document["state"] = {"bucket": state, "region": "us-east-1"}
    session.s3().create_bucket(Bucket=state)
    return Box(str(sample.write(tmp_path, document)), session, names)


Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(name="run")
def _run(box: Box, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = cli.run(["--config", box.config, "backup", *arguments, "--output", "json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_parts_are_named_as_they_are() -> None:
    assert tuple(Part) == _PARTS


def test_backups_are_in_both_buckets_below_the_prefix(box: Box, run: Run) -> None:
    backup_id = box.backup()
    assert box.keys(0) == box.keys(1)
    assert all(key.startswith("shop/backups/") for key in box.keys(0))
    code, document = run("list")
    assert (code, document["schema"]) == (ExitCode.DONE, "drkit.backup-list/1")
    assert [one["backup_id"] for one in document["backups"]] == [backup_id]
    assert [one["copies"] for one in document["backups"]] == [[f"s3://{name}" for name in box.buckets]]
    code, document = run("show", "latest")
    assert (code, document["backup_id"], document["schema"]) == (ExitCode.DONE, backup_id, "drkit.backup-show/1")


def test_nothing_can_be_backed_up_of_a_cluster_that_does_not_answer(box: Box, run: Run) -> None:
    code, document = run("run")
    assert (code, document["schema"]) == (ExitCode.REFUSED, "drkit.error/1")
    assert run("run", "--all")[0] == ExitCode.REFUSED
    assert box.keys(0) == []


def test_verify_ends_with_6_where_an_object_is_damaged(box: Box, run: Run) -> None:
    box.backup()
    assert run("verify", "--read-all")[0] == ExitCode.DONE
    key = next(key for key in box.keys(1) if f"{OBJECTS}groups" in key)
    box.session.s3().put_object(Bucket=box.buckets[1], Key=key, Body=b"not what it was")
    assert run("verify")[0] == ExitCode.DONE
    code, document = run("verify", "--read-all")
    assert (code, document["schema"], document["ok"]) == (ExitCode.VERIFICATION, "drkit.backup-verify/1", False)
    assert [(one["replica"], one["part"]) for one in document["problems"]] == [(f"s3://{box.buckets[1]}", "groups")]
    assert run("verify", "--sample", "100%")[0] == ExitCode.VERIFICATION
    # The other bucket has it whole: the backup can be read all the same.
    assert run("diff", "latest", "latest")[0] == ExitCode.DONE


def test_diff_ends_with_6_where_two_differ(box: Box, run: Run) -> None:
    first = box.backup()
    rule = Acl("topic", "x\x1b[2J", "literal", "User:x", "*", "read", "allow")
    box.backup(only(Part.ACLS, frozenset({rule})))
    code, document = run("diff", first, "latest")
    assert (code, document["schema"], document["equal"]) == (ExitCode.VERIFICATION, "drkit.backup-diff/1", False)
    assert [one["part"] for one in document["differences"]] == ["acls", "acls"]
    assert run("diff", first, "latest", "--what", "users")[0] == ExitCode.REFUSED


def test_prune_wants_to_be_told_what_is_kept(box: Box, run: Run) -> None:
    backup_id = box.backup()
    assert run("prune")[0] == ExitCode.REFUSED
    code, document = run("prune", "--keep-last", "1", "--dry-run")
    assert (code, document["schema"]) == (ExitCode.DONE, "drkit.backup-prune/1")
    assert (list(document["kept"]), document["removed"]) == ([backup_id], [])


def test_a_bucket_that_is_not_there_is_said(box: Box, run: Run) -> None:
    box.backup()
    s3 = box.session.s3()
    for key in box.keys(1):
        s3.delete_object(Bucket=box.buckets[1], Key=key)
    s3.delete_bucket(Bucket=box.buckets[1])
    code, document = run("list")
    assert (code, list(document["dark"])) == (ExitCode.DONE, [f"s3://{box.buckets[1]}"])
    assert run("verify")[0] == ExitCode.VERIFICATION
    code, document = run("prune", "--keep-last", "1")
    assert (code, document["schema"]) == (ExitCode.REFUSED, "drkit.error/1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--what", "quotas"),
        ("run", "--all", "--region", "taipei"),
        ("verify", "--read-all", "--sample", "5%"),
        ("verify", "--sample", "500%"),
        ("verify", "--sample", "5"),
        ("prune", "--keep-last", "-1"),
        ("list", "--region", "osaka"),
        ("diff", "latest"),
    ],
)
def test_a_mistake_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_aws_identity: None, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DRKIT_PASSWORD", "secret")
    config = str(sample.write(tmp_path, sample.changed("aws", {"endpoint_url": "http://127.0.0.1:9"})))
    assert cli.run(["--config", config, "backup", *arguments]) == ExitCode.USAGE


def test_people_read_text_without_control_characters(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    box.backup()
    for arguments in (
        ("list",),
        ("show", "latest"),
        ("verify", "--read-all"),
        ("diff", "latest", "latest"),
        ("prune", "--keep-last", "1", "--dry-run"),
    ):
        assert cli.run(["--config", box.config, "backup", *arguments]) == ExitCode.DONE
        said = capsys.readouterr().out
        assert said.strip()
        assert all(line.isprintable() for line in said.splitlines())


def test_names_that_break_terminals_are_shown_escaped(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    first = box.backup()
    box.backup(only(Part.ACLS, frozenset({Acl("topic", "x\x1b[2J\n", "literal", "User:x", "*", "read", "allow")})))
    assert cli.run(["--config", box.config, "backup", "diff", first, "latest"]) == ExitCode.VERIFICATION
    said = capsys.readouterr().out
    assert r"x\x1b[2J\n" in said
    assert all(line.isprintable() for line in said.splitlines())
