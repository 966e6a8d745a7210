"""Bad input and bad luck before anything was changed: what is said, the exit code, and that nothing was changed."""

from __future__ import annotations

import copy
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from drkit.errors import ExitCode
from tests.e2e.command import Answer, drkit, refused
from tests.e2e.world import PRIMARY, STANDBY, aws, connectors, fingerprint, record_sets
from tests.waiting import eventually

pytestmark = pytest.mark.sandbox

FAILOVER = ("failover", "--to", STANDBY, "--yes", "--output", "json")

Edit = Callable[[dict[str, Any]], None]


class Region:
    """The sandbox under test, and drkit run on (an edited copy of) its configuration."""

    def __init__(self, config: Path, directory: Path) -> None:
        self.config = config
        self._directory = directory

    @property
    def status(self) -> dict[str, Any]:
        """The sandbox's status document."""
        answer = drkit("sandbox", "status", "--dir", str(self.config.parent), "--output", "json")
        return answer.document

    def run(self, *arguments: str, edit: Edit | None = None) -> Answer:
        """Run drkit, on an edited copy of the configuration if there is an edit."""
        return drkit(*arguments, config=self._edited(edit) if edit else self.config)

    def fault(self, action: str, region: str, what: str) -> None:
        """Break or mend a process."""
        answer = drkit("sandbox", "fault", action, region, what, "--dir", str(self.config.parent))
        assert answer.code == 0, answer.said

    def _edited(self, edit: Edit) -> Path:
        document = copy.deepcopy(yaml.safe_load(self.config.read_text()))
        edit(document)
        path = self._directory / "drkit.yaml"
        # Relative references (secrets, local state) are relative to the file: they must go on pointing at the sandbox.
        path.write_text(yaml.safe_dump(document))
        return path


def test_an_unknown_region_is_a_usage_error(region: Region) -> None:
    refused(region.run("failover", "--to", "mars", "--yes", "--output", "json"), ExitCode.USAGE, "mars", STANDBY)


def test_the_primary_itself_is_refused(region: Region) -> None:
    refused(region.run("failover", "--to", PRIMARY, "--yes", "--output", "json"), ExitCode.REFUSED, "already primary")


def test_without_a_terminal_and_without_yes_it_does_not_wait(region: Region) -> None:
    refused(region.run("failover", "--to", STANDBY, "--output", "json"), ExitCode.USAGE, "--yes")


def test_another_cluster_id_is_refused(region: Region) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["regions"][STANDBY]["cluster"]["cluster_id"] = "somebody-elses-cluster"

    before = fingerprint(region.status)
    refused(region.run(*FAILOVER, edit=edit), ExitCode.REFUSED, "somebody-elses-cluster", "cluster_id")
    assert fingerprint(region.status) == before


