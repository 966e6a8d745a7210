"""Samples of a region in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from drkit.domain.health import Degraded, Expectation, Healthy, Problem, Role, Unknown, Unreachable
from drkit.domain.kafka import PartitionDescription, TopicDescription, TopicPartition
from drkit.domain.scope import NameFilter
from drkit.errors import AuthError, DrkitError, UnreachableError
from drkit.ports import ConnectorState, ConnectorStatus, HealthProbe, ProbeStatus
from drkit.verification.health_check import HealthCheck, HealthSettings, MirrorWatch, check_all, partition_states
from drkit.verification.lag_check import LagCheck
from tests.fakes.clock import FakeClock
from tests.fakes.probes import FakeProbe
from tests.unit.verification.memory_region import CANARY, MemoryConnect, MemoryRegion

RUNNING, FAILED = ConnectorState.RUNNING, ConnectorState.FAILED
SCOPE = NameFilter((r"shop\..*",))
P = TopicPartition("shop.orders", 0)
HEARTBEATS = TopicPartition("a.heartbeats", 0)


def check(
    region: MemoryRegion,
    role: Role = Role.PRIMARY,
    *,
    mirror: MirrorWatch | None = None,
    probes: tuple[HealthProbe, ...] = (),
    canary: bool = True,
    samples: int = 3,
    clock: FakeClock | None = None,
) -> HealthCheck:
    settings = HealthSettings(Expectation(role, "id"), CANARY, SCOPE, samples=samples, interval_seconds=1.5)
    return HealthCheck(region, region if canary else None, mirror, probes, clock or FakeClock(), settings)


def problems(health: object) -> list[Problem]:
    return [finding.problem for finding in health.verdict.findings]  # type: ignore[attr-defined]


def test_a_healthy_primary_is_sampled_as_often_as_configured() -> None:
    region, clock = MemoryRegion("a"), FakeClock()
    health = check(region, clock=clock, probes=(FakeProbe("app"),)).run()
    assert health.verdict == Healthy()
    assert len(health.samples) == 3
    assert clock.slept_seconds == [1.5, 1.5]
    assert region.logs[TopicPartition(CANARY, 0)].end == 3
    assert health.is_fenced is False


def test_a_fenced_standby_is_alive_and_fenced() -> None:
    region = MemoryRegion("b", fenced=True)
    health = check(region, Role.STANDBY).run()
    assert health.verdict == Healthy()
    assert health.is_fenced is True


def test_a_dry_run_writes_no_canary() -> None:
    region = MemoryRegion("a")
    health = check(region, canary=False).run()
    assert health.verdict == Healthy()
    assert "probe_write" not in region.calls
    assert health.is_fenced is None


def test_a_dead_region_is_asked_once_per_sample() -> None:
    region = MemoryRegion("a")
    region.die()
    health = check(region, probes=(FakeProbe("app", [ProbeStatus.UNREACHABLE]),)).run()
    assert isinstance(health.verdict, Unreachable)
    assert region.calls == ["describe_cluster"] * 3


def test_one_sample_is_enough_that_agrees_with_those_of_a_moment_ago() -> None:
    region, clock = MemoryRegion("a"), FakeClock()
    before = check(region).run()
    again = replace(check(region, clock=clock), earlier=before.samples).run()
    assert (len(again.samples), clock.slept_seconds) == (4, [])


def test_samples_of_another_time_do_not_count() -> None:
    region, clock = MemoryRegion("a"), FakeClock()
    before = check(region).run()
    region.die()
    now = replace(check(region, clock=clock), earlier=before.samples).run()
    assert isinstance(now.verdict, Unreachable)
    assert (len(now.samples), clock.slept_seconds) == (3, [1.5, 1.5])


def test_refused_credentials_are_no_sign_of_death() -> None:
    health = check(MemoryRegion("a", failure=AuthError("wrong password"))).run()
    assert isinstance(health.verdict, Unknown)
    assert problems(health) == [Problem.FLAPPING, Problem.CREDENTIALS]


def test_another_cluster_gets_no_canary() -> None:
    region = MemoryRegion("a", cluster_id_="other")
    assert isinstance(check(region).run().verdict, Unknown)
    assert "probe_write" not in region.calls


class Flapping(MemoryRegion):
    """Does not answer the first question."""

    def describe_cluster(self) -> object:  # type: ignore[override]
        self.failure = UnreachableError("timed out") if not self.calls else None
        return super().describe_cluster()


def test_one_silent_sample_of_three_is_flapping() -> None:
    health = check(Flapping("a")).run()
    assert isinstance(health.verdict, Degraded)
    assert problems(health) == [Problem.FLAPPING, Problem.NO_ANSWER]


class Garbling(MemoryRegion):
    """Gives back something else than was written."""

    def read(self, *args: object, **kwargs: object) -> Iterator[object]:  # type: ignore[override]
        return iter(())


def test_a_canary_that_does_not_come_back_has_failed() -> None:
    assert problems(check(Garbling("a")).run()) == [Problem.CANARY_FAILED]


class ReadOnly(MemoryRegion):
    def probe_write(self, topic: str, value: bytes) -> object:  # type: ignore[override]
        raise DrkitError("not enough replicas")


def test_a_canary_that_cannot_be_written_has_failed() -> None:
    health = check(ReadOnly("a")).run()
    assert problems(health) == [Problem.CANARY_FAILED]
    assert "not enough replicas" in health.verdict.findings[0].detail


def topic(*partitions: PartitionDescription, **configs: str) -> TopicDescription:
    return TopicDescription(P.topic, "", partitions, {key.replace("_", "."): value for key, value in configs.items()})


@pytest.mark.parametrize(
    ("partition", "required", "kind"),
    [
        (PartitionDescription(0, 1, (1, 2, 3), (1, 2, 3)), "2", None),
        (PartitionDescription(0, 1, (1, 2, 3), (1, 2)), "2", "under_replicated"),
        (PartitionDescription(0, 1, (1, 2, 3), (1,)), "2", "below_min_isr"),
        (PartitionDescription(0, None, (1, 2, 3), ()), "2", "leaderless"),
        # The broker clamps the minimum to the replica count.
        (PartitionDescription(0, 1, (1,), (1,)), "2", None),
    ],
)
def test_states_of_partitions(partition: PartitionDescription, required: str, kind: str | None) -> None:
    states = partition_states({P.topic: topic(partition, min_insync_replicas=required)})
    found = {name: getattr(states, name) for name in ("leaderless", "below_min_isr", "under_replicated")}
    assert {name for name, partitions in found.items() if partitions == (P,)} == ({kind} if kind else set())
    assert states.total == 1


def test_only_partitions_in_scope_are_looked_at() -> None:
    region = MemoryRegion("a")
    region.add(TopicPartition("other", 0), [])
    region.partitions["other"] = (PartitionDescription(0, None, (1,), ()),)
    assert check(region).run().verdict == Healthy()
    region.add(P, [])
    region.partitions[P.topic] = (PartitionDescription(0, None, (1,), ()),)
    assert problems(check(region).run()) == [Problem.LEADERLESS]


def watch(connect: MemoryConnect, source: MemoryRegion) -> MirrorWatch:
    lag = LagCheck(source, connect, "src", SCOPE, FakeClock())
    return MirrorWatch(connect, "src", ("cp",), HEARTBEATS.topic, lag)


def mirrored() -> tuple[MemoryRegion, MemoryRegion, MemoryConnect]:
    """A source with one record left to mirror, its standby with a heartbeat, and the mirror between them."""
    source, target = MemoryRegion("a"), MemoryRegion("b", fenced=True)
    source.add(P, ["x", "y"])
    target.add(HEARTBEATS, ["beat", None], at_ms=int(FakeClock().now().timestamp() * 1000) - 4000)
    statuses = {"src": ConnectorStatus("src", RUNNING, (RUNNING, RUNNING)), "cp": ConnectorStatus("cp", RUNNING)}
    return source, target, MemoryConnect({P: 0}, statuses)


def test_a_mirror_at_work() -> None:
    source, target, connect = mirrored()
    health = check(target, Role.STANDBY, mirror=watch(connect, source), samples=1).run()
    assert health.verdict == Healthy()
    assert health.mirror is not None
    assert (health.mirror.heartbeat_age_seconds, health.mirror.records_left_at_most) == (4.0, 1)


def test_a_failed_task_behind_a_running_connector_is_seen() -> None:
    source, target, connect = mirrored()
    connect.statuses["src"] = ConnectorStatus("src", RUNNING, (RUNNING, FAILED), "OutOfMemoryError")
    health = check(target, Role.STANDBY, mirror=watch(connect, source)).run()
    assert problems(health) == [Problem.TASK_FAILED]
    assert "OutOfMemoryError" in health.verdict.findings[0].detail


def test_connect_that_does_not_answer_is_a_problem_of_the_region_that_it_runs_in() -> None:
    source, target, connect = mirrored()
    connect.failure = UnreachableError("connection refused")
    assert problems(check(target, Role.STANDBY, mirror=watch(connect, source)).run()) == [Problem.MIRROR_UNREADABLE]


def test_a_silent_source_is_no_problem_of_the_target() -> None:
    source, target, connect = mirrored()
    source.die()
    health = check(target, Role.STANDBY, mirror=watch(connect, source)).run()
    assert health.verdict == Healthy()
    assert health.mirror is not None
    assert health.mirror.records_left_at_most is None


def test_heartbeats_may_be_missing() -> None:
    source, target, connect = mirrored()
    del target.logs[HEARTBEATS]
    health = check(target, Role.STANDBY, mirror=watch(connect, source)).run()
    assert health.verdict == Healthy()
    assert health.mirror is not None
    assert health.mirror.heartbeat_age_seconds is None


def test_regions_are_checked_side_by_side() -> None:
    dead, alive = MemoryRegion("a"), MemoryRegion("b", fenced=True)
    dead.die()
    found = check_all([check(dead), check(alive, Role.STANDBY)])
    assert isinstance(found["a"].verdict, Unreachable)
    assert found["b"].verdict == Healthy()
