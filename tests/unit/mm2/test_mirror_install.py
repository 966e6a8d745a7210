"""``mm2 apply`` makes things so once, and refuses what would do harm; ``mm2 status`` tells what is not so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from drkit.cli.mirror_text import mirror_text
from drkit.config.mirror_templates import flow_of, render_connectors
from drkit.domain.mirror_plan import ActionKind
from drkit.errors import ConfigError, RefusedError, UnreachableError
from drkit.ports import ConnectorState
from drkit.steps.mirror_install import MirrorReport, apply_mirror, inspect_mirror
from tests.unit.config.sample import changed, settings
from tests.unit.mm2.fake_mirror import RUNNING, FakeConnect, FakeMirrorWorld, fake_world

SETTINGS = settings()
FLOW = flow_of(SETTINGS, "taipei")
SOURCE, CHECKPOINT, HEARTBEAT = FLOW.connectors
SYNCS = "mm2-offset-syncs.taipei.internal"


@pytest.fixture
def fake() -> FakeMirrorWorld:
    return fake_world(SETTINGS)


def applied(fake: FakeMirrorWorld, **options: Any) -> MirrorReport:
    return apply_mirror(fake.world, FLOW, primary="taipei", **options)


def test_topics_are_made_before_the_connectors(fake: FakeMirrorWorld) -> None:
    seen: list[dict[str, str]] = []
    fake.connects["tokyo"].on_status = lambda *_: seen.append(dict(fake.clusters["tokyo"].existing.get(SYNCS, {})))
    report = applied(fake)
    assert report.is_healthy
    assert fake.clusters["taipei"].changes == [
        ("create", "heartbeats", 1, 3),
        ("create", "mm2-heartbeat-offsets.tokyo.internal", 1, 3),
    ]
    assert fake.clusters["tokyo"].changes == [("create", SYNCS, 1, 3), ("create", "taipei.checkpoints.internal", 1, 3)]
    assert seen[0] == {"cleanup.policy": "compact", "min.compaction.lag.ms": "1209600000"}
    assert fake.connects["tokyo"].changes == [("put", SOURCE), ("put", CHECKPOINT), ("put", HEARTBEAT)]
    assert fake.connects["taipei"].changes == []
    rendered = render_connectors(SETTINGS, FLOW)
    assert fake.connects["tokyo"].configs == rendered


def test_a_second_time_changes_nothing(fake: FakeMirrorWorld) -> None:
    applied(fake)
    before = list(fake.changes)
    report = applied(fake)
    assert fake.changes == before
    assert [action.kind for action in report.actions] == [ActionKind.KEEP] * 3
    assert report.topics_changed == ()


def test_drift_is_told_and_put_right(fake: FakeMirrorWorld) -> None:
    applied(fake)
    fake.connects["tokyo"].configs[SOURCE]["tasks.max"] = "1"
    fake.clusters["tokyo"].existing[SYNCS] = {"cleanup.policy": "delete"}
    fake.clusters["taipei"].existing["heartbeats"] = {}
    report = inspect_mirror(fake.world, FLOW)
    assert not report.is_healthy
    document: Any = report.document()
    assert document["connectors"][0]["drift"] == [{"key": "tasks.max", "live": "1", "wanted": "4"}]
    assert document["topics"] == [
        {
            "region": "tokyo",
            "name": SYNCS,
            "missing": False,
            "live": {"cleanup.policy": "delete", "min.compaction.lag.ms": ""},
            "wanted": {"cleanup.policy": "compact", "min.compaction.lag.ms": "1209600000"},
        }
    ]
    assert applied(fake).is_healthy
    assert fake.clusters["tokyo"].changes[-1][:2] == ("alter", SYNCS)
    assert fake.connects["tokyo"].changes[-1] == ("put", SOURCE)


def test_looking_changes_nothing(fake: FakeMirrorWorld) -> None:
    report = inspect_mirror(fake.world, FLOW)
    assert fake.changes == []
    assert [connector.status.state for connector in report.connectors] == [ConnectorState.ABSENT] * 3
    assert [topic.is_missing for topic in report.topics] == [True] * 4
    assert json.loads(json.dumps(report.document()))["healthy"] is False


def refused(fake: FakeMirrorWorld, reason: str, **options: Any) -> None:
    before = list(fake.changes)
    with pytest.raises(RefusedError, match=reason):
        apply_mirror(fake.world, FLOW, **{"primary": "taipei", **options})
    assert fake.changes == before


def test_mirroring_into_the_primary_is_refused(fake: FakeMirrorWorld) -> None:
    refused(fake, "taipei is not the primary", primary="tokyo")


@pytest.mark.parametrize("region", ["taipei", "tokyo"])
def test_another_cluster_than_configured_is_refused(fake: FakeMirrorWorld, region: str) -> None:
    fake.clusters[region].cluster_id = "other"
    refused(fake, f"the cluster of {region} has the id other, not cluster-")


def test_a_worker_that_writes_elsewhere_is_refused(fake: FakeMirrorWorld) -> None:
    fake.connects["tokyo"].kafka_cluster_id = "cluster-1"
    refused(fake, "the Connect cluster of tokyo writes to a cluster that has the id cluster-1, not cluster-2")


def reverse_running(fake: FakeMirrorWorld, state: ConnectorState) -> None:
    flow = flow_of(fake.settings, "tokyo")
    config = render_connectors(fake.settings, flow)[flow.source_connector]
    fake.connects["taipei"].configs[flow.source_connector] = dict(config)
    fake.connects["taipei"].states[flow.source_connector] = state


def test_a_mirror_the_other_way_is_refused_unless_it_is_stopped(fake: FakeMirrorWorld) -> None:
    reverse_running(fake, RUNNING)
    refused(fake, "shop.staging.tokyo.taipei.source mirrors the other way")
    reverse_running(fake, ConnectorState.STOPPED)
    assert applied(fake).is_healthy


def test_an_unreachable_other_side_is_no_proof_that_nothing_runs_there(fake: FakeMirrorWorld) -> None:
    def fail(*_: object) -> None:
        raise UnreachableError("no answer")

    reverse_running(fake, RUNNING)
    fake.connects["taipei"].on_status = fail
    with pytest.raises(UnreachableError):
        applied(fake)
    assert fake.changes == []


def test_a_region_without_connect_cannot_mirror_the_other_way(fake: FakeMirrorWorld) -> None:
    regions = {**fake.world.regions, "taipei": replace(fake.world.regions["taipei"], mirror=None)}
    assert apply_mirror(replace(fake.world, regions=regions), FLOW, primary="taipei").is_healthy


def test_a_topic_that_mm2_would_rename_is_refused(fake: FakeMirrorWorld) -> None:
    fake.clusters["taipei"].existing["shop.staging.device.heartbeats"] = {}
    refused(fake, "MM2 takes shop.staging.device.heartbeats for heartbeats")


def test_other_peoples_faults_do_not_stop_an_apply_but_show(fake: FakeMirrorWorld) -> None:
    theirs = {**render_connectors(SETTINGS, FLOW)[SOURCE], "source.cluster.alias": "osaka", "topics": ".*"}
    fake.connects["tokyo"].configs["theirs"] = dict(theirs)
    fake.connects["tokyo"].states["theirs"] = RUNNING
    report = applied(fake)
    assert [(finding.connector, finding.key) for finding in report.findings] == [("theirs", "topics")]


@pytest.mark.parametrize("driver", ["dedicated", "external"])
def test_without_connect_there_is_nothing_to_apply(driver: str) -> None:
    fake = fake_world(settings(changed("replication.driver", driver)))
    with pytest.raises(ConfigError, match=f"replication.driver is {driver}"):
        applied(fake)
    assert fake.changes == []


def test_a_stopped_connector_stays_stopped_unless_it_is_asked_for(fake: FakeMirrorWorld) -> None:
    applied(fake)
    connect = fake.connects["tokyo"]
    connect.states[SOURCE], connect.tasks[SOURCE] = ConnectorState.STOPPED, ()
    connect.tasks[HEARTBEAT] = (ConnectorState.FAILED,)
    started = fake.clock.monotonic()
    assert not applied(fake).is_healthy
    assert fake.clock.monotonic() - started < 5
    assert connect.changes[3:] == []
    assert applied(fake, resume=True).is_healthy
    assert connect.changes[3:] == [("resume", SOURCE), ("restart", HEARTBEAT)]


def test_it_waits_for_tasks_and_through_a_restart(fake: FakeMirrorWorld) -> None:
    """Tasks come 3 s after the start, are gone for a moment half a second later, and come back."""
    began = fake.clock.monotonic()

    def as_time_passes(connect: FakeConnect, name: str) -> None:
        if name == SOURCE and name in connect.configs:
            passed = fake.clock.monotonic() - began
            connect.tasks[name] = (RUNNING,) if 3 <= passed < 3.5 or passed >= 6 else ()

    fake.connects["tokyo"].on_status = as_time_passes
    said: list[str] = []
    assert applied(fake, progress=said.append).is_healthy
    assert fake.clock.monotonic() - began == pytest.approx(7, abs=0.5)
    assert said[:3] == [f"create {SOURCE}", f"create {CHECKPOINT}", f"create {HEARTBEAT}"]
    assert said[3] == f"waiting for {SOURCE}"


def test_it_does_not_wait_for_ever(fake: FakeMirrorWorld) -> None:
    def no_tasks(connect: FakeConnect, name: str) -> None:
        connect.tasks[name] = ()

    fake.connects["tokyo"].on_status = no_tasks
    began = fake.clock.monotonic()
    report = applied(fake)
    assert fake.clock.monotonic() - began == pytest.approx(60, abs=1)
    assert [connector.is_running for connector in report.connectors] == [False, True, False]


def test_the_text_says_what_was_done_and_what_is_wrong(fake: FakeMirrorWorld) -> None:
    text = mirror_text(applied(fake).document())
    assert text.splitlines() == [
        "topic taipei/heartbeats put right",
        "topic taipei/mm2-heartbeat-offsets.tokyo.internal put right",
        f"topic tokyo/{SYNCS} put right",
        "topic tokyo/taipei.checkpoints.internal put right",
        f"create {SOURCE}",
        f"create {CHECKPOINT}",
        f"create {HEARTBEAT}",
        "taipei -> tokyo: as configured",
        "  connector                             state    tasks",
        f"  {SOURCE}      running  1 running",
        f"  {CHECKPOINT}  running  none",
        f"  {HEARTBEAT}   running  1 running",
    ]
    fake.connects["tokyo"].configs[SOURCE].pop("offset.lag.max")
    fake.connects["tokyo"].configs[SOURCE]["sync.topic.acls.enabled"] = "true"
    del fake.clusters["tokyo"].existing[SYNCS]
    lines = mirror_text(inspect_mirror(fake.world, FLOW).document()).splitlines()
    assert lines[0] == "taipei -> tokyo: NOT as configured"
    message = "ACL sync is on: it copies DENY, drops ALLOW WRITE, and gives a failed-over service no way to write"
    assert lines[5:] == [
        f"{SOURCE} differs from its template (drkit mm2 apply puts it right)",
        "    offset.lag.max: (not set) -> 100",
        "    sync.topic.acls.enabled: true -> false",
        f"tokyo: topic {SYNCS} is missing",
        f"error: {SOURCE} sync.topic.acls.enabled: {message}",
    ]


def test_what_connect_says_cannot_move_the_cursor(fake: FakeMirrorWorld) -> None:
    applied(fake)
    connect = fake.connects["tokyo"]
    connect.configs[SOURCE]["tasks.max"] = "1\n\x1b[2J"
    text = mirror_text(inspect_mirror(fake.world, FLOW).document())
    assert r"    tasks.max: 1\n\x1b[2J -> 4" in text.splitlines()
