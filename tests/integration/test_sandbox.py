"""The session's sandbox: what it promises, and its faults."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.query
import dns.rcode
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from drkit.config.load import load
from drkit.errors import RefusedError
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.aws_client import aws_client
from drkit.sandbox.processes import ProcessState
from drkit.sandbox.readiness import accepts_connections
from tests.waiting import eventually

pytestmark = pytest.mark.sandbox

PRIMARY, STANDBY = "ap-east-2", "ap-northeast-1"
PREFIX = "genai-demo.staging."


def admin(box: Sandbox, region: str, user: str = "admin") -> AdminClient:
    settings = box.status().regions[region].clients[user]
    return AdminClient({**settings, "log_level": 0, "socket.timeout.ms": 5000})


def state(box: Sandbox, region: str, what: str) -> ProcessState:
    return box.status().regions[region].processes[what].state


def ask(box: Sandbox, name: str, record_type: str, *, tcp: bool = False) -> dns.message.Message:
    server = box.status().dns
    send = dns.query.tcp if tcp else dns.query.udp
    return send(dns.message.make_query(name, record_type), server.host, port=server.port, timeout=5)


def answers(message: dns.message.Message) -> list[str]:
    return [str(record) for answer in message.answer for record in answer]


@pytest.fixture
def topic(sandbox: Sandbox) -> Iterator[str]:
    """A topic of one partition on the primary."""
    name = "sandbox-test.records"
    client = admin(sandbox, PRIMARY)
    client.create_topics([NewTopic(name, 1, 1)])[name].result(10)
    yield name
    client.delete_topics([name])[name].result(10)


def produce(box: Sandbox, topic: str, value: str, user: str = "app") -> KafkaError | None:
    """Produce one record; the error it met."""
    met: list[KafkaError | None] = []
    settings = box.status().regions[PRIMARY].clients[user]
    producer = Producer({**settings, "log_level": 0, "message.timeout.ms": 3000})
    producer.produce(topic, value, on_delivery=lambda error, _: met.append(error))
    assert producer.flush(10) == 0
    return met[0]


def test_status_has_the_documented_shape(sandbox: Sandbox) -> None:
    document = json.loads(json.dumps(sandbox.status().document()))
    assert set(document) == {"schema", "config", "aws", "dns", "regions"}
    assert document["schema"] == "drkit.sandbox/1"
    assert document["config"] == str(sandbox.root / "drkit.yaml")
    assert set(document["aws"]) == {"endpoint_url"}
    assert set(document["dns"]) == {"address", "port", "bootstrap_name"}
    assert set(document["regions"]) == {PRIMARY, STANDBY}
    for region in document["regions"].values():
        assert set(region) == {"bootstrap", "connect_url", "clients", "processes"}
        assert set(region["clients"]) == {"admin", "app"}
        assert set(region["processes"]) == {"broker", "mirror"}
        for process in region["processes"].values():
            assert process["state"] == "running"
            assert isinstance(process["pid"], int)


def test_configuration_is_valid_and_names_these_clusters(sandbox: Sandbox) -> None:
    settings = load(sandbox.config)
    for region in (PRIMARY, STANDBY):
        client = admin(sandbox, region)
        cluster = client.describe_cluster().result(10)
        assert settings.regions[region].cluster.cluster_id == cluster.cluster_id


def test_topics_are_where_they_should_be_and_no_others_come(sandbox: Sandbox) -> None:
    on_primary = admin(sandbox, PRIMARY).list_topics(timeout=10).topics
    events = ("order.confirmed", "order.cancelled", "payment.settled", "customer.registered", "inventory.reserved")
    assert {name: len(on_primary[PREFIX + name].partitions) for name in events} == dict.fromkeys(events, 6)
    for region in (PRIMARY, STANDBY):
        found = admin(sandbox, region).list_topics(timeout=10).topics
        assert len(found[PREFIX + "drkit.canary"].partitions) == 1
    error = produce(sandbox, "sandbox-test.not-there", "x")
    assert error is not None
    assert error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._MSG_TIMED_OUT)
    assert "sandbox-test.not-there" not in admin(sandbox, PRIMARY).list_topics(timeout=10).topics


def test_a_wrong_password_is_refused(sandbox: Sandbox) -> None:
    settings = {**sandbox.status().regions[PRIMARY].clients["admin"], "sasl.password": "wrong"}
    met: list[int] = []
    client = AdminClient({**settings, "log_level": 0, "error_cb": lambda error: met.append(error.code())})
    with pytest.raises(KafkaException):
        client.list_topics(timeout=1)
    client.poll(0)
    assert KafkaError._AUTHENTICATION in met


def test_acls_bind_the_application_but_not_the_super_user(sandbox: Sandbox, topic: str) -> None:
    assert produce(sandbox, topic, "allowed") is None
    deny = AclBinding(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        "User:app",
        "*",
        AclOperation.WRITE,
        AclPermissionType.DENY,
    )
    client = admin(sandbox, PRIMARY)
    client.create_acls([deny])[deny].result(10)
    try:
        refused = produce(sandbox, topic, "denied")
        assert refused is not None
        assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert produce(sandbox, topic, "super", user="admin") is None
    finally:
        everything = AclBindingFilter(
            ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, None, None, AclOperation.ANY, AclPermissionType.ANY
        )
        client.delete_acls([everything])[everything].result(10)


def test_connect_has_mirror_maker(sandbox: Sandbox) -> None:
    for region in sandbox.status().regions.values():
        with urllib.request.urlopen(f"{region.connect_url}/connector-plugins", timeout=10) as answer:
            found = {plugin["class"].rpartition(".")[2] for plugin in json.loads(answer.read())}
        assert {"MirrorSourceConnector", "MirrorCheckpointConnector", "MirrorHeartbeatConnector"} <= found


def test_dns_answers_from_the_zone(sandbox: Sandbox) -> None:
    name = sandbox.status().bootstrap_name
    primary = sandbox.status().layout.region(PRIMARY).broker.host
    for tcp in (False, True):
        assert answers(ask(sandbox, name, "A", tcp=tcp)) == [primary]
    no_text = ask(sandbox, name, "TXT")
    assert (no_text.rcode(), answers(no_text), len(no_text.authority)) == (dns.rcode.NOERROR, [], 1)
    assert ask(sandbox, "nothing.genai-demo.internal", "A").rcode() == dns.rcode.NXDOMAIN
    assert ask(sandbox, "example.com", "A").rcode() == dns.rcode.REFUSED


def test_dns_follows_a_change_of_the_zone(sandbox: Sandbox) -> None:
    route53 = aws_client("route53", sandbox.status().aws_endpoint_url)
    zone_id = load(sandbox.config).redirect[0].zone_id

    def change(action: str) -> None:
        record: Any = {"Name": "test.genai-demo.internal.", "Type": "CNAME", "TTL": 1}
        record["ResourceRecords"] = [{"Value": sandbox.status().bootstrap_name}]
        batch: Any = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)

    change("CREATE")
    try:
        host = sandbox.status().layout.region(PRIMARY).broker.host
        eventually(
            lambda: (
                answers(ask(sandbox, "test.genai-demo.internal", "A")) == [f"{sandbox.status().bootstrap_name}.", host]
            ),
            timeout_seconds=2,
            because="the record was created, and its target is in the zone",
        )
    finally:
        change("DELETE")


def test_up_on_a_running_sandbox_changes_nothing(sandbox: Sandbox) -> None:
    before = sandbox.status()
    config = sandbox.config.read_bytes()
    begun = time.monotonic()
    assert sandbox.up() == before
    assert time.monotonic() - begun < 5
    assert sandbox.config.read_bytes() == config


def test_a_frozen_broker_answers_again_when_thawed(sandbox: Sandbox) -> None:
    pid = sandbox.status().regions[STANDBY].processes["broker"].pid
    sandbox.fault(Fault.FREEZE, STANDBY, "broker")
    try:
        assert state(sandbox, STANDBY, "broker") is ProcessState.STOPPED
        assert state(sandbox, STANDBY, "mirror") is ProcessState.RUNNING
        with pytest.raises(KafkaException):
            admin(sandbox, STANDBY).list_topics(timeout=1)
        sandbox.fault(Fault.FREEZE, STANDBY, "broker")
    finally:
        sandbox.fault(Fault.THAW, STANDBY, "broker")
    assert sandbox.status().regions[STANDBY].processes["broker"].pid == pid
    assert state(sandbox, STANDBY, "broker") is ProcessState.RUNNING
    assert admin(sandbox, STANDBY).list_topics(timeout=10).brokers


def test_a_killed_region_starts_again_on_its_data(sandbox: Sandbox, topic: str) -> None:
    assert produce(sandbox, topic, "before the kill") is None
    sandbox.fault(Fault.KILL, PRIMARY, "all")
    try:
        layout = sandbox.status().layout.region(PRIMARY)
        for what, endpoint in (("broker", layout.broker), ("mirror", layout.connect)):
            process = sandbox.status().regions[PRIMARY].processes[what]
            assert (process.state, process.pid) == (ProcessState.DEAD, None)
            assert not accepts_connections(endpoint)
        sandbox.fault(Fault.KILL, PRIMARY, "all")
        with pytest.raises(RefusedError, match="ap-east-2/broker cannot freeze"):
            sandbox.fault(Fault.FREEZE, PRIMARY, "broker")
        with pytest.raises(RefusedError, match="its broker is dead"):
            sandbox.fault(Fault.START, PRIMARY, "mirror")
    finally:
        sandbox.fault(Fault.START, PRIMARY, "all")
    assert sandbox.status().is_running
    reader = Consumer({**sandbox.status().regions[PRIMARY].clients["app"], "group.id": "sandbox-test", "log_level": 0})
    reader.assign([TopicPartition(topic, 0, 0)])
    record = reader.poll(15)
    reader.close()
    assert record is not None
    assert record.value() == b"before the kill"


def test_up_brings_back_what_is_dead_or_frozen(sandbox: Sandbox) -> None:
    before = sandbox.status()
    sandbox.fault(Fault.KILL, STANDBY, "mirror")
    sandbox.fault(Fault.KILL, "dns")
    sandbox.fault(Fault.FREEZE, STANDBY, "broker")
    after = sandbox.up()
    assert after.is_running
    assert after.regions[PRIMARY].processes == before.regions[PRIMARY].processes
    assert after.regions[STANDBY].processes["broker"] == before.regions[STANDBY].processes["broker"]
    assert after.regions[STANDBY].processes["mirror"] != before.regions[STANDBY].processes["mirror"]


def test_what_aws_holds_survives_its_kill(sandbox: Sandbox) -> None:
    url = sandbox.status().aws_endpoint_url
    s3 = aws_client("s3", url)
    s3.put_object(Bucket="drkit-state", Key="sandbox-test", Body=b"kept", IfNoneMatch="*")
    etag = s3.head_object(Bucket="drkit-state", Key="sandbox-test")["ETag"]
    zones = aws_client("route53", url).list_hosted_zones()["HostedZones"]
    sandbox.fault(Fault.KILL, "aws")
    try:
        name = sandbox.status().bootstrap_name
        eventually(
            lambda: ask(sandbox, name, "A").rcode() == dns.rcode.SERVFAIL,
            timeout_seconds=3,
            because="the DNS server has nothing to answer from",
        )
    finally:
        sandbox.fault(Fault.START, "aws")
    found = s3.get_object(Bucket="drkit-state", Key="sandbox-test")
    assert (found["Body"].read(), found["ETag"]) == (b"kept", etag)
    assert aws_client("route53", url).list_hosted_zones()["HostedZones"] == zones
    eventually(
        lambda: answers(ask(sandbox, name, "A")) == [sandbox.status().layout.region(PRIMARY).broker.host],
        timeout_seconds=3,
        because="the zone is there again",
    )
    s3.delete_object(Bucket="drkit-state", Key="sandbox-test")


@pytest.mark.parametrize(("region", "what"), [("eu-west-1", "all"), ("aws", "broker"), (PRIMARY, "zookeeper")])
def test_a_fault_names_something_that_exists(sandbox: Sandbox, region: str, what: str) -> None:
    with pytest.raises(RefusedError, match=f"no {what} in {region}"):
        sandbox.fault(Fault.KILL, region, what)
