"""What schema registries may answer, how they differ, and a deadline on each answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from drkit.adapters.registry.rest import RestRegistry
from drkit.domain.inventory import SchemaReference, SubjectVersion
from drkit.errors import AuthError, DrkitError, RefusedError, UnreachableError
from tests.fakes.http_server import (
    ENDLESS,
    NO_ANSWERS,
    Request,
    Responder,
    ScriptedHttpServer,
    hang_up,
    reply,
    reply_json,
    silence,
)
from tests.fakes.registry_server import APICURIO_PATH, Dialect, RegistryState

SECONDS: Final = 0.3
ORDER: Final = SubjectVersion("orders-value", 2, 7, "AVRO", '{"type": "string"}')
CALLS: Final[Mapping[str, Callable[[RestRegistry], object]]] = {
    "read": lambda registry: registry.read(),
    "register": lambda registry: registry.register(ORDER),
    "set_compatibility": lambda registry: registry.set_compatibility("orders-value", "FULL"),
}


def _registry(server: ScriptedHttpServer, path: str = "", **options: Any) -> RestRegistry:
    return RestRegistry("here", server.url + path, SECONDS, **options)


def _state(server: ScriptedHttpServer, dialect: Dialect = Dialect.CONFLUENT) -> RegistryState:
    server.default = state = RegistryState(dialect)
    return state


def _writes(server: ScriptedHttpServer) -> list[str]:
    return [f"{request.method} {request.target}" for request in server.requests if request.method != "GET"]


def _except(state: RegistryState, method: str, end: str, answer: Responder) -> Responder:
    def respond(request: Request, connection: Any) -> None:
        is_it = request.method == method and request.target.split("?")[0].endswith(end)
        (answer if is_it else state)(request, connection)

    return respond


@pytest.mark.parametrize("fault", [hang_up, silence(3), ENDLESS])
@pytest.mark.parametrize("name", CALLS)
def test_every_call_ends_in_time(server: ScriptedHttpServer, name: str, fault: Responder) -> None:
    server.default = fault
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="here"):
        CALLS[name](_registry(server))
    assert time.monotonic() - started < SECONDS + 1


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_identity_is_an_authentication_error(server: ScriptedHttpServer, name: str, status: int) -> None:
    server.default = reply_json(status, {"message": "no"})
    with pytest.raises(AuthError, match="here"):
        CALLS[name](_registry(server))


def test_credentials_are_sent_and_never_shown(server: ScriptedHttpServer) -> None:
    _state(server).credentials = "Basic ZHJraXQ6Z2VoZWlt"
    registry = _registry(server, username="drkit", password="geheim")
    assert registry.read().versions == ()
    assert "geheim" not in repr(registry)
    with pytest.raises(AuthError) as caught:
        _registry(server, username="drkit", password="falsch").read()
    assert "falsch" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("answer", NO_ANSWERS)
def test_what_is_no_answer_of_a_registry_is_refused(server: ScriptedHttpServer, name: str, answer: Responder) -> None:
    server.default = answer
    with pytest.raises(DrkitError) as caught:
        CALLS[name](_registry(server))
    assert type(caught.value) is RefusedError


def test_an_answer_that_is_cut_off_is_no_answer(server: ScriptedHttpServer) -> None:
    def cut(_request: Request, connection: Any) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"compatibilityLevel": "FULL"}')
        raise ConnectionAbortedError

    server.default = cut
    with pytest.raises(UnreachableError):
        _registry(server).read()


def test_an_answer_without_an_end_is_refused(server: ScriptedHttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drkit.adapters.registry.rest._MOST_BYTES", 1000)
    server.default = reply(200, '{"compatibilityLevel": "FULL"}' + " " * 1000)
    with pytest.raises(RefusedError, match="more than 1000 bytes"):
        _registry(server).read()


def _version_document(**changes: object) -> dict[str, Any]:
    return {"subject": "orders-value", "version": 2, "id": 7, "schema": '"string"', **changes}


MISSHAPEN: Final[Mapping[str, list[Any]]] = {
    "/config": [[], 7, None, {}, {"compatibilityLevel": None}],
    "/subjects": [{}, [1], "abc", [["a"]], ["\ud800"]],
    "/versions": [{}, ["1"], [0], [1.5], [True], [-3]],
    "/versions/2": [
        [],
        *(_version_document(**{name: None}) for name in ("version", "id", "schema")),
        *(_version_document(id=number) for number in ("7", -1, 2**31, 10**400, False)),
        _version_document(version=3),
        _version_document(schema={"type": "string"}),
        _version_document(schema='"\udfff"'),
        _version_document(schemaType=5),
        _version_document(references={"name": "a"}),
        _version_document(references=[{"name": "a", "subject": "b", "version": "1"}]),
    ],
    "/config/orders-value": [{"compatibilityLevel": 3}],
}


@pytest.mark.parametrize(("end", "document"), [(end, one) for end, some in MISSHAPEN.items() for one in some])
def test_a_document_of_another_shape_is_refused(server: ScriptedHttpServer, end: str, document: object) -> None:
    state = _state(server)
    state.put("orders-value", 2, 7, '"string"')
    server.default = _except(state, "GET", end, reply_json(200, document))
    with pytest.raises(DrkitError, match=r"cannot read|no JSON") as caught:
        _registry(server).read()
    assert type(caught.value) is RefusedError
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("subject", ["", ".", ".."])
def test_a_subject_that_no_path_can_name_is_refused(server: ScriptedHttpServer, subject: str) -> None:
    state = _state(server)
    state.put(subject, 1, 1, '"string"')
    for call in (
        lambda: _registry(server).read(),
        lambda: _registry(server).register(replace(ORDER, subject=subject)),
        lambda: _registry(server).set_compatibility(subject, "NONE"),
    ):
        with pytest.raises(RefusedError, match="cannot be asked for"):
            call()
    assert _writes(server) == []


def test_names_are_quoted(server: ScriptedHttpServer) -> None:
    _state(server)
    _registry(server).set_compatibility("../a b?#\r\n", "NONE")
    assert _writes(server) == ["PUT /config/..%2Fa%20b%3F%23%0D%0A"]


def test_more_subjects_than_a_page_holds(server: ScriptedHttpServer) -> None:
    state = _state(server)
    for number in range(2500):
        state.put(f"s{number:04}", 1, number + 1, '"string"')
    assert len(RestRegistry("here", server.url, 20.0)._subjects()) == 2500


@pytest.mark.parametrize("dialect", Dialect)
def test_every_dialect_is_read(server: ScriptedHttpServer, dialect: Dialect) -> None:
    state = _state(server, dialect)
    state.put("a", 1, 3, '"string"')
    state.put("a", 2, 4, '"int"', schemaType="AVRO")
    state.put("b", 1, 5, "{}", schemaType="JSON", references=[{"name": "a", "subject": "a", "version": 2}])
    state.put("gone", 1, 6, '"long"')
    state.delete("gone", 1)
    state.levels["b"] = "FULL"
    registry = _registry(server, APICURIO_PATH if dialect is Dialect.APICURIO else "")
    found = registry.read()
    assert found.versions == (
        SubjectVersion("a", 1, 3, "AVRO", '"string"'),
        SubjectVersion("a", 2, 4, "AVRO", '"int"'),
        SubjectVersion("b", 1, 5, "JSON", "{}", (SchemaReference("a", "a", 2),)),
    )
    assert found.subject_compatibility == {"b": "FULL", **({"a": "NONE"} if dialect is Dialect.APICURIO else {})}


def test_a_subject_that_is_deleted_meanwhile_is_left_out(server: ScriptedHttpServer) -> None:
    state = _state(server)
    state.put("a", 1, 3, '"string"')
    state.put("b", 1, 4, '"int"')
    gone = reply_json(404, {"error_code": 40401, "message": "gone"})
    server.default = _except(state, "GET", "/subjects/a/versions", gone)
    assert [version.subject for version in _registry(server).read().versions] == ["b"]


def test_one_subject_that_cannot_be_read_fails_the_whole(server: ScriptedHttpServer) -> None:
    state = _state(server)
    for number in range(40):
        state.put(f"s{number}", 1, number + 1, '"string"')
    server.default = _except(state, "GET", "/subjects/s7/versions/1", hang_up)
    with pytest.raises(UnreachableError):
        _registry(server).read()


def test_the_mode_is_import_only_meanwhile(server: ScriptedHttpServer) -> None:
    state = _state(server)
    _registry(server).register(ORDER)
    assert state.modes == {}
    assert _writes(server) == [
        "PUT /mode/orders-value?force=true",
        "POST /subjects/orders-value/versions",
        "DELETE /mode/orders-value",
    ]


def test_a_mode_of_the_subjects_own_is_set_back(server: ScriptedHttpServer) -> None:
    state = _state(server)
    state.modes["orders-value"] = "READONLY"
    _registry(server).register(ORDER)
    assert state.modes == {"orders-value": "READONLY"}
    assert state.versions[("orders-value", 2)]["id"] == 7


def test_where_a_mode_cannot_be_unset_it_becomes_the_registrys(server: ScriptedHttpServer) -> None:
    state = _state(server, Dialect.OLD_CONFLUENT)
    _registry(server).register(ORDER)
    assert state.modes == {"orders-value": "READWRITE"}


def test_a_refused_version_leaves_no_mode_behind(server: ScriptedHttpServer) -> None:
    state = _state(server)
    with pytest.raises(RefusedError, match="No schema reference"):
        _registry(server).register(replace(ORDER, references=(SchemaReference("a", "a", 1),)))
    assert (state.versions, state.modes) == ({}, {})


@pytest.mark.parametrize("is_registered", [True, False])
def test_a_mode_that_was_left_behind_is_set_back_by_the_next_try(
    server: ScriptedHttpServer, is_registered: bool
) -> None:
    """Cut off before or after the version was there."""
    state = _state(server)
    state.modes["orders-value"] = "IMPORT"
    if is_registered:
        state.put("orders-value", 2, 7, ORDER.schema)
    _registry(server).register(ORDER)
    assert state.modes == {}
    assert state.versions[("orders-value", 2)]["id"] == 7


def test_a_mode_that_cannot_be_set_back_is_told(server: ScriptedHttpServer) -> None:
    state = _state(server)
    lost = _except(state, "POST", "/versions", hang_up)
    server.default = lost

    def respond(request: Request, connection: Any) -> None:
        (hang_up if request.method == "DELETE" else lost)(request, connection)

    server.default = respond
    with pytest.raises(UnreachableError) as caught:
        _registry(server).register(ORDER)
    assert "left in mode IMPORT" in caught.value.hint


def test_an_instance_that_lags_behind_is_waited_for(server: ScriptedHttpServer) -> None:
    """Another one has written: this one does not have the version yet, nor the mode."""
    state = _state(server)
    lagging = {"GET": 4, "DELETE": 2}

    def respond(request: Request, connection: Any) -> None:
        is_late = request.method == "DELETE" or (state.versions and request.target.startswith("/subjects"))
        if is_late and lagging[request.method]:
            lagging[request.method] -= 1
            reply_json(404, {"error_code": 40401, "message": "not found"})(request, connection)
        else:
            state(request, connection)

    server.default = respond
    _registry(server).register(ORDER)
    assert lagging == {"GET": 0, "DELETE": 0}
    assert state.modes == {}


def test_a_deleted_version_that_is_another_schema_is_not_overwritten(server: ScriptedHttpServer) -> None:
    state = _state(server)
    state.put("orders-value", 2, 6, '"int"')
    state.delete("orders-value", 2)
    with pytest.raises(RefusedError, match="was deleted, and is another schema"):
        _registry(server).register(ORDER)
    assert _writes(server) == []


def test_deleted_versions_stay_where_others_are_registered(server: ScriptedHttpServer) -> None:
    """Confluent's registry removes them for good when the mode is set without force."""
    state = _state(server)
    state.put("orders-value", 1, 6, '"int"')
    state.delete("orders-value", 1)
    _registry(server).register(ORDER)
    assert ("orders-value", 1) in state.deleted