def test_a_wrong_password_is_an_authentication_error(region: Region, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("not-the-password\n")
    wrong.chmod(0o600)

    def edit(document: dict[str, Any]) -> None:
        document["regions"][STANDBY]["cluster"]["auth"]["password"] = f"file:{wrong}"

    before = fingerprint(region.status)
    answer = region.run(*FAILOVER, edit=edit)
    refused(answer, ExitCode.AUTHENTICATION, STANDBY)
    assert "not-the-password" not in answer.said
    assert fingerprint(region.status) == before


def test_a_dark_state_bucket_is_refused(region: Region) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["state"]["bucket"] = "no-such-bucket-anywhere"

    before = fingerprint(region.status)
    refused(region.run(*FAILOVER, edit=edit), ExitCode.REFUSED, "no-such-bucket-anywhere")
    assert fingerprint(region.status) == before


def test_disaster_mode_is_refused_while_the_source_answers(region: Region) -> None:
    before = fingerprint(region.status)
    answer = region.run(*FAILOVER, "--mode", "disaster", "--accept-loss", "unknown")
    refused(answer, ExitCode.REFUSED, "--source-is-gone")
    assert fingerprint(region.status) == before


def test_unknown_loss_is_refused_without_the_flag(region: Region) -> None:
    before = fingerprint(region.status)
    answer = region.run(*FAILOVER, "--mode", "disaster", "--source-is-gone")
    refused(answer, ExitCode.REFUSED, "--accept-loss unknown")
    assert fingerprint(region.status) == before


def test_a_record_that_somebody_else_changed_is_refused(region: Region) -> None:
    with foreign_record(region.status):
        before = fingerprint(region.status)
        refused(region.run(*FAILOVER), ExitCode.REFUSED, "192.0.2.7")
        assert fingerprint(region.status) == before


def test_a_failed_task_behind_a_running_connector_is_refused(region: Region) -> None:
    with failed_task(region.status) as name:
        answer = region.run(*FAILOVER)
        refused(answer, ExitCode.REFUSED, name, "have failed")


def test_connect_down_is_refused(region: Region) -> None:
    region.fault("kill", STANDBY, "mirror")
    try:
        refused(region.run(*FAILOVER), ExitCode.REFUSED, "Connect")
    finally:
        region.fault("start", STANDBY, "mirror")
        mirror_runs(region)


def test_a_target_broker_that_is_down_is_refused(region: Region) -> None:
    region.fault("kill", STANDBY, "broker")
    try:
        refused(region.run(*FAILOVER), ExitCode.REFUSED, STANDBY)
    finally:
        region.fault("start", STANDBY, "all")
        mirror_runs(region)


@pytest.fixture(name="region")
def _region(sandbox_config: Path, tmp_path: Path) -> Region:
    return Region(sandbox_config, tmp_path)


def mirror_runs(region: Region) -> None:
    """Mend what an outage of a broker has left: Connect never restarts a failed task by itself."""
    said = ""

    def runs() -> bool:
        nonlocal said
        said = (answer := region.run("mm2", "apply", "--resume", "--output", "json")).said
        return answer.code == 0

    try:
        eventually(runs, timeout_seconds=180, because="the mirror runs again")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{said}") from None


@contextmanager
def foreign_record(status: dict[str, Any]) -> Iterator[None]:
    """Somebody points the record elsewhere, and back again."""
    route53 = aws(status, "route53")
    zone = route53.list_hosted_zones()["HostedZones"][0]["Id"]
    ours = next(record for record in record_sets(status) if record["Name"].startswith("kafka."))
    theirs = {**ours, "ResourceRecords": [{"Value": "192.0.2.7"}]}

    def put(record: dict[str, Any]) -> None:
        change = {"Action": "UPSERT", "ResourceRecordSet": record}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})

    put(theirs)
    try:
        yield
    finally:
        put(ours)


@contextmanager
def failed_task(status: dict[str, Any]) -> Iterator[str]:
    """A source connector whose connector runs and whose tasks have failed: its consumer gets a wrong address."""
    base = status["regions"][STANDBY]["connect_url"]
    name = next(connector for connector in connectors(status, STANDBY) if connector.endswith(".source"))
    url = f"{base}/connectors/{name}"
    with urllib.request.urlopen(f"{url}/config", timeout=10) as answer:
        good = json.loads(answer.read())

    def put(config: dict[str, str]) -> None:
        request = urllib.request.Request(
            f"{url}/config", json.dumps(config).encode(), {"Content-Type": "application/json"}, method="PUT"
        )
        urllib.request.urlopen(request, timeout=30).read()

    def states() -> tuple[str, set[str]]:
        with urllib.request.urlopen(f"{url}/status", timeout=10) as answer:
            document = json.loads(answer.read())
        return document["connector"]["state"], {task["state"] for task in document["tasks"]}

    put({**good, "producer.override.max.request.size": "-1"})
    try:
        eventually(lambda: states() == ("RUNNING", {"FAILED"}), timeout_seconds=60, because="every task has failed")
        yield name
    finally:
        put(good)
        eventually(lambda: states() == ("RUNNING", {"RUNNING"}), timeout_seconds=90, because="the tasks run again")
