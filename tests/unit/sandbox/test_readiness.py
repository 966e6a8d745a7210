"""When a Kafka Connect worker counts as started."""

from __future__ import annotations

import pytest

from drkit.sandbox.readiness import worker_is_ready
from tests.fakes.http_server import Responder, hang_up, http_server, reply, reply_json

OLD = reply_json(404, {"error_code": 404, "message": "HTTP 404 Not Found"})


@pytest.mark.parametrize(
    ("answers", "is_ready"),
    [
        ([reply_json(200, {"status": "healthy"})], True),
        ([reply_json(503, {"status": "starting"})], False),
        ([reply_json(500, {"status": "unhealthy"})], False),
        ([hang_up], False),
        ([OLD, reply_json(200, [])], True),
        ([OLD, reply(404, "<html>")], False),
        ([reply(404, "<html>"), reply(404, "<html>")], False),
    ],
    ids=["healthy", "starting", "unhealthy", "no answer", "before 3.9", "before 3.9, not yet", "no paths yet"],
)
def test_a_worker_is_ready_when_it_says_so(answers: list[Responder], *, is_ready: bool) -> None:
    with http_server(reply(500)) as server:
        server.on_next(*answers)
        assert worker_is_ready(server.url) is is_ready


def test_nobody_is_not_ready() -> None:
    assert not worker_is_ready("http://127.0.0.1:1")
