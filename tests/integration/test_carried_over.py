"""A move on real brokers whose applications need ACLs that MM2 does not carry over: nobody is refused afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from drkit.adapters.kafka.acl_wire import to_binding
from drkit.domain.kafka import Acl
from drkit.errors import ExitCode
from drkit.sandbox import Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(420)]

JSON = ("--output", "json")
PREFIX = "genai-demo.staging."
# On the primary whoever works under the prefix is named: anybody else is refused there.
ON_PRIMARY = [
    Acl("topic", PREFIX, "prefixed", who, "*", "all", "allow") for who in ("User:app", "User:drkit", "User:mirror")
]


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path / "sandbox") as box:
        yield box


def test_applications_write_to_the_new_primary_by_acls_that_the_move_has_made(
    box: Sandbox, record_property: Callable[[str, object], None]
) -> None:
    admin = AdminClient({**box.status().regions[PRIMARY].clients["admin"], "log_level": 0})
    for future in admin.create_acls([to_binding(acl) for acl in ON_PRIMARY]).values():
        future.result(10)
    workload = Workload(box)
    workload.start(rate=200, groups=3)
    eventually(lambda: workload.report()["acknowledged"] > 1000, timeout_seconds=60, because="it writes", every=1)
    check = drkit("check", *JSON, config=box.config)
    assert [one for one in check.document["problems"] if "PREFIXED topic ACLs" in one], check.said

    moved = drkit("failover", "--to", STANDBY, "--yes", *JSON, config=box.config)
    assert moved.code == ExitCode.DONE, moved.said
    (promoted,) = [step for step in moved.document["steps"] if step["name"] == "promote"]
    carried = promoted["evidence"]["carried_over"]
    # The application's, and as the first ACLs on these topics, the mirror's and drkit's.
    assert (carried["from"], carried["acls"], carried["problems"]) == ("the cluster", 3, []), moved.said
    written = workload.report()["acknowledged"]
    eventually(
        lambda: workload.report()["acknowledged"] > written + 500,
        timeout_seconds=60,
        because="applications write to the new primary",
        every=1,
    )
    # Kafka's own list: the fence's pair, which let everybody in, is gone, so that it is these that let them write.
    compared = drkit("parity", "--from", PRIMARY, "--to", STANDBY, *JSON, config=box.config)
    assert [one for one in compared.document["findings"] if one["kind"].endswith("-acl")] == [], compared.said
    record_property("promote_seconds", promoted["seconds"])
    record_property("write_outage_seconds", moved.document["write_outage_seconds"])
