"""Topics from a catalogue, and ACLs that applications would miss, on real brokers; cleaned up behind itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from drkit.adapters.kafka.acl_wire import to_binding, to_filter
from drkit.domain.kafka import Acl
from drkit.errors import ExitCode
from drkit.sandbox import Sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY

pytestmark = pytest.mark.sandbox

JSON = ("--output", "json")
DOMAIN = "genai-demo.staging.parity-test"
# "internal" is never mirrored: what is made in one region stays there.
EVENTS = f"{DOMAIN}.internal"
CATALOGUE = """
defaults: {partitions: 2, replication_factor: 1, configs: {retention.ms: 3600000}}
topics:
  - {domain: parity-test, event: internal}
"""
APP = "User:app"
ACLS = (
    Acl("topic", DOMAIN, "prefixed", APP, "*", "all", "allow"),
    Acl("group", "parity-test", "literal", APP, "*", "read", "allow"),
    Acl("transactional_id", "parity-test-", "prefixed", APP, "*", "all", "allow"),
)


def _admin(box: Sandbox, region: str) -> AdminClient:
    return AdminClient({**box.status().regions[region].clients["admin"], "log_level": 0, "socket.timeout.ms": 5000})


@pytest.fixture(autouse=True)
def _cleaned_up(sandbox: Sandbox, sandbox_config: Path) -> Iterator[None]:
    yield
    for region in (PRIMARY, STANDBY):
        admin = _admin(sandbox, region)
        made = [
            Acl(one.resource_type, one.resource_name, one.pattern_type, who, "*", "all", "allow")
            for one in ACLS
            for who in ("User:drkit", "User:mirror")
        ]
        for future in admin.delete_acls([to_filter(acl) for acl in (*ACLS, *made)]).values():
            future.result(10)
        for future in admin.delete_topics([EVENTS]).values():
            with suppress(KafkaException):
                future.result(10)


@pytest.fixture
def catalogue(tmp_path: Path) -> str:
    path = tmp_path / "topics.yaml"
    path.write_text(CATALOGUE)
    return str(path)


def _write(box: Sandbox, region: str) -> KafkaError | None:
    """What an application meets that writes there."""
    met: list[KafkaError | None] = []
    producer = Producer({**box.status().regions[region].clients["app"], "log_level": 0, "message.timeout.ms": 3000})
    producer.produce(EVENTS, b"x", on_delivery=lambda error, _: met.append(error))
    assert producer.flush(10) == 0
    return met[0]


def test_a_catalogue_becomes_topics_once(sandbox_config: Path, catalogue: str) -> None:
    where = ("--catalogue", catalogue, *JSON)
    planned = drkit("topics", "create", "--dry-run", *where, config=sandbox_config)
    assert (planned.code, planned.document["made"]) == (ExitCode.DONE, None), planned.said
    assert drkit("topics", "check", *where, config=sandbox_config).code == ExitCode.VERIFICATION
    made = drkit("topics", "create", "--yes", *where, config=sandbox_config)
    assert (made.code, made.document["made"]) == (ExitCode.DONE, [EVENTS]), made.said
    again = drkit("topics", "create", "--yes", "--environment", "staging", *where, config=sandbox_config)
    assert (again.code, again.document["made"]) == (ExitCode.DONE, None), again.said
    assert drkit("topics", "check", *where, config=sandbox_config).code == ExitCode.DONE
    listed = drkit("topics", "list", *JSON, config=sandbox_config)
    (topic,) = [one for one in listed.document["topics"] if one["name"] == EVENTS]
    assert topic["state"] == "not in the catalogue"
    assert topic["found"] == {"partitions": 2, "replication_factor": 1, "configs": {"retention.ms": "3600000"}}

    Path(catalogue).write_text(CATALOGUE.replace("partitions: 2", "partitions: 3"))
    differs = drkit("topics", "create", "--yes", *where, config=sandbox_config)
    assert differs.code == ExitCode.VERIFICATION, differs.said
    Path(catalogue).write_text(CATALOGUE.replace("replication_factor: 1", "replication_factor: 3"))
    other = drkit("topics", "create", "--yes", "--region", STANDBY, *where, config=sandbox_config)
    assert other.code == ExitCode.REFUSED, other.said
    assert "1 brokers" in other.stderr
    production = drkit("topics", "check", "--environment", "production", *where, config=sandbox_config)
    assert production.code == ExitCode.USAGE, production.said


def test_a_name_that_a_broker_takes_for_another_one_is_refused_by_it_and_by_drkit(
    sandbox: Sandbox, sandbox_config: Path, catalogue: str
) -> None:
    assert drkit("topics", "create", "--yes", "--catalogue", catalogue, config=sandbox_config).code == ExitCode.DONE
    Path(catalogue).write_text(CATALOGUE.replace("parity-test, event: internal", "parity-test_internal, event: x"))
    alike = EVENTS.replace("parity-test.internal", "parity-test_internal")
    from confluent_kafka.admin import NewTopic

    admin = _admin(sandbox, PRIMARY)
    with pytest.raises(KafkaException, match="collides with existing topic"):
        admin.create_topics([NewTopic(alike, 1, 1)])[alike].result(10)
    Path(catalogue).write_text(
        "defaults: {partitions: 1, replication_factor: 1}\ntopics:\n  - {domain: parity-test, event: internal}\n"
        "  - {domain: parity-test, event: in_ternal}\n  - {domain: parity-test_in, event: ternal}\n"
    )
    refused = drkit("topics", "check", "--catalogue", catalogue, config=sandbox_config)
    assert refused.code == ExitCode.CONFIG, refused.said
    assert "are the same to Kafka" in refused.stderr


def test_what_applications_need_is_carried_over_behind_the_fence(
    sandbox: Sandbox, sandbox_config: Path, catalogue: str
) -> None:
    for region in (PRIMARY, STANDBY):
        created = drkit(
            "topics", "create", "--yes", "--region", region, "--catalogue", catalogue, config=sandbox_config
        )
        assert created.code == ExitCode.DONE, created.said
    admin = _admin(sandbox, PRIMARY)
    for future in admin.create_acls([to_binding(acl) for acl in ACLS]).values():
        future.result(10)

    found = drkit("parity", *JSON, config=sandbox_config)
    assert found.code == ExitCode.VERIFICATION, found.said
    problems = [one["kind"] for one in found.document["findings"] if one["severity"] == "problem"]
    assert problems == ["prefixed-acl", "group-acl", "transactional-id-acl"], found.said
    check = drkit("check", *JSON, config=sandbox_config)
    assert len([one for one in check.document["problems"] if "drkit parity" in one]) == 3, check.said

    applied = drkit("parity", "--from", PRIMARY, "--to", STANDBY, "--apply", "--yes", *JSON, config=sandbox_config)
    assert applied.code == ExitCode.DONE, applied.said
    assert applied.document["applied"]["failed"] == []
    assert drkit("parity", config=sandbox_config).code == ExitCode.DONE
    again = drkit("parity", "--apply", "--yes", *JSON, config=sandbox_config)
    assert (again.code, again.document["applied"]["changes"]) == (ExitCode.DONE, []), again.said

    # ALLOW ALL does not open a fenced standby: a denial counts more.
    assert _write(sandbox, PRIMARY) is None
    refused = _write(sandbox, STANDBY)
    assert refused is not None
    assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    back = drkit("parity", "--from", STANDBY, "--to", PRIMARY, "--apply", "--yes", config=sandbox_config)
    assert back.code == ExitCode.REFUSED, back.said
