"""What Kafka Connect's REST interface may answer, and a deadline on each answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import pytest

from drkit.adapters.connect.rest import ConnectCluster
from drkit.domain.kafka import TopicPartition
from drkit.errors import AuthError, DrkitError, RefusedError, UnreachableError
from drkit.ports import ConnectorState, ConnectorStatus
from tests.fakes.http_server import (
    ENDLESS,
    NO_ANSWERS,
    Responder,
    ScriptedHttpServer,
    hang_up,
    reply,
    reply_json,
    silence,
)

SECONDS: Final = 0.6
CALLS: Final[Mapping[str, Callable[[ConnectCluster], object]]] = {
    "cluster_id": lambda connect: connect.cluster_id(),
    "connectors": lambda connect: connect.connectors(),
    "status": lambda connect: connect.status("a"),
    "config": lambda connect: connect.config("a"),
    "source_offsets": lambda connect: connect.source_offsets("a"),
    "put": lambda connect: connect.put("a", {}),
    "stop": lambda connect: connect.stop("a"),
    "resume": lambda connect: connect.resume("a"),
    "restart_failed": lambda connect: connect.restart_failed("a"),
    "set_source_offsets": lambda connect: connect.set_source_offsets("a", "b", {TopicPartition("c", 0): 1}),
}
READS: Final = ("cluster_id", "connectors", "status", "config", "source_offsets")
WRITES: Final = ("put", "stop", "resume", "restart_failed", "set_source_offsets")

MISSING: Final = reply_json(404, {"error_code": 404, "message": "no connector"})
NO_PATH: Final = reply(404, "<html>Error 404 Not Found</html>")
"""Of a server that does not know its paths yet."""


def _cluster(server: ScriptedHttpServer, **options: Any) -> ConnectCluster:
    return ConnectCluster("here", server.url, SECONDS, **options)


def _status_document(**connector: str) -> dict[str, Any]:
    return {"name": "a", "connector": {"state": "RUNNING", "worker_id": "w", **connector}, "tasks": []}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *((name, hang_up) for name in CALLS),
        *((name, fault) for name in ("status", "put") for fault in (silence(3), ENDLESS)),
    ],
)
def test_every_call_ends_in_time(server: ScriptedHttpServer, name: str, fault: Responder) -> None:
    server.default = fault
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="here"):
        CALLS[name](_cluster(server))
    assert time.monotonic() - started < SECONDS + 1


def test_where_nobody_listens_it_is_unreachable() -> None:
    with pytest.raises(UnreachableError):
        ConnectCluster("here", "http://127.0.0.1:1", SECONDS).cluster_id()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_identity_is_an_authentication_error(server: ScriptedHttpServer, name: str, status: int) -> None:
    server.default = reply_json(status, {"message": "no"})
    with pytest.raises(AuthError):
        CALLS[name](_cluster(server))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("answer", NO_ANSWERS)
def test_what_is_no_answer_of_connect_is_refused(server: ScriptedHttpServer, name: str, answer: Responder) -> None:
    """Never taken for done."""
    server.default = answer
    with pytest.raises(RefusedError) as caught:
        CALLS[name](_cluster(server))
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        *((name, document) for name in READS for document in ([1], 7, "text")),
        ("cluster_id", {"version": "4"}),
        ("connectors", {"a": {"status": {"connector": 1}}}),
        ("connectors", {"a": {"info": {}}}),
        ("status", {"name": "a", "connector": {"state": "RUNNING"}}),
        ("source_offsets", {"offsets": 3}),
        ("source_offsets", {"offsets": [{"partition": {"filename": "x"}, "offset": {"position": 1}}]}),
    ],
)
def test_a_document_of_another_shape_is_refused(server: ScriptedHttpServer, name: str, document: object) -> None:
    server.default = reply_json(200, document)
    with pytest.raises(DrkitError) as caught:
        CALLS[name](_cluster(server))
    assert type(caught.value) is RefusedError


def test_a_state_that_drkit_does_not_know_is_refused(server: ScriptedHttpServer) -> None:
    server.default = reply_json(200, _status_document(state="HIBERNATING"))
    with pytest.raises(RefusedError, match="hibernating"):
        _cluster(server).status("a")


@pytest.mark.parametrize("name", WRITES)
def test_a_rebalance_is_waited_for(server: ScriptedHttpServer, name: str) -> None:
    server.default = reply_json(200, {})
    server.on_next(reply_json(409, {"message": "rebalance"}))
    CALLS[name](_cluster(server))
    assert len(server.requests) == 2
    assert server.requests[0] == server.requests[1]


def test_a_rebalance_that_does_not_end_is_refused_in_time(server: ScriptedHttpServer) -> None:
    server.default = reply_json(409, {"message": "rebalance"})
    started = time.monotonic()
    with pytest.raises(RefusedError, match="rebalance"):
        _cluster(server).stop("a")
    assert time.monotonic() - started < SECONDS + 1
    assert len(server.requests) > 1


@pytest.mark.parametrize("name", WRITES)
def test_what_is_not_there_cannot_be_changed(server: ScriptedHttpServer, name: str) -> None:
    server.default = MISSING
    with pytest.raises(RefusedError, match="has no"):
        CALLS[name](_cluster(server))


def test_the_first_line_of_the_first_failure_is_kept(server: ScriptedHttpServer) -> None:
    tasks = [
        {"id": 0, "state": "RUNNING", "worker_id": "w"},
        {"id": 1, "state": "FAILED", "worker_id": "w", "trace": "first line\nsecond line"},
    ]
    server.default = reply_json(200, {**_status_document(), "tasks": tasks})
    running, failed = ConnectorState.RUNNING, ConnectorState.FAILED
    assert _cluster(server).status("a") == ConnectorStatus("a", running, (running, failed), "first line")


def test_names_are_quoted_and_the_path_of_the_url_is_kept(server: ScriptedHttpServer) -> None:
    server.default = MISSING
    ConnectCluster("here", f"{server.url}/connect/", SECONDS).status("a/b ?#")
    assert [request.target for request in server.requests] == [
        "/connect/connectors/a%2Fb%20%3F%23/status",
        "/connect/health",
    ]


def test_credentials_are_sent_and_never_shown(server: ScriptedHttpServer) -> None:
    server.default = reply_json(401, {})
    cluster = _cluster(server, username="drkit", password="geheim")
    with pytest.raises(AuthError) as caught:
        cluster.stop("a")
    assert server.requests[0].headers["authorization"] == "Basic ZHJraXQ6Z2VoZWlt"
    assert "geheim" not in f"{cluster!r} {caught.value} {caught.value.hint}"


HEALTHY: Final = reply_json(200, {"status": "healthy", "message": "Worker has completed startup and is ready."})
STARTING: Final = reply_json(503, {"status": "starting", "message": "reading to the end of the config topic"})
UNHEALTHY: Final = reply_json(500, {"status": "unhealthy", "message": "ensuring membership in the cluster"})
MISTAKEN: Final = reply_json(200, {"status": "starting"})
MISNAMED: Final = reply_json(200, {"status": "UP"})


@pytest.mark.parametrize(
    ("name", "health"),
    [
        *((name, STARTING) for name in ("config", "source_offsets", *WRITES[1:])),
        *(
            ("status", health)
            for health in (NO_PATH, STARTING, UNHEALTHY, silence(3), reply_json(200, {"status": "starting"}))
        ),
    ],
)
def test_what_a_worker_that_is_not_ready_has_not_read_yet_is_not_taken_for_absent(
    server: ScriptedHttpServer, name: str, health: Responder
) -> None:
    server.on_next(MISSING)
    server.default = health
    started = time.monotonic()
    with pytest.raises(UnreachableError, match=r"here .* is not ready, and does not know its connectors"):
        CALLS[name](ConnectCluster("here", server.url, 0.25))
    assert time.monotonic() - started < 1
    assert {request.target for request in server.requests[1:]} == {"/health"}


def test_what_it_waits_for_is_told(server: ScriptedHttpServer) -> None:
    server.on_next(MISSING)
    server.default = STARTING
    with pytest.raises(UnreachableError, match="starting: reading to the end of the config topic"):
        ConnectCluster("here", server.url, 0.25).status("a")


@pytest.mark.parametrize("name", CALLS)
def test_a_server_that_does_not_know_its_paths_yet_is_waited_for(server: ScriptedHttpServer, name: str) -> None:
    server.default = NO_PATH
    with pytest.raises(UnreachableError, match="is not ready"):
        CALLS[name](ConnectCluster("here", server.url, 0.25))
    server.reset(NO_PATH)
    server.on_next(NO_PATH, NO_PATH, HEALTHY)
    server.default = reply_json(200, {"kafka_cluster_id": "k", "offsets": [], **_status_document()})
    with suppress(RefusedError):
        CALLS[name](_cluster(server))
    assert len(server.requests) > 3 - (name == "connectors")


@pytest.mark.parametrize("name", CALLS)
def test_a_404_that_is_not_of_kafka_connect_says_nothing(server: ScriptedHttpServer, name: str) -> None:
    """A proxy's, in front of a worker whose health it lets through."""
    server.on_next(*[HEALTHY] * (name == "connectors"), NO_PATH, HEALTHY)
    server.default = NO_PATH
    with pytest.raises(RefusedError, match="with what drkit cannot read") as caught:
        CALLS[name](_cluster(server))
    assert not isinstance(caught.value, UnreachableError)


