"""What the templates become, for every way to authenticate; secrets never come out."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import drkit
from drkit import cli
from drkit.config.mirror_templates import (
    flow_of,
    render_connectors,
    render_dedicated,
    render_worker,
    templates_directory,
)
from drkit.config.models import PlainAuth
from drkit.domain.java_properties import parse_properties
from drkit.domain.mirror_flow import Flow, internal_topics
from drkit.errors import ConfigError, ExitCode
from tests.unit.config.sample import VALID, changed, settings, write

TEMPLATES = sorted(templates_directory().rglob("*.j2"))
REFERENCE = "${file:/etc/kafka/mirror.properties:password}"


def test_the_source_connector_carries_records_exactly_once_with_syncs_on_the_target() -> None:
    config = render_connectors(settings(), flow_of(settings(), "taipei"))["shop.staging.taipei.tokyo.source"]
    expected = {
        "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector",
        "source.cluster.alias": "taipei",
        "target.cluster.alias": "tokyo",
        "topics": r"shop\.staging\..*",
        "topics.exclude": r".*[.-]internal,__.*,\..*,.*\.drkit\.canary",
        "replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
        "refresh.topics.interval.seconds": "60",
        "offset-syncs.topic.location": "target",
        "offset.lag.max": "100",
        "exactly.once.support": "required",
        "consumer.isolation.level": "read_committed",
        "producer.override.enable.idempotence": "true",
        "sync.topic.acls.enabled": "false",
        "header.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "config.properties.exclude": (
            r"follower\.replication\.throttled\.replicas,leader\.replication\.throttled\.replicas,"
            r"message\.timestamp\..*,unclean\.leader\.election\.enable,min\.insync\.replicas"
        ),
    }
    assert {key: config.get(key) for key in expected} == expected


def test_settings_reach_the_connectors() -> None:
    replication = {
        "policy": "default", "separator": "_", "topics": [r"shop\.staging\.a", r"shop\.staging\.b"],
        "groups": ["a.*", "b"], "groups_exclude": [], "exactly_once": False, "replication_factor": 1, "tasks_max": 7,
        "offset_lag_max": 0, "refresh_seconds": 5, "checkpoint_seconds": 2,
    }  # fmt: skip
    some = settings(changed("replication", replication))
    flow = flow_of(some, "tokyo")
    source, checkpoint, heartbeat = render_connectors(some, flow).values()
    assert source["topics"] == checkpoint["topics"] == r"shop\.staging\.a,shop\.staging\.b"
    assert (source["tasks.max"], source["offset.lag.max"], source["refresh.topics.interval.seconds"]) == ("7", "0", "5")
    assert "exactly.once.support" not in source
    assert source["consumer.isolation.level"] == "read_committed"
    assert (checkpoint["groups"], checkpoint["groups.exclude"]) == ("a.*,b", r".*\.drkit\.canary")
    assert (checkpoint["emit.checkpoints.interval.seconds"], checkpoint["refresh.groups.interval.seconds"]) == (
        "2",
        "5",
    )
    assert checkpoint["sync.group.offsets.enabled"] == "false"
    for config in (source, checkpoint, heartbeat):
        assert config["replication.policy.separator"] == "_"
        assert config["replication.policy.class"].endswith(".DefaultReplicationPolicy")
    # A heartbeat is written into the source of the flow.
    assert (heartbeat["source.cluster.alias"], heartbeat["target.cluster.alias"]) == ("taipei", "tokyo")
    assert heartbeat["offsets.storage.topic"] == "mm2-heartbeat-offsets.taipei.internal"


def test_names_follow_the_separator_of_the_default_policy_only() -> None:
    replication = {"topics": [r"shop\.staging\..*"], "policy": "default", "separator": "_"}
    default = flow_of(settings(changed("replication", replication)), "taipei")
    assert (default.offset_syncs_topic, default.checkpoints_topic, default.mirrored_heartbeats_topic) == (
        "mm2-offset-syncs_taipei_internal",
        "taipei_checkpoints_internal",
        "taipei_heartbeats",
    )
    identity = flow_of(settings(changed("replication.separator", "_")), "taipei")
    assert identity == Flow("shop", "staging", "taipei", "tokyo")
    assert identity.connectors == tuple(
        f"shop.staging.taipei.tokyo.{role}" for role in ("source", "checkpoint", "heartbeat")
    )
    assert [(topic.region, topic.name) for topic in internal_topics(identity)] == [
        ("taipei", "heartbeats"),
        ("taipei", "mm2-heartbeat-offsets.tokyo.internal"),
        ("tokyo", "mm2-offset-syncs.taipei.internal"),
        ("tokyo", "taipei.checkpoints.internal"),
    ]
    assert dict(internal_topics(identity)[2].configs) == {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": "1209600000",
    }


def test_a_dedicated_process_mirrors_one_way() -> None:
    text = render_dedicated(settings(), flow_of(settings(), "taipei"))
    config = parse_properties(text)
    expected = {
        "clusters": "taipei,tokyo",
        "taipei->tokyo.enabled": "true",
        "tokyo->taipei.enabled": "false",
        "taipei->tokyo.topics": r"shop\.staging\..*",
        "taipei->tokyo.offset-syncs.topic.location": "target",
        "taipei->tokyo.sync.group.offsets.enabled": "false",
        "taipei->tokyo.sync.topic.acls.enabled": "false",
        "replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
        "tokyo.exactly.once.source.support": "enabled",
        "dedicated.mode.enable.internal.rest": "true",
        "taipei.consumer.isolation.level": "read_committed",
        "tokyo.producer.enable.idempotence": "true",
    }
    assert {key: config.get(key) for key in expected} == expected
    assert r"taipei->tokyo.topics=shop\\.staging\\..*" in text.splitlines()
    at_least_once = settings(changed("replication.exactly_once", value=False))
    plain = parse_properties(render_dedicated(at_least_once, flow_of(at_least_once, "taipei")))
    assert not {"tokyo.exactly.once.source.support", "listeners"} & plain.keys()


def test_a_worker_is_made_from_plain_arguments() -> None:
    text = render_worker(
        bootstrap="127.31.2.10:9092",
        group_id="mirror",
        listener="http://127.31.2.10:8083",
        auth=PlainAuth(mechanism="plain", username="mirror", password=f"connect:{REFERENCE}"),
        replication_factor=1,
        offsets_topic="o",
        status_topic="s",
        configs_topic="c",
        secrets_directory="/etc/kafka",
    )
    config = parse_properties(text)
    expected = {
        "bootstrap.servers": "127.31.2.10:9092",
        "group.id": "mirror",
        "listeners": "http://127.31.2.10:8083",
        "exactly.once.source.support": "enabled",
        "offset.storage.topic": "o",
        "status.storage.topic": "s",
        "config.storage.topic": "c",
        "offset.storage.replication.factor": "1",
        "connector.client.config.override.policy": "All",
        "config.providers": "file,directory",
        "config.providers.file.param.allowed.paths": "/etc/kafka",
        "config.providers.directory.param.allowed.paths": "/etc/kafka",
    }
    assert {key: config.get(key) for key in expected} == expected
    lenient = parse_properties(render_worker(bootstrap="a:1", group_id="g", listener="http://a:1", exactly_once=False))
    assert lenient["exactly.once.source.support"] == "disabled"
    assert not any("allowed.paths" in key for key in lenient)


def test_a_value_cannot_break_out_of_its_line() -> None:
    evil = "a:1\nsecurity.protocol=PLAINTEXT\\"
    config = parse_properties(render_worker(bootstrap=evil, group_id=" g\\\n#", listener="http://a:1"))
    assert (config["bootstrap.servers"], config["group.id"]) == (evil, " g\\\n#")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_value_of_a_template_goes_through_a_filter(template: Path) -> None:
    safe = re.compile(
        r"\| (value|list_value)$|^(admin|client|security)\(|_seconds$|_factor$|_max$|^prefix$|^policy_class$"
    )
    lines = [line for line in template.read_text().splitlines() if not line.startswith("#")]
    bare = [found for line in lines for found in re.findall(r"\{\{ (.*?) \}\}", line) if not safe.search(found)]
    names = {"A", "B", "AB", "auth.mechanism | upper"}
    assert [found for found in bare if found not in names and '"SASL_SSL"' not in found and '"SSL"' not in found
            and '"enabled"' not in found] == []  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_comment_has_a_line_of_its_own(template: Path) -> None:
    settings_lines = [line for line in template.read_text().splitlines() if re.match(r"[\w{].*=", line)]
    assert [line for line in settings_lines if " #" in line] == []


def test_the_templates_are_found_in_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "drkit"
    package.mkdir(parents=True)
    monkeypatch.setattr(drkit, "__file__", str(package / "__init__.py"))
    with pytest.raises(ConfigError, match="templates are missing"):
        templates_directory()
    shutil.copytree(TEMPLATES[0].parent, package / "mm2")
    assert templates_directory() == package / "mm2"


def test_render_prints_one_document_and_writes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(write(tmp_path, VALID))
    assert cli.run(["--config", config, "mm2", "render"]) == ExitCode.DONE
    printed = json.loads(capsys.readouterr().out)
    rendered = render_connectors(settings(), flow_of(settings(), "taipei"))
    assert printed == rendered
    arguments = [
        "--config",
        config,
        "mm2",
        "render",
        "--flow",
        "tokyo:taipei",
        "--out",
        str(tmp_path / "out" / "mirror"),
    ]
    assert cli.run(arguments) == ExitCode.DONE
    names = [f"shop.staging.tokyo.taipei.{role}.json" for role in ("source", "checkpoint", "heartbeat")]
    paths = [tmp_path / "out" / "mirror" / name for name in (*names, "worker.properties")]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in paths]
    assert json.loads(paths[0].read_text())["target.cluster.alias"] == "taipei"
    assert cli.run(["--config", config, "mm2", "render", "--mode", "dedicated"]) == ExitCode.DONE
    assert capsys.readouterr().out == render_dedicated(settings(), flow_of(settings(), "taipei"))


@pytest.mark.parametrize("flow", ["taipei", "taipei:taipei", "taipei:osaka", "a:b:c", ":"])
def test_a_flow_leads_from_one_region_to_the_other(
    flow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(write(tmp_path, VALID))
    assert cli.run(["--config", config, "mm2", "render", "--flow", flow]) == ExitCode.USAGE
    assert f"--flow {flow} does not lead" in capsys.readouterr().err
