"""Health probes against servers that are well, ill, slow, or not there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

from drkit.adapters.local.probes import HttpHealthProbe
from drkit.errors import ConfigError
from drkit.ports import ProbeAnswer, ProbeStatus
from tests.fakes.http_server import Responder, ScriptedHttpServer, drip, hang_up, http_server, reply, silence
from tests.waiting import eventually

ACTUATOR = "application/vnd.spring-boot.actuator.v3+json"


@pytest.fixture(scope="module")
def service() -> Iterator[ScriptedHttpServer]:
    with http_server(reply(200)) as server:
        yield server


def _ask(service: ScriptedHttpServer, responder: Responder, *, seconds: float = 5) -> ProbeAnswer:
    service.reset(responder)
    return HttpHealthProbe("orders", f"{service.url}/actuator/health?group=x", seconds=seconds).ask()


@pytest.mark.parametrize("content_type", [ACTUATOR, "application/json"])
@pytest.mark.parametrize(
    ("http_status", "status", "expected"),
    [
        (200, "UP", ProbeStatus.UP),
        (503, "DOWN", ProbeStatus.DOWN),
        (503, "OUT_OF_SERVICE", ProbeStatus.DOWN),
        (200, "UNKNOWN", ProbeStatus.DOWN),
        (200, "DOWN", ProbeStatus.DOWN),
        (503, "UP", ProbeStatus.DOWN),
    ],
)
def test_an_actuator(
    service: ScriptedHttpServer, content_type: str, http_status: int, status: str, expected: ProbeStatus
) -> None:
    body = json.dumps({"status": status, "components": {"db": {"status": "UP"}}})
    answer = _ask(service, reply(http_status, body, content_type=content_type))
    assert answer == ProbeAnswer("orders", expected, f"HTTP {http_status}, status {status}")


def test_what_is_asked(service: ScriptedHttpServer) -> None:
    _ask(service, reply(200))
    (request,) = service.requests
    assert (request.method, request.target) == ("GET", "/actuator/health?group=x")
    assert "spring-boot.actuator" in request.headers["accept"]


@pytest.mark.parametrize(
    ("http_status", "body", "content_type", "expected"),
    [
        (200, "pong", "text/plain", ProbeStatus.UP),
        (204, "", "text/plain", ProbeStatus.UP),
        (200, '{"status": "ok"}', "application/json", ProbeStatus.UP),
        (200, '{"status": {"code": "DOWN"}}', "application/json", ProbeStatus.UP),
        (200, "[" * 100_000, "application/json", ProbeStatus.UP),
        (404, "nothing here", "text/plain", ProbeStatus.DOWN),
        (401, "", "text/plain", ProbeStatus.DOWN),
        (500, "<html>", "text/html", ProbeStatus.DOWN),
        (200, '{"status": "FATAL"}', ACTUATOR, ProbeStatus.DOWN),
        (200, "{}", ACTUATOR, ProbeStatus.DOWN),
        (200, '{"status": "UP"', ACTUATOR, ProbeStatus.DOWN),
    ],
)
def test_any_url(
    service: ScriptedHttpServer, http_status: int, body: str, content_type: str, expected: ProbeStatus
) -> None:
    answer = _ask(service, reply(http_status, body, content_type=content_type))
    assert answer.status is expected
    assert f"HTTP {http_status}" in answer.detail


def test_redirects_are_not_followed(service: ScriptedHttpServer) -> None:
    answer = _ask(service, reply(302, Location=f"{service.url}/login"))
    assert answer.status is ProbeStatus.DOWN
    assert "redirects are not followed" in answer.detail
    assert len(service.requests) == 1


def test_a_large_page_is_up_but_a_large_actuator_is_not_believed(service: ScriptedHttpServer) -> None:
    page = b'{"status": "UP", "padding": "' + b"x" * 1_000_000 + b'"}'
    assert _ask(service, reply(200, page, content_type="text/html")).status is ProbeStatus.UP
    assert _ask(service, reply(200, page, content_type=ACTUATOR)).status is ProbeStatus.DOWN


def test_nobody_listens() -> None:
    with http_server(reply(200)) as server:
        pass
    answer = HttpHealthProbe("orders", server.url, seconds=2).ask()
    assert answer.status is ProbeStatus.UNREACHABLE
    assert "refused" in answer.detail


def test_a_name_that_does_not_exist() -> None:
    answer = HttpHealthProbe("orders", "http://no-such-host.invalid/", seconds=2).ask()
    assert answer.status is ProbeStatus.UNREACHABLE


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    "responder",
    [
        silence(10),
        drip(HEAD, b"x", every_seconds=0.05, drops=200),
        drip(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n", every_seconds=0.05, drops=200),
        drip(b"", b"H", every_seconds=0.05, drops=200),
    ],
    ids=["silent", "body in drops", "headers in drops", "status in drops"],
)
def test_the_deadline_is_for_the_whole_exchange(service: ScriptedHttpServer, responder: Responder) -> None:
    started = time.monotonic()
    answer = _ask(service, responder, seconds=0.3)
    assert 0.25 < time.monotonic() - started < 1.5
    assert answer.status is ProbeStatus.UNREACHABLE
    assert "0.3 s" in answer.detail or "timed out" in answer.detail
    eventually(
        lambda: "probe orders" not in {thread.name for thread in threading.enumerate()},
        timeout_seconds=2,
        because="nobody goes on listening to an answer that came too late",
        every=0.02,
    )


@pytest.mark.parametrize(
    "responder",
    [
        hang_up,
        drip(b"", b"SSH-2.0-OpenSSH_9.6\r\n", every_seconds=0, drops=1),
        drip(HEAD, b"cut", every_seconds=0, drops=1),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n", every_seconds=0, drops=1),
        drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, b"\r\n", every_seconds=0, drops=1),
    ],
    ids=["reset", "no HTTP", "cut body", "broken chunks", "too many headers"],
)
def test_a_broken_answer_is_none(service: ScriptedHttpServer, responder: Responder) -> None:
    assert _ask(service, responder).status is ProbeStatus.UNREACHABLE


def test_what_it_says_is_made_printable(service: ScriptedHttpServer) -> None:
    body = json.dumps({"status": "\x1b[31mDOWN\n" + "x" * 1000})
    answer = _ask(service, reply(200, body, content_type=ACTUATOR))
    assert answer.status is ProbeStatus.DOWN
    assert answer.detail.isprintable()
    assert len(answer.detail) <= 200


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc/passwd", "http://", "//x", "orders:8080", "http://x:99999/"])
def test_a_url_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(ConfigError):
        HttpHealthProbe("orders", url, seconds=1)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        HttpHealthProbe("orders", "https://admin:hunter2@orders.example.com/health", seconds=1)
    assert "hunter2" not in caught.value.message
