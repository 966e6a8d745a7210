"""What every redirect target does: the fake, and Route 53 (moto over HTTP, with a DNS server that has its zone)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from drkit.adapters.aws.record_values import canonical_name, from_route53
from drkit.adapters.aws.route53 import Route53Record
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.local.clock import SystemClock
from drkit.config.models import Route53Target
from drkit.errors import RefusedError, StalePlanError
from drkit.ports import RecordSet, RedirectWriter
from tests.fakes.aws import FakeRedirect
from tests.fakes.dns_server import dns_server
from tests.waiting import eventually

TAIPEI, TOKYO = "ap-east-2", "ap-northeast-1"
VALUES = {TAIPEI: ("10.0.0.2", "10.0.0.1"), TOKYO: ("10.1.0.1",)}


@dataclass(frozen=True)
class Bench:
    """A target that points at Taipei, a second view of the same, and what others do to it."""

    target: RedirectWriter
    again: RedirectWriter
    set_by_another: Callable[[str], None]
    remove: Callable[[], None]


@pytest.fixture(scope="module")
def session(moto_endpoint: str, no_aws_identity: None) -> AwsSession:
    return AwsSession(SystemClock(), region=TOKYO, endpoint_url=moto_endpoint, request_seconds=10)


def _fake() -> Bench:
    target = FakeRedirect("kafka.example.com A", VALUES, at=TAIPEI)
    target.pending_asks = 2

    def remove() -> None:
        target.current = RecordSet((), 0)

    return Bench(target, target, target.change_by_another, remove)


@dataclass(frozen=True)
class _Zone:
    session: AwsSession
    zone_id: str

    def records(self, name: str, record_type: str) -> list[str] | None:
        listed = self.session.route53().list_resource_record_sets(HostedZoneId=self.zone_id)["ResourceRecordSets"]
        of_name = [r for r in listed if canonical_name(r["Name"]) == name.lower()]
        if not of_name:
            return None
        return [
            from_route53(record_type, value["Value"])
            for record in of_name
            if record["Type"] == record_type
            for value in record["ResourceRecords"]
        ]

    def change(self, action: str, *values: str, ttl: int = 60) -> None:
        self.session.route53().change_resource_record_sets(
            HostedZoneId=self.zone_id,
            ChangeBatch={
                "Changes": [
                    {
                        "Action": action,  # type: ignore[typeddict-item]
                        "ResourceRecordSet": {
                            "Name": "kafka.example.com",
                            "Type": "A",
                            "TTL": ttl,
                            "ResourceRecords": [{"Value": value} for value in values],
                        },
                    }
                ]
            },
        )


@pytest.fixture(params=["fake", "route53"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        yield _fake()
        return
    session: AwsSession = request.getfixturevalue("session")
    created = session.route53().create_hosted_zone(Name="example.com", CallerReference=uuid.uuid4().hex)
    zone = _Zone(session, created["HostedZone"]["Id"])
    zone.change("CREATE", *VALUES[TAIPEI], ttl=5)
    with dns_server(zone.records) as server:
        target = Route53Target(
            kind="route53",
            zone_id=zone.zone_id,
            zone_name="example.com",
            name="Kafka.example.com.",
            type="A",
            values=VALUES,
            nameservers=(server.address,),
        )
        records = [Route53Record(session, SystemClock(), target) for _ in range(2)]
        yield Bench(
            records[0],
            records[1],
            lambda value: zone.change("UPSERT", value, ttl=5),
            lambda: zone.change("DELETE", *VALUES[TAIPEI], ttl=5),
        )


def test_its_name_says_what_it_is(bench: Bench) -> None:
    assert bench.target.name == "kafka.example.com A"


def test_values_are_sorted_and_only_for_configured_regions(bench: Bench) -> None:
    assert bench.target.values_for(TAIPEI) == ("10.0.0.1", "10.0.0.2")
    assert bench.target.values_for(TOKYO) == ("10.1.0.1",)
    with pytest.raises(RefusedError, match="eu-west-1"):
        bench.target.values_for("eu-west-1")


def test_it_observes_what_is_set_and_what_its_servers_answer(bench: Bench) -> None:
    assert bench.target.observe() == RecordSet(("10.0.0.1", "10.0.0.2"), 5)
    answers = bench.target.answers()
    assert answers
    assert set(answers.values()) == {("10.0.0.1", "10.0.0.2")}


def test_a_switch_is_seen_by_everybody_once_it_is_in_sync(bench: Bench) -> None:
    change = bench.target.switch(bench.target.observe(), TOKYO)
    eventually(lambda: bench.target.is_in_sync(change), timeout_seconds=10, because="changes get in sync")
    assert bench.again.observe() == RecordSet(("10.1.0.1",), 5)
    assert set(bench.target.answers().values()) == {("10.1.0.1",)}


def test_a_switch_and_back(bench: Bench) -> None:
    before = bench.target.observe()
    for _ in range(2):
        for region in (TOKYO, TAIPEI):
            change = bench.target.switch(bench.target.observe(), region)
            asked = [bench.target.is_in_sync(change) for _ in range(4)]
            assert asked[-1] is True
            assert asked == sorted(asked)
    assert bench.target.observe() == before


def test_a_record_that_somebody_changed_is_left_alone(bench: Bench) -> None:
    expected = bench.target.observe()
    bench.set_by_another("10.9.9.9")
    with pytest.raises(StalePlanError, match=r"10\.9\.9\.9"):
        bench.target.switch(expected, TOKYO)
    assert bench.target.observe() == RecordSet(("10.9.9.9",), 5)


def test_a_record_that_somebody_removed_is_not_made_again(bench: Bench) -> None:
    expected = bench.target.observe()
    bench.remove()
    with pytest.raises(StalePlanError):
        bench.target.switch(expected, TOKYO)
    assert bench.target.observe().values == ()


def test_where_nothing_was_it_is_created(bench: Bench) -> None:
    bench.remove()
    nothing = bench.target.observe()
    assert nothing == RecordSet((), 0)
    bench.target.switch(nothing, TOKYO)
    assert bench.target.observe() == RecordSet(("10.1.0.1",), 5)


def test_where_something_appeared_it_is_not_created(bench: Bench) -> None:
    bench.remove()
    nothing = bench.target.observe()
    bench.set_by_another("10.9.9.9")
    with pytest.raises(StalePlanError):
        bench.target.switch(nothing, TOKYO)
    assert bench.target.observe() == RecordSet(("10.9.9.9",), 5)


def test_an_expectation_that_was_never_true_changes_nothing(bench: Bench) -> None:
    with pytest.raises(StalePlanError):
        bench.target.switch(RecordSet(("10.0.0.1",), 5), TOKYO)
    with pytest.raises(StalePlanError):
        bench.target.switch(RecordSet(("10.0.0.1", "10.0.0.2"), 6), TOKYO)
    assert bench.target.observe() == RecordSet(("10.0.0.1", "10.0.0.2"), 5)


def test_of_two_that_switch_one_wins(bench: Bench) -> None:
    seen = [bench.target.observe(), bench.again.observe()]
    start = threading.Barrier(2)

    def run(racer: int) -> bool:
        start.wait(timeout=10)
        try:
            (bench.target, bench.again)[racer].switch(seen[racer], TOKYO)
        except StalePlanError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(run, range(2))) == [False, True]
