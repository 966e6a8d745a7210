"""Whole moves while Route 53 is throttled, slow or down, over HTTP: before the record is changed, and after."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from socket import socket

import pytest

from drkit.adapters.aws.record_values import from_route53
from drkit.adapters.aws.route53 import Route53Record
from drkit.adapters.aws.session import AwsSession
from drkit.config.models import Route53Target, Settings
from drkit.domain.lifecycle import Phase
from drkit.engine.step import Mode
from drkit.errors import ExitCode, RefusedError, StoppedError, UnknownOutcomeError
from tests.fakes.dns_server import FakeNameServer, dns_server
from tests.fakes.http_server import (
    Request,
    Responder,
    ScriptedHttpServer,
    aws_error,
    forward,
    hang_up,
    http_server,
    reply,
    silence,
)
from tests.fakes.move import FIRST, GROUP, Move, mirrored_service
from tests.fakes.service import SOURCE, TARGET, FakeService

VALUES: dict[str, tuple[str, ...]] = {SOURCE: ("10.0.0.1",), TARGET: ("10.1.0.1",)}
THROTTLED = aws_error(400, "Throttling", "Rate exceeded")
BEHIND_ANOTHER = aws_error(400, "PriorRequestNotComplete", "a change is under way")
DOWN = aws_error(503, "ServiceUnavailable", "later")


@dataclass
class Rig:
    """A service whose record is in a Route 53 that is spoken to over HTTP."""

    service: FakeService
    route53: ScriptedHttpServer
    whole: Responder
    session: AwsSession
    zone_id: str
    dns: FakeNameServer

    def on_changes(self, responder: Responder, *, times: int = 10**6) -> None:
        """Changes of records get another answer, so many times; everything else goes on."""
        left = [times]

        def answer(request: Request, connection: socket) -> None:
            is_change = request.method == "POST" and request.target.endswith("/rrset/")
            if is_change:
                left[0] -= 1
            (responder if is_change and left[0] >= 0 else self.whole)(request, connection)

        self.route53.default = answer

    def values(self) -> list[str]:
        """What the zone has, without drkit."""
        return _values(self.session, self.zone_id) or []


@pytest.fixture
def rig(moto_endpoint: str, no_aws_identity: None) -> Iterator[Rig]:
    service = mirrored_service()
    service.checkpoint(GROUP, FIRST, 10, downstream=10, at_ms=1)
    direct = AwsSession(service.clock, region="ap-northeast-1", endpoint_url=moto_endpoint)
    zone = direct.route53().create_hosted_zone(Name="example.com", CallerReference=uuid.uuid4().hex)["HostedZone"]["Id"]
    with _servers(moto_endpoint, direct, zone) as (route53, dns):
        session = AwsSession(service.clock, region="ap-northeast-1", endpoint_url=route53.url, request_seconds=1)
        target = Route53Target(
            kind="route53",
            zone_id=zone,
            zone_name="example.com",
            name="kafka.example.com",
            type="A",
            values=VALUES,
            nameservers=(dns.address,),
        )
        record = Route53Record(session, service.clock, target, busy_seconds=60)
        record.switch(record.observe(), SOURCE)
        service.world = replace(service.world, redirects=[record])
        yield Rig(service, route53, forward(moto_endpoint), direct, zone, dns)


@contextmanager
def _servers(moto_endpoint: str, direct: AwsSession, zone: str) -> Iterator[tuple[ScriptedHttpServer, FakeNameServer]]:
    with (
        http_server(forward(moto_endpoint)) as route53,
        dns_server(lambda _name, _type: _values(direct, zone)) as dns,
    ):
        yield route53, dns


def _values(session: AwsSession, zone: str) -> list[str] | None:
    listed = session.route53().list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    found = [one for one in listed if one["Name"].rstrip(".") == "kafka.example.com" and one["Type"] == "A"]
    return [from_route53("A", value["Value"]) for one in found for value in one["ResourceRecords"]] or None


def _at(service: FakeService, happening: Callable[[], object]) -> None:
    """In the middle of the run, when the positions are set on the target."""
    service.target.on_next("alter_group_offsets", happening)


@pytest.mark.parametrize("answer", [THROTTLED, BEHIND_ANOTHER], ids=["throttled", "behind another change"])
def test_a_busy_control_plane_is_waited_for(rig: Rig, answer: Responder) -> None:
    _at(rig.service, lambda: rig.on_changes(answer, times=8))
    assert Move(rig.service).run().phase is Phase.SUCCEEDED
    assert rig.values() == ["10.1.0.1"]


@pytest.mark.parametrize(
    "answer",
    [THROTTLED, BEHIND_ANOTHER, DOWN, aws_error(403, "AccessDenied", "no")],
    ids=["400", "prior", "503", "403"],
)
def test_a_planned_move_whose_record_cannot_be_changed_undoes_itself(rig: Rig, answer: Responder) -> None:
    _at(rig.service, lambda: rig.on_changes(answer))
    move = Move(rig.service, undo_on_failure=True)
    with pytest.raises(
        RefusedError, match=r"stopped at redirect: .*; everything that had been changed was undone"
    ) as caught:
        move.run()
    assert "by hand" not in caught.value.hint
    assert move.state.phase is Phase.UNDONE
    assert rig.values() == ["10.0.0.1"]
    assert rig.service.world.regions[SOURCE].fence.is_put() is False
    assert rig.service.world.regions[TARGET].fence.is_put() is True


@pytest.mark.parametrize("answer", [THROTTLED, DOWN, hang_up], ids=["throttled", "503", "broken"])
def test_a_control_plane_that_is_down_before_the_change_undoes_a_planned_move(rig: Rig, answer: Responder) -> None:
    _at(rig.service, lambda: setattr(rig.route53, "default", answer))
    move = Move(rig.service, undo_on_failure=True)
    with pytest.raises(RefusedError, match=r"stopped at redirect: .*; everything that had been changed was undone"):
        move.run()
    assert rig.values() == ["10.0.0.1"]
    assert rig.service.world.regions[SOURCE].fence.is_put() is False


@pytest.mark.parametrize("answer", [THROTTLED, DOWN, hang_up], ids=["throttled", "503", "broken"])
def test_a_control_plane_that_is_down_stops_a_run_that_is_kept_and_it_goes_on(rig: Rig, answer: Responder) -> None:
    _at(rig.service, lambda: setattr(rig.route53, "default", answer))
    move = Move(rig.service, undo_on_failure=False)
    with pytest.raises(StoppedError, match="stopped at redirect") as caught:
        move.run()
    assert caught.value.exit_code is ExitCode.STOPPED
    assert f"drkit resume {move.run_id} goes on" in caught.value.hint
    assert rig.values() == ["10.0.0.1"]
    rig.route53.default = rig.whole
    assert move.resume().phase is Phase.SUCCEEDED
    assert rig.values() == ["10.1.0.1"]


@pytest.mark.parametrize("answer", [DOWN, hang_up], ids=["503", "broken"])
def test_in_a_disaster_the_error_names_the_record_and_the_single_command_that_is_left(
    rig: Rig, answer: Responder
) -> None:
    rig.service.source.is_dark = True
    _at(rig.service, lambda: setattr(rig.route53, "default", answer))
    move = Move(rig.service, Mode.DISASTER, undo_on_failure=False)
    with pytest.raises(StoppedError, match="stopped at redirect") as caught:
        move.run()
    done = {name for name, step in move.state.steps.items() if step.is_done}
    assert {"cut", "translate-offsets", "promote"} <= done
    assert f"drkit resume {move.run_id} goes on" in caught.value.hint
    # By hand, in the console.
    rig.route53.default = rig.whole
    _set(rig, "10.1.0.1")
    assert move.resume().phase in (Phase.SUCCEEDED, Phase.VERIFICATION_MISSED)


def test_in_a_disaster_a_record_that_cannot_be_changed_is_named_with_its_type_and_value(rig: Rig) -> None:
    rig.service.source.is_dark = True
    _at(rig.service, lambda: rig.on_changes(DOWN))
    move = Move(rig.service, Mode.DISASTER)
    with pytest.raises(StoppedError) as caught:
        move.run()
    assert (
        "set by hand kafka.example.com A to 10.1.0.1 (in the AWS console: Route 53, hosted zones)" in caught.value.hint
    )
    assert f"then drkit resume {move.run_id} goes on" in caught.value.hint


@pytest.mark.parametrize("answer", [silence(2), hang_up, reply(200, "<html>")], ids=["silent", "broken", "not aws"])
def test_a_change_that_may_yet_be_made_is_not_undone(rig: Rig, answer: Responder) -> None:
    """Reads are answered, changes are not: exit 8 and two questions, and no fence is lifted."""
    _at(rig.service, lambda: rig.on_changes(answer))
    move = Move(rig.service, undo_on_failure=True)
    rig.service.world = replace(rig.service.world, settings=_quick(rig))
    with pytest.raises(
        UnknownOutcomeError, match=r"whether kafka\.example\.com A changes to 10\.1\.0\.1 is not known"
    ) as caught:
        move.run()
    assert "what is kafka.example.com A now, and has somebody else changed it?" in caught.value.hint
    assert f"drkit resume {move.run_id} looks again" in caught.value.hint
    assert rig.service.world.regions[SOURCE].fence.is_put() is True
    rig.route53.default = rig.whole
    assert move.resume().phase is Phase.SUCCEEDED


def test_a_change_whose_answer_is_lost_is_settled_and_made_once(rig: Rig, moto_endpoint: str) -> None:
    _at(rig.service, lambda: rig.on_changes(forward(moto_endpoint, lose_answer=True), times=1))
    assert Move(rig.service).run().phase is Phase.SUCCEEDED
    assert rig.values() == ["10.1.0.1"]


PENDING = (
    "<GetChangeResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status>"
    "<SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></GetChangeResponse>"
)


def _on_get_change(rig: Rig, responder: Responder) -> None:
    def answer(request: Request, connection: socket) -> None:
        (responder if "/change/" in request.target else rig.whole)(request, connection)

    rig.route53.default = answer


def test_a_change_that_is_pending_for_minutes_stays_and_is_waited_for_again(rig: Rig) -> None:
    _on_get_change(rig, reply(200, PENDING, content_type="text/xml"))
    move = Move(rig.service, undo_on_failure=True)
    with pytest.raises(
        StoppedError, match=r"gave up waiting for kafka.example.com A to be in sync; not undone"
    ) as caught:
        move.run()
    assert "the change was accepted and stays; drkit resume goes on waiting for it" in caught.value.hint
    assert rig.values() == ["10.1.0.1"]
    assert rig.service.world.regions[TARGET].fence.is_put() is False, "clients are on their way"
    rig.route53.default = rig.whole
    assert move.resume().phase is Phase.SUCCEEDED


@pytest.mark.parametrize("answer", [THROTTLED, DOWN, hang_up], ids=["throttled", "503", "broken"])
def test_after_the_change_was_accepted_the_name_servers_say_that_it_is_there(rig: Rig, answer: Responder) -> None:
    """Throttled and pending are the same; where nobody answers any more, the authority decides."""
    _on_get_change(rig, answer)
    move = Move(rig.service, undo_on_failure=True)
    if answer is THROTTLED:
        with pytest.raises(StoppedError, match="not undone"):
            move.run()
        rig.route53.default = rig.whole
        assert move.resume().phase is Phase.SUCCEEDED
        return
    assert move.run().phase is Phase.SUCCEEDED


def test_a_control_plane_that_dies_behind_the_change_does_not_undo_it(rig: Rig) -> None:
    died: list[bool] = []

    def answer(request: Request, connection: socket) -> None:
        (hang_up if died else rig.whole)(request, connection)
        if request.method == "POST":
            died.append(True)

    _at(rig.service, lambda: setattr(rig.route53, "default", answer))
    move = Move(rig.service, undo_on_failure=True)
    with pytest.raises(StoppedError, match=r"stopped at redirect: .*not undone: it is not known whether") as caught:
        move.run()
    assert f"drkit resume {move.run_id} goes on" in caught.value.hint
    assert rig.values() == ["10.1.0.1"]
    rig.route53.default = rig.whole
    assert move.resume().phase is Phase.SUCCEEDED


def _set(rig: Rig, value: str) -> None:
    batch = {
        "Changes": [
            {
                "Action": "UPSERT",
                "ResourceRecordSet": {
                    "Name": "kafka.example.com.",
                    "Type": "A",
                    "TTL": 60,
                    "ResourceRecords": [{"Value": value}],
                },
            }
        ]
    }
    rig.session.route53().change_resource_record_sets(HostedZoneId=rig.zone_id, ChangeBatch=batch)  # type: ignore[arg-type]


def _quick(rig: Rig) -> Settings:
    settings = rig.service.settings
    return settings.model_copy(update={"timeouts": settings.timeouts.model_copy(update={"redirect_seconds": 5.0})})
