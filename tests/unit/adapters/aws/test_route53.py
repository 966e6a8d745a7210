"""Route 53: records that are not drkit's to change, and answers that moto never gives."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from drkit.adapters.aws.route53 import Route53Record
from drkit.adapters.aws.session import AwsSession
from drkit.config.models import Route53Target
from drkit.errors import AuthError, DrkitError, RefusedError, StalePlanError, UnknownOutcomeError, UnreachableError
from drkit.ports import RecordSet
from tests.fakes.clock import FakeClock
from tests.fakes.dns_server import dns_server
from tests.fakes.http_server import (
    Responder,
    ScriptedHttpServer,
    aws_error,
    forward,
    hang_up,
    reply,
    silence,
)

TAIPEI, TOKYO = "ap-east-2", "ap-northeast-1"
VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "A": {TAIPEI: ("10.0.0.1",), TOKYO: ("10.1.0.1",)},
    "CNAME": {TAIPEI: ("a.example.net",), TOKYO: ("B.example.net.",)},
    "TXT": {TAIPEI: ("10.0.0.1:9092,10.0.0.2:9092",), TOKYO: ('say "' + "ü" * 300 + '"',)},
}


@pytest.fixture(scope="module")
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="module")
def session(server: ScriptedHttpServer, clock: FakeClock) -> AwsSession:
    return AwsSession(clock, region=TOKYO, endpoint_url=server.url, request_seconds=5)


@pytest.fixture
def zone_id(between: ScriptedHttpServer, session: AwsSession) -> str:
    created = session.route53().create_hosted_zone(Name="example.com", CallerReference=uuid.uuid4().hex)
    between.requests.clear()
    return created["HostedZone"]["Id"]


Make = Callable[..., Route53Record]


@pytest.fixture
def make(session: AwsSession, clock: FakeClock, zone_id: str) -> Make:
    def one(record_type: str = "A", **changes: Any) -> Route53Record:
        settings = {
            "kind": "route53",
            "zone_id": zone_id,
            "zone_name": "example.com.",
            "name": "kafka.example.com",
            "type": record_type,
            "values": VALUES[record_type],
        }
        return Route53Record(session, clock, Route53Target(**{**settings, **changes}))

    return one


@pytest.fixture
def put(session: AwsSession, zone_id: str, between: ScriptedHttpServer) -> Callable[..., None]:
    def one(record_type: str, *values: str, name: str = "kafka.example.com", **more: Any) -> None:
        record: dict[str, Any] = {"Name": name, "Type": record_type, **more}
        if values:
            record |= {"TTL": 60, "ResourceRecords": [{"Value": value} for value in values]}
        batch: Any = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        session.route53().change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)
        between.requests.clear()

    return one


@pytest.mark.parametrize("record_type", ["A", "CNAME", "TXT"])
def test_there_and_back_for_each_type(make: Make, record_type: str) -> None:
    record = make(record_type, ttl_seconds=7)
    record.switch(record.observe(), TAIPEI)
    assert record.observe() == RecordSet(record.values_for(TAIPEI), 7)
    record.switch(record.observe(), TOKYO)
    assert record.observe() == RecordSet(record.values_for(TOKYO), 7)
    record.switch(record.observe(), TAIPEI)
    assert record.observe().values == record.values_for(TAIPEI)


def test_a_change_is_one_batch_of_the_exact_old_and_the_new(
    make: Make, put: Callable[..., None], between: ScriptedHttpServer
) -> None:
    put("A", "10.0.0.2", "10.0.0.1")
    record = make()
    observed = record.observe()
    assert observed == RecordSet(("10.0.0.1", "10.0.0.2"), 60)
    between.requests.clear()
    record.switch(observed, TOKYO)
    assert len(between.requests) == 1
    body = between.requests[0].body.decode()
    assert body.index("<Action>DELETE</Action>") < body.index("<TTL>60</TTL>") < body.index("<Action>UPSERT</Action>")
    assert body.index("<Action>UPSERT</Action>") < body.index("<TTL>5</TTL>") < body.index("10.1.0.1")


def test_a_txt_value_in_strings_of_its_own_is_deleted_as_it_stands(
    make: Make, put: Callable[..., None], between: ScriptedHttpServer
) -> None:
    put("TXT", '"10.0.0.1:9092," "10.0.0.2:9092"')
    record = make("TXT")
    observed = record.observe()
    assert observed.values == record.values_for(TAIPEI)
    between.requests.clear()
    record.switch(observed, TOKYO)
    body = between.requests[0].body.decode().replace("&quot;", '"')
    assert '"10.0.0.1:9092," "10.0.0.2:9092"' in body
    assert record.observe().values == record.values_for(TOKYO)


def test_a_wildcard_name(make: Make, put: Callable[..., None]) -> None:
    put("A", "10.0.0.1", name=r"\052.example.com")
    record = make(name="*.example.com")
    assert record.observe().values == ("10.0.0.1",)
    assert record.name == "*.example.com A"


def test_neighbours_are_not_taken_for_the_record(make: Make, put: Callable[..., None]) -> None:
    put("A", "10.0.0.9", name="kafka2.example.com")
    put("A", "10.0.0.9", name="a.kafka.example.com")
    put("A", "10.0.0.9", name="example.com")
    put("TXT", '"v=spf1"')
    assert make().observe() == RecordSet((), 0)


WEIGHTED = {"SetIdentifier": "one", "Weight": 1}
ALIAS = {"AliasTarget": {"HostedZoneId": "Z1", "DNSName": "lb.example.net", "EvaluateTargetHealth": False}}


@pytest.mark.parametrize(
    ("record_type", "values", "more", "reason"),
    [
        ("A", ("10.0.0.1",), WEIGHTED, "SetIdentifier"),
        ("A", (), ALIAS, "AliasTarget"),
        ("A", ("10.0.0.1",), {"HealthCheckId": "h-1"}, "HealthCheckId"),
        ("CNAME", ("a.example.net",), {}, "CNAME"),
        ("AAAA", ("2001:db8::1",), {}, "AAAA"),
    ],
)
def test_what_is_no_simple_record_is_left_alone(
    make: Make,
    put: Callable[..., None],
    record_type: str,
    values: tuple[str, ...],
    more: Mapping[str, Any],
    reason: str,
) -> None:
    put(record_type, *values, **more)
    with pytest.raises(RefusedError, match=f"not as expected.*{reason}"):
        make().observe()


def test_a_cname_stands_alone(make: Make, put: Callable[..., None]) -> None:
    put("TXT", '"v=spf1"')
    with pytest.raises(RefusedError, match="TXT"):
        make("CNAME").observe()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"zone_name": "example.org", "name": "kafka.example.org"}, "not example.org"),
        ({"name": "kafka.example.org"}, "not in the zone"),
        ({"name": "kafkaexample.com"}, "not in the zone"),
    ],
)
def test_a_zone_that_is_not_as_expected(make: Make, changes: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        make(**changes).observe()


def test_the_zone_itself_is_no_cname(make: Make) -> None:
    with pytest.raises(RefusedError, match="CNAME"):
        make("CNAME", name="example.com").observe()


def test_a_zone_that_does_not_exist(make: Make) -> None:
    with pytest.raises(RefusedError, match="NoSuchHostedZone"):
        make(zone_id="Z0000000000000").observe()


@pytest.mark.parametrize("code", ["InvalidChangeBatch", "InvalidInput"])
def test_a_value_that_route53_does_not_take_is_no_stale_plan(
    make: Make, between: ScriptedHttpServer, code: str
) -> None:
    record = make()
    nothing = record.observe()
    between.on_next(aws_error(400, code, "[Invalid Resource Record]"))
    with pytest.raises(RefusedError, match="Invalid Resource Record") as caught:
        record.switch(nothing, TOKYO)
    assert not isinstance(caught.value, StalePlanError)


def test_the_old_form_of_a_rejected_batch_is_understood(
    make: Make, put: Callable[..., None], between: ScriptedHttpServer
) -> None:
    record = make()
    nothing = record.observe()
    put("A", "10.9.9.9")
    messages = "<InvalidChangeBatch><Messages><Message>Tried to create</Message></Messages></InvalidChangeBatch>"
    between.on_next(reply(400, messages, content_type="text/xml"))
    with pytest.raises(StalePlanError, match=r"10\.9\.9\.9"):
        record.switch(nothing, TOKYO)


@pytest.mark.parametrize("code", ["PriorRequestNotComplete", "Throttling", "ThrottlingException"])
def test_a_change_waits_behind_another(make: Make, between: ScriptedHttpServer, code: str) -> None:
    record = make()
    nothing = record.observe()
    between.on_next(*[aws_error(400, code, "Rate exceeded")] * 5)
    record.switch(nothing, TOKYO)
    assert record.observe().values == ("10.1.0.1",)


def test_a_change_does_not_wait_for_ever(
    session: AwsSession, clock: FakeClock, zone_id: str, between: ScriptedHttpServer
) -> None:
    target = Route53Target(
        kind="route53", zone_id=zone_id, zone_name="example.com", name="k.example.com", type="A", values=VALUES["A"]
    )
    record = Route53Record(session, clock, target, busy_seconds=60)
    nothing = record.observe()
    between.default = aws_error(400, "PriorRequestNotComplete", "busy")
    started = clock.monotonic()
    with pytest.raises(UnreachableError, match="PriorRequestNotComplete"):
        record.switch(nothing, TOKYO)
    assert 55 <= clock.monotonic() - started <= 60


def test_a_change_whose_answer_is_lost_is_not_sent_again(
    make: Make, between: ScriptedHttpServer, moto_endpoint: str
) -> None:
    record = make()
    nothing = record.observe()
    between.requests.clear()
    between.on_next(forward(moto_endpoint, lose_answer=True))
    with pytest.raises(UnknownOutcomeError):
        record.switch(nothing, TOKYO)
    assert len(between.requests) == 1
    assert record.observe().values == ("10.1.0.1",)


@pytest.mark.parametrize(
    ("responder", "kind"),
    [
        (aws_error(503, "ServiceUnavailable"), UnreachableError),
        (aws_error(500, "InternalFailure"), UnreachableError),
        (aws_error(504, "GatewayTimeout"), UnknownOutcomeError),
        (reply(200, "<html>", content_type="text/html"), UnknownOutcomeError),
        (hang_up, UnknownOutcomeError),
        (silence(3), UnknownOutcomeError),
    ],
)
def test_what_may_yet_be_done_is_told_from_what_was_answered(
    make: Make, between: ScriptedHttpServer, responder: Responder, kind: type[DrkitError]
) -> None:
    record = make()
    record._calls._request_seconds = 1
    nothing = record.observe()
    between.requests.clear()
    between.on_next(responder)
    with pytest.raises(kind) as caught:
        record.switch(nothing, TOKYO)
    assert type(caught.value) is kind
    assert len(between.requests) == 1


def test_what_was_never_sent_is_not_done(session: AwsSession, clock: FakeClock, make: Make) -> None:
    record = make()
    nothing = record.observe()
    record._session = AwsSession(clock, region=TOKYO, endpoint_url="http://127.0.0.1:9", request_seconds=5)
    with pytest.raises(UnreachableError, match="Could not connect"):
        record.switch(nothing, TOKYO)


def test_reads_are_repeated(make: Make, between: ScriptedHttpServer) -> None:
    between.on_next(hang_up, aws_error(503, "ServiceUnavailable"), aws_error(400, "Throttling"))
    assert make().observe() == RecordSet((), 0)


def test_a_refused_call_names_the_permission(make: Make, between: ScriptedHttpServer) -> None:
    between.default = aws_error(403, "AccessDenied", "not authorized to perform: route53:GetHostedZone")
    with pytest.raises(AuthError, match="route53:GetHostedZone"):
        make().observe()


def _change(status: str) -> str:
    info = f"<ChangeInfo><Id>/change/C1</Id><Status>{status}</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt>"
    return f"<GetChangeResponse>{info}</ChangeInfo></GetChangeResponse>"


def test_a_pending_change_is_asked_for_once_a_second(make: Make, between: ScriptedHttpServer, clock: FakeClock) -> None:
    record = make()
    between.default = reply(200, _change("PENDING"), content_type="text/xml")
    for _ in range(30):
        assert record.is_in_sync("C1") is False
        clock.advance(0.1)
    assert len(between.requests) == 3
    between.default = reply(200, _change("INSYNC"), content_type="text/xml")
    clock.advance(1)
    assert [record.is_in_sync("C1") for _ in range(3)] == [True, True, True]
    assert len(between.requests) == 4


def test_throttling_while_a_change_is_pending_is_no_failure(make: Make, between: ScriptedHttpServer) -> None:
    between.default = aws_error(400, "Throttling", "Rate exceeded")
    assert make().is_in_sync("C1") is False


def test_the_zones_own_name_servers_are_asked(make: Make, between: ScriptedHttpServer) -> None:
    with dns_server(lambda name, record_type: ["10.0.0.1"]) as dns:
        zone = (
            "<GetHostedZoneResponse><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name>"
            "<CallerReference>1</CallerReference></HostedZone><DelegationSet><NameServers>"
            f"<NameServer>{dns.address}</NameServer></NameServers></DelegationSet></GetHostedZoneResponse>"
        )
        between.on_next(reply(200, zone, content_type="text/xml"))
        assert make().answers() == {dns.address: ("10.0.0.1",)}


def test_a_silent_name_server_is_explained(make: Make) -> None:
    with dns_server(lambda name, record_type: None) as dns:
        record = make(nameservers=(dns.address,))
        assert record.answers() == {dns.address: ()}
        assert record.explained_answers()[dns.address].reason == "NXDOMAIN"
