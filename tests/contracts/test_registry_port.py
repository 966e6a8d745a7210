"""What every schema registry does: the fake, and the client of registries over HTTP, with two that keep ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import pytest

from drkit.adapters.registry.rest import RestRegistry
from drkit.domain.inventory import RegistryInventory, SchemaReference, SubjectVersion
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import RegistryReader, RegistryWriter
from tests.fakes.http_server import http_server
from tests.fakes.registry import FakeRegistry
from tests.fakes.registry_server import Dialect, RegistryState

ORDER = SubjectVersion("orders-value", 1, 7, "AVRO", '{"type": "record", "name": "Order", "fields": []}')
LATER = replace(ORDER, version=3, schema_id=9, schema='{"type": "record", "name": "Order", "fields": [], "doc": "2"}')
MONEY = SubjectVersion("money.proto", 1, 4, "PROTOBUF", 'syntax = "proto3"; message Money { int64 units = 1; }')
PRICE = SubjectVersion(
    "price", 2, 5, "PROTOBUF", 'import "money.proto";', (SchemaReference("money.proto", "money.proto", 1),)
)


class Registry(RegistryReader, RegistryWriter, Protocol):
    """Both ports."""


@pytest.fixture(params=["fake", Dialect.CONFLUENT, Dialect.OLD_CONFLUENT], ids=str)
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    """An empty registry, whose level is BACKWARD."""
    if request.param == "fake":
        yield FakeRegistry()
        return
    with http_server(RegistryState(request.param)) as server:
        yield RestRegistry("here", server.url, 2.0)


def _refused(registry: Registry, version: SubjectVersion) -> None:
    before = registry.read()
    with pytest.raises(RefusedError) as caught:
        registry.register(version)
    assert not isinstance(caught.value, UnreachableError)
    assert registry.read() == before


def test_a_registry_that_holds_nothing(registry: Registry) -> None:
    assert registry.read() == RegistryInventory((), "BACKWARD")


def test_versions_keep_their_ids_and_numbers(registry: Registry) -> None:
    for version in (LATER, MONEY, PRICE, ORDER):
        registry.register(version)
    assert registry.read() == RegistryInventory((MONEY, ORDER, LATER, PRICE), "BACKWARD")


def test_what_is_there_is_registered_again_without_a_change(registry: Registry) -> None:
    for version in (MONEY, PRICE):
        registry.register(version)
        registry.register(version)
    assert registry.read() == RegistryInventory((MONEY, PRICE), "BACKWARD")


def test_one_schema_may_be_in_several_subjects(registry: Registry) -> None:
    other = replace(ORDER, subject="returns-value", version=2)
    registry.register(ORDER)
    registry.register(other)
    assert registry.read().versions == (ORDER, other)


def test_a_version_that_is_another_schema_stays(registry: Registry) -> None:
    registry.register(ORDER)
    _refused(registry, replace(LATER, version=1))
    _refused(registry, replace(ORDER, schema_id=8))


def test_an_id_that_is_another_schemas_is_not_taken(registry: Registry) -> None:
    registry.register(ORDER)
    _refused(registry, replace(MONEY, schema_id=ORDER.schema_id))


def test_what_a_schema_imports_has_to_be_there(registry: Registry) -> None:
    _refused(registry, PRICE)


def test_levels_are_the_registrys_or_a_subjects_own(registry: Registry) -> None:
    registry.register(ORDER)
    registry.register(MONEY)
    registry.set_compatibility(None, "FULL")
    registry.set_compatibility(ORDER.subject, "NONE")
    registry.set_compatibility(ORDER.subject, "FORWARD_TRANSITIVE")
    found = registry.read()
    assert (found.compatibility, found.subject_compatibility) == ("FULL", {ORDER.subject: "FORWARD_TRANSITIVE"})


def test_a_level_that_there_is_not_is_refused(registry: Registry) -> None:
    with pytest.raises(RefusedError):
        registry.set_compatibility(None, "SIDEWAYS")
    assert registry.read().compatibility == "BACKWARD"


def test_subjects_are_any_text(registry: Registry) -> None:
    names = [":.context:orders", "a/b?c#d%2F", "../../config", "\x1b[31m\r\n", "雪", " "]
    versions = [replace(ORDER, subject=name) for name in sorted(names)]
    for version in versions:
        registry.register(version)
        registry.set_compatibility(version.subject, "NONE")
    assert registry.read() == RegistryInventory(tuple(versions), "BACKWARD", dict.fromkeys(sorted(names), "NONE"))