def test_once_it_is_ready_it_is_asked_again(server: ScriptedHttpServer) -> None:
    """It may have become ready after it had answered."""
    server.on_next(MISSING, STARTING, HEALTHY)
    server.default = reply_json(200, _status_document())
    assert _cluster(server).status("a").state is ConnectorState.RUNNING
    assert [request.target for request in server.requests[1:3]] == ["/health", "/health"]


def test_a_ready_worker_is_believed(server: ScriptedHttpServer) -> None:
    server.on_next(MISSING, HEALTHY)
    server.default = MISSING
    assert _cluster(server).status("a").state is ConnectorState.ABSENT
    assert len(server.requests) == 3


def test_a_worker_that_is_not_ready_has_no_list_of_connectors(server: ScriptedHttpServer) -> None:
    """Its list is empty, or not complete yet."""
    server.default = STARTING
    with pytest.raises(UnreachableError, match="not ready"):
        ConnectCluster("here", server.url, 0.25).connectors()
    server.reset(reply_json(200, {}))
    server.on_next(HEALTHY)
    assert _cluster(server).connectors() == {}
    # Before Kafka 3.9 nobody can tell.
    server.reset(reply_json(200, {}))
    server.on_next(MISSING)
    assert _cluster(server).connectors() == {}


def test_a_health_that_is_refused_or_no_answer_of_connect_decides_nothing(server: ScriptedHttpServer) -> None:
    for answer, expected in (
        (reply_json(403, {}), AuthError),
        (MISNAMED, RefusedError),
        (reply(200, "<html>a proxy's</html>"), RefusedError),
    ):
        server.reset(answer)
        server.on_next(MISSING)
        with pytest.raises(expected):
            _cluster(server).status("a")
