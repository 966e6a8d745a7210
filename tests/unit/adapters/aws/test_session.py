"""Credentials, accounts, clocks: what a session says about them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from drkit.adapters.aws.session import AwsSession, is_loopback
from drkit.errors import AuthError, ConfigError, DrkitError, RefusedError, UnreachableError
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import ScriptedHttpServer, aws_error, drip, http_server, reply

REGION = "ap-southeast-1"
CALLER = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn>"
    "<UserId>AID</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)


@pytest.fixture(autouse=True)
def _alone(no_aws_identity: None) -> None:
    """No credentials of this machine."""


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedHttpServer]:
    with http_server(reply(200, CALLER)) as one:
        yield one


@pytest.fixture
def sts(server: ScriptedHttpServer) -> ScriptedHttpServer:
    server.reset(reply(200, CALLER, content_type="text/xml"))
    return server


def _session(endpoint_url: str | None, *, account_id: str | None = None, seconds: float = 5) -> AwsSession:
    return AwsSession(
        FakeClock(), region=REGION, endpoint_url=endpoint_url, account_id=account_id, request_seconds=seconds
    )


def _failure(session: AwsSession) -> DrkitError:
    with pytest.raises(DrkitError) as caught:
        session.check_account()
    return caught.value


def test_the_account_is_told(sts: ScriptedHttpServer) -> None:
    assert _session(sts.url).check_account() == "123456789012"
    assert _session(sts.url, account_id="123456789012").check_account() == "123456789012"


def test_another_account_is_refused(sts: ScriptedHttpServer) -> None:
    error = _failure(_session(sts.url, account_id="999999999999"))
    assert type(error) is RefusedError
    assert "123456789012" in error.message
    assert "999999999999" in error.message


def test_a_simulation_on_this_machine_gets_made_up_credentials(sts: ScriptedHttpServer) -> None:
    _session(sts.url).check_account()
    assert "Credential=simulated/" in sts.requests[0].headers["authorization"]


def test_credentials_that_are_there_are_used_for_a_simulation_too(
    sts: ScriptedHttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    _session(sts.url).check_account()
    assert "Credential=AKIAREAL/" in sts.requests[0].headers["authorization"]


def test_no_other_endpoint_gets_made_up_credentials() -> None:
    for endpoint_url in (None, "http://192.0.2.1:4566", "https://aws.example.com"):
        error = _failure(_session(endpoint_url, seconds=0.5))
        assert type(error) is AuthError
        assert "credentials" in error.message.lower()
        assert "sign in" in error.hint


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    sts: ScriptedHttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert _session(sts.url).check_account() == "123456789012"


def test_a_profile_that_does_not_exist(sts: ScriptedHttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    error = _failure(_session(sts.url))
    assert type(error) is AuthError
    assert "no-such-profile" in error.message


def test_a_profile_with_half_a_key(sts: ScriptedHttpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKIAHALF\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    error = _failure(_session(sts.url))
    assert type(error) is AuthError


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "ExpiredToken", "expired"),
        (403, "InvalidClientTokenId", "InvalidClientTokenId"),
        (403, "SignatureDoesNotMatch", "SignatureDoesNotMatch"),
        (403, "AccessDenied", "AccessDenied"),
        (400, "OptInRequired", "OptInRequired"),
        (403, "SomethingNew", "SomethingNew"),
    ],
)
def test_refused_credentials(sts: ScriptedHttpServer, status: int, code: str, said: str) -> None:
    sts.default = aws_error(status, code, "The security token included in the request is unusable")
    error = _failure(_session(sts.url))
    assert type(error) is AuthError
    assert said in error.message
    assert error.hint
    assert len(sts.requests) == 1


@pytest.mark.parametrize(("minutes", "side"), [(17, "behind"), (-17, "ahead of")])
def test_a_wrong_clock_is_named_with_its_error(sts: ScriptedHttpServer, minutes: int, side: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    sts.default = aws_error(403, "RequestTimeTooSkewed", "The difference is too large", Date=date)
    error = _failure(_session(sts.url))
    assert type(error) is AuthError
    assert side in error.message
    assert any(f"{seconds} s" in error.message for seconds in range(1015, 1026))
    assert "clock" in error.hint


def test_a_wrong_clock_is_recognized_where_the_signature_is_blamed(sts: ScriptedHttpServer) -> None:
    sts.default = aws_error(403, "SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than")
    assert "clock" in _failure(_session(sts.url)).message


def test_throttling_is_waited_out_and_then_named(sts: ScriptedHttpServer) -> None:
    sts.on_next(aws_error(400, "Throttling", "Rate exceeded"), aws_error(400, "Throttling", "Rate exceeded"))
    assert _session(sts.url).check_account() == "123456789012"
    sts.default = aws_error(400, "Throttling", "Rate exceeded")
    error = _failure(_session(sts.url))
    assert isinstance(error, UnreachableError)
    assert "Rate exceeded" in error.message


def test_what_is_not_aws(sts: ScriptedHttpServer) -> None:
    sts.default = reply(200, "<html><p>Welcome", content_type="text/html")
    error = _failure(_session(sts.url))
    assert isinstance(error, UnreachableError)
    assert "proxy" in error.hint


def test_a_region_that_cannot_be_one(sts: ScriptedHttpServer) -> None:
    session = AwsSession(FakeClock(), region="ap east 2", endpoint_url=sts.url)
    assert type(_failure(session)) is RefusedError


@pytest.mark.parametrize(
    "url", ["127.0.0.1:4566", "ftp://127.0.0.1", "http://", "http://user:pw@127.0.0.1", "http://a b"]
)
def test_an_endpoint_that_is_no_url(url: str) -> None:
    with pytest.raises(ConfigError, match="endpoint_url"):
        _session(url)


def test_clients_are_made_once(sts: ScriptedHttpServer) -> None:
    session = _session(sts.url)
    assert session.s3() is session.s3(REGION)
    assert session.s3() is not session.s3("eu-west-1")
    assert session.route53() is session.route53()


def test_real_endpoints_are_regional() -> None:
    assert _session(None).s3("us-east-1").meta.endpoint_url == "https://s3.us-east-1.amazonaws.com"
    assert _session(None).sts().meta.endpoint_url == "https://sts.ap-southeast-1.amazonaws.com"
    assert _session(None).route53().meta.endpoint_url == "https://route53.amazonaws.com"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.77.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("aws.localhost", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_what_is_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_every_client_has_the_configured_timeouts_and_never_retries_by_itself(sts: ScriptedHttpServer) -> None:
    session = _session(sts.url, seconds=7)
    for client in (session.s3(), session.route53(), session.sts()):
        config: Any = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (3, 7)
        assert config.retries["total_max_attempts"] == 1


@pytest.mark.parametrize("dripped", [b"HTTP/1.1 200 OK\r\n", b""])
def test_an_answer_in_drops_is_bounded_as_a_whole(sts: ScriptedHttpServer, dripped: bytes) -> None:
    """Each drop comes within the socket's timeout."""
    sts.default = drip(dripped, b"X-More: 1\r\n" if dripped else b"H", every_seconds=0.1, drops=100)
    started = time.monotonic()
    error = _failure(_session(sts.url, seconds=0.5))
    assert isinstance(error, UnreachableError)
    assert time.monotonic() - started < 3


def test_a_command_that_gives_credentials_and_hangs_is_not_waited_for(
    sts: ScriptedHttpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\ncredential_process = sleep 10\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    session = AwsSession(FakeClock(), region=REGION, endpoint_url=sts.url, request_seconds=0.5, setup_seconds=0.5)
    started = time.monotonic()
    error = _failure(session)
    assert isinstance(error, UnreachableError)
    assert "set up the sts client" in error.message
    assert time.monotonic() - started < 5
