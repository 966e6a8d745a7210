"""The status of a service in memory."""

from __future__ import annotations

from collections.abc import Mapping

from drkit.domain.health import Expectation, Role, Unreachable
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.lag import AtMost, Exactly, MirrorLag, NotKnown
from drkit.domain.replay import ReplayExposure
from drkit.domain.scope import NameFilter
from drkit.domain.status import NotRead, RedirectStatus
from drkit.errors import DrkitError, UnreachableError
from drkit.ports import RecordSet
from drkit.verification.health_check import HealthCheck, HealthSettings
from drkit.verification.lag_check import LagCheck
from drkit.verification.status_check import ReplayCheck, StatusCheck
from tests.fakes.clock import FakeClock
from tests.unit.verification.memory_region import CANARY, MemoryConnect, MemoryRegion

P = TopicPartition("shop.orders", 0)
TOPICS = NameFilter((r"shop\..*",))


class Redirect:
    """A record that points where ``values`` say."""

    name = "kafka.shop"

    def __init__(self, values: tuple[str, ...], failure: DrkitError | None = None) -> None:
        self._values = values
        self._failure = failure

    def values_for(self, region: str) -> tuple[str, ...]:
        return (f"address of {region}",)

    def observe(self) -> RecordSet:
        if self._failure:
            raise self._failure
        return RecordSet(self._values, 5)

    def answers(self) -> Mapping[str, tuple[str, ...]]:
        return {"ns1": self._values, "ns2": ()}


class Service:
    """Two regions with one mirrored partition."""

    def __init__(self) -> None:
        self.source, self.target = MemoryRegion("a"), MemoryRegion("b", fenced=True)
        self.source.add(P, ["x", "y", "z"])
        self.source.committed = {"g": {P: 3, TopicPartition("other", 0): 9}, "drkit.own": {P: 3}}
        self.seen: GroupOffsets = {"g": {P: 1}}
        self.offsets = {"exact": 1}
        self.connect = MemoryConnect({P: 1})
        self.redirect = Redirect(("address of a",))

    def check(self) -> StatusCheck:
        groups = NameFilter((".*",), (r"drkit\..*",))
        return StatusCheck(
            project="shop",
            environment="staging",
            primary="a",
            standby="b",
            checks=[self._health(self.source, Role.PRIMARY), self._health(self.target, Role.STANDBY)],
            lag=LagCheck(self.source, self.connect, "src", TOPICS, FakeClock()),
            replay=ReplayCheck(self.source, groups, TOPICS, lambda: self.seen),
            offsets=lambda: self.offsets,
            redirects=[self.redirect],
            clock=FakeClock(),
        )

    def _health(self, region: MemoryRegion, role: Role) -> HealthCheck:
        settings = HealthSettings(Expectation(role, "id"), CANARY, TOPICS, samples=1)
        return HealthCheck(region, None, None, (), FakeClock(), settings)


def test_everything_is_collected() -> None:
    status = Service().check().run()
    assert isinstance(status.lag, MirrorLag)
    assert status.lag.records == Exactly(1)
    assert isinstance(status.replay, ReplayExposure)
    assert status.replay.groups == {"g": AtMost(2)}
    redirect = status.redirects["kafka.shop"]
    assert isinstance(redirect, RedirectStatus)
    assert (redirect.points_at, redirect.agreeing) == ("a", 1)
    assert set(status.regions) == {"a", "b"}


def test_nothing_is_written() -> None:
    service = Service()
    service.check().run()
    assert "probe_write" not in service.source.calls + service.target.calls


def test_a_dead_primary_is_waited_for_once() -> None:
    service = Service()
    service.source.die()
    status = service.check().run()
    assert isinstance(status.regions["a"].verdict, Unreachable)
    assert isinstance(status.lag, MirrorLag)
    assert isinstance(status.lag.records, NotKnown)
    assert isinstance(status.replay, ReplayExposure)
    assert isinstance(status.replay.records, NotKnown)
    assert service.source.calls == ["describe_cluster"]


def test_what_cannot_be_read_is_shown_as_such() -> None:
    service = Service()
    service.connect.failure = UnreachableError("Connect does not answer")
    service.redirect = Redirect((), UnreachableError("throttled"))
    status = service.check().run()
    assert status.lag == NotRead("Connect does not answer")
    assert status.redirects == {"kafka.shop": NotRead("throttled")}


def test_a_record_that_points_at_neither_region() -> None:
    service = Service()
    service.redirect = Redirect(("elsewhere",))
    redirect = service.check().run().redirects["kafka.shop"]
    assert isinstance(redirect, RedirectStatus)
    assert redirect.points_at is None
