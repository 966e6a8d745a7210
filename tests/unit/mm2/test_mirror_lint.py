"""Every known trap is found, and what drkit renders has none."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drkit.config.mirror_templates import flow_of, render_connectors
from drkit.domain.mirror_lint import Finding, LiveConnector, Severity, lint, topic_findings
from tests.unit.config.sample import changed, settings

SETTINGS = settings()
FLOW = flow_of(SETTINGS, "taipei")
RENDERED = render_connectors(SETTINGS, FLOW)
SIMPLE_CONVERTER = "org.apache.kafka.connect.storage.SimpleHeaderConverter"
SOURCE, CHECKPOINT, HEARTBEAT = FLOW.connectors


def live(name: str, changes: Mapping[str, str | None] | None = None, *, enabled: bool = True) -> LiveConnector:
    config = {**RENDERED[name], **(changes or {})}
    kept = {key: value for key, value in config.items() if value is not None}
    return LiveConnector(name, kept, enabled, worker_alias="tokyo")


def found(connector: LiveConnector) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.key) for finding in lint([connector])]


def test_what_is_rendered_has_no_trap() -> None:
    assert lint(live(name) for name in FLOW.connectors) == ()
    for policy in ("identity", "default"):
        for exactly_once in (True, False):
            replication = {"topics": [r"shop\.staging\..*"], "policy": policy, "exactly_once": exactly_once}
            some = settings(changed("replication", replication))
            configs = render_connectors(some, flow_of(some, "tokyo"))
            findings = lint(LiveConnector(name, config, worker_alias="taipei") for name, config in configs.items())
            assert [finding.key for finding in findings] == ([] if exactly_once else ["exactly.once.support"])


@pytest.mark.parametrize(
    ("changes", "severity", "key"),
    [
        ({"topics": ".*"}, Severity.ERROR, "topics"),
        ({"topics": None}, Severity.ERROR, "topics"),
        ({"topics": r"tokyo\..*"}, Severity.ERROR, "topics"),
        ({"topics": r"shop\..*, taipei\.x"}, Severity.ERROR, "topics"),
        ({"offset-syncs.topic.location": None}, Severity.ERROR, "offset-syncs.topic.location"),
        ({"offset-syncs.topic.location": "source"}, Severity.ERROR, "offset-syncs.topic.location"),
        ({"sync.topic.acls.enabled": None}, Severity.ERROR, "sync.topic.acls.enabled"),
        ({"sync.topic.acls.enabled": "true"}, Severity.ERROR, "sync.topic.acls.enabled"),
        ({"emit.offset-syncs.enabled": "false"}, Severity.ERROR, "emit.offset-syncs.enabled"),
        ({"header.converter": SIMPLE_CONVERTER}, Severity.ERROR, "header.converter"),
        ({"header.converter": None}, Severity.WARNING, "header.converter"),
        ({"exactly.once.support": "requested"}, Severity.WARNING, "exactly.once.support"),
        ({"consumer.isolation.level": None}, Severity.ERROR, "consumer.isolation.level"),
        ({"source.consumer.isolation.level": "read_uncommitted"}, Severity.ERROR, "consumer.isolation.level"),
        ({"source.cluster.max.poll.records": "9"}, Severity.WARNING, "source.cluster.max.poll.records"),
        ({"target.cluster.batch.size": "9"}, Severity.WARNING, "target.cluster.batch.size"),
        ({"producer.enable.idempotence": "true"}, Severity.WARNING, "producer.enable.idempotence"),
        ({"producer.override.bootstrap.servers": "else:1"}, Severity.ERROR, "producer.override.bootstrap.servers"),
        ({"target.cluster.alias": "taipei"}, Severity.ERROR, "source.cluster.alias"),
    ],
)  # fmt: skip
def test_a_trap_in_the_source_connector(changes: dict[str, str | None], severity: Severity, key: str) -> None:
    assert (severity, key) in found(live(SOURCE, changes))


def test_idempotence_matters_without_exactly_once() -> None:
    changes = {"exactly.once.support": None, "producer.override.enable.idempotence": None}
    assert found(live(SOURCE, changes)) == [
        (Severity.WARNING, "exactly.once.support"),
        (Severity.WARNING, "producer.override.enable.idempotence"),
    ]


def test_the_short_name_of_a_class_is_the_same_connector() -> None:
    changes = {"connector.class": "MirrorSourceConnector", "sync.topic.acls.enabled": "true"}
    assert found(live(SOURCE, changes)) == [(Severity.ERROR, "sync.topic.acls.enabled")]


@pytest.mark.parametrize(
    ("changes", "severity", "key"),
    [
        ({"sync.group.offsets.enabled": "true"}, Severity.ERROR, "sync.group.offsets.enabled"),
        ({"offset-syncs.topic.location": "source"}, Severity.ERROR, "offset-syncs.topic.location"),
        ({"emit.checkpoints.enabled": "false"}, Severity.WARNING, "emit.checkpoints.enabled"),
    ],
)
def test_a_trap_in_the_checkpoint_connector(changes: dict[str, str | None], severity: Severity, key: str) -> None:
    assert found(live(CHECKPOINT, changes)) == [(severity, key)]


def test_records_go_to_the_workers_cluster() -> None:
    elsewhere = LiveConnector(SOURCE, RENDERED[SOURCE], worker_alias="taipei")
    assert found(elsewhere) == [(Severity.ERROR, "producer.override.bootstrap.servers")]
    heartbeat = live(HEARTBEAT, {"producer.override.bootstrap.servers": None})
    assert found(heartbeat) == [(Severity.WARNING, "producer.override.bootstrap.servers")]
    at_home = LiveConnector(HEARTBEAT, heartbeat.config, worker_alias="taipei")
    assert found(at_home) == []


def reverse(changes: Mapping[str, str] | None = None, *, enabled: bool = True) -> LiveConnector:
    flow = flow_of(SETTINGS, "tokyo")
    config = {**render_connectors(SETTINGS, flow)[flow.source_connector], **(changes or {})}
    return LiveConnector(flow.source_connector, config, enabled, worker_alias="taipei")


def test_two_directions_under_the_identity_policy_are_a_loop() -> None:
    message = "mirrors the other way: under the identity policy records go round for ever"
    other = reverse()
    assert lint([live(SOURCE), other]) == (
        Finding(Severity.ERROR, SOURCE, "", f"{other.name} {message}"),
        Finding(Severity.ERROR, other.name, "", f"{SOURCE} {message}"),
    )
    assert lint([live(SOURCE), reverse(enabled=False)]) == ()
    assert lint([live(SOURCE), reverse({"enabled": "false"})]) == ()
    assert lint([live(SOURCE, enabled=False), other]) == ()


def test_two_directions_under_the_default_policy_are_none() -> None:
    default = "org.apache.kafka.connect.mirror.DefaultReplicationPolicy"
    both = [live(SOURCE, {"replication.policy.class": default}), reverse({"replication.policy.class": default})]
    assert lint(both) == ()


def test_other_peoples_connectors_are_left_alone() -> None:
    assert lint([LiveConnector("s3", {"connector.class": "io.example.S3Sink", "topics": ".*"})]) == ()


def test_traps_in_names_of_topics() -> None:
    names = ["shop.staging.order", "shop.staging.heartbeats", "tokyo.order", "tokyo"]
    assert [finding.message for finding in topic_findings(live(SOURCE), names)] == [
        "MM2 takes shop.staging.heartbeats for heartbeats and calls it taipei.shop.staging.heartbeats on tokyo"
    ]
    default = live(SOURCE, {"replication.policy.class": None})
    assert [finding.message for finding in topic_findings(default, names)] == [
        "MM2 takes tokyo.order for one that came from tokyo and does not mirror it"
    ]