def test_a_deleted_version_comes_back(server: ScriptedHttpServer) -> None:
    state = _state(server)
    state.put("orders-value", 2, 7, ORDER.schema)
    state.delete("orders-value", 2)
    _registry(server).register(ORDER)
    assert ("orders-value", 2) in state.versions


def test_a_schema_that_is_written_differently_is_the_same(server: ScriptedHttpServer) -> None:
    state = _state(server)
    state.put("orders-value", 2, 7, '\n{"type":\t"string"}')
    _registry(server).register(ORDER)
    assert _writes(server) == []


def test_where_no_mode_can_be_set_ids_are_refused(server: ScriptedHttpServer) -> None:
    state = _state(server, Dialect.KARAPACE)
    with pytest.raises(RefusedError, match="does not take a schema under an id of its own") as caught:
        _registry(server).register(ORDER)
    assert "IMPORT" in caught.value.hint
    assert state.versions == {}


def test_nothing_is_registered_with_apicurio_which_gives_ids_of_its_own(server: ScriptedHttpServer) -> None:
    _state(server, Dialect.APICURIO)
    with pytest.raises(RefusedError, match="ids of its own"):
        _registry(server, APICURIO_PATH).register(ORDER)
    assert server.requests == []


def test_a_registry_that_gives_an_id_of_its_own_is_found_out(server: ScriptedHttpServer) -> None:
    """Apicurio behind a proxy that hides its path."""
    state = _state(server, Dialect.APICURIO)
    with pytest.raises(RefusedError, match=r"does not keep ids: .* under id 1"):
        _registry(server).register(ORDER)
    assert state.modes == {"orders-value": "READWRITE"}
