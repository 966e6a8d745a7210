"""The small parts of a backup as JSON: topics, ACLs, users, connectors, redirects, schemas.

A document is canonical: sorted, without white space, in ASCII. The same values are the same bytes, which is how content
that did not change is known, and what is read has to be the very bytes that its values are written as. So neither
unknown nor repeated fields nor another order get past.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from drkit.domain.inventory import (
    ConnectorInventory,
    Inventory,
    Part,
    RedirectInventory,
    RegistryInventory,
    ScramUser,
)
from drkit.domain.kafka import Acl, TopicDescription
from drkit.errors import RefusedError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_HINT = "drkit backup verify --read-all says which backups are whole"


@dataclass(frozen=True, slots=True)
class _Form:
    """How a part is written. ``kind``: of its values; ``values``: in their order; ``part``: the part from them."""

    kind: Any
    values: Callable[[Any], list[Any]]
    part: Callable[[tuple[Any, ...]], Any]
    rows: Callable[[Any], int] = len


def _by_name(part: Mapping[str, Any]) -> list[Any]:
    return [part[name] for name in sorted(part)]


def _named(values: Iterable[Any]) -> dict[str, Any]:
    return {value.name: value for value in values}


def _only(values: tuple[object, ...]) -> object:
    (value,) = values
    return value


_FORMS = {
    Part.TOPICS: _Form(tuple[TopicDescription, ...], _by_name, _named),
    Part.ACLS: _Form(tuple[Acl, ...], sorted, frozenset),
    Part.USERS: _Form(tuple[ScramUser, ...], _by_name, _named),
    Part.CONNECTORS: _Form(tuple[ConnectorInventory, ...], _by_name, _named),
    Part.REDIRECTS: _Form(tuple[RedirectInventory, ...], _by_name, _named),
    Part.SCHEMAS: _Form(tuple[RegistryInventory, ...], lambda part: [part], _only, lambda part: len(part.versions)),
}

DOCUMENT_PARTS = frozenset(_FORMS)
"""Parts that are documents; the others are tables."""


def canonical(document: object) -> bytes:
    """The one way to write a JSON document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def write_document(part: Part, schema: str, inventory: Inventory) -> tuple[bytes, int]:
    """A part of an inventory that has it, and its number of rows."""
    form, content = _FORMS[part], getattr(inventory, part.value)
    values = _adapter(part).dump_python(tuple(form.values(content)), mode="json")
    return canonical({"schema": schema, "values": values}), form.rows(content)


def read_document(part: Part, schema: str, content: bytes, name: str) -> tuple[object, int]:
    """The inverse: the part, and its number of rows. Raises ``RefusedError`` for anything that was not written so."""
    form = _FORMS[part]
    try:
        document = json.loads(content)
        values = _adapter(part).validate_json(json.dumps(document["values"]), strict=True)
        read = form.part(values)
        again = canonical(
            {"schema": schema, "values": _adapter(part).dump_python(tuple(form.values(read)), mode="json")}
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise RefusedError(f"{name} cannot be read: {type(error).__name__}: {reason}", hint=_HINT) from error
    if again != content:
        raise RefusedError(f"{name} is not a document {schema} as this drkit writes it", hint=_HINT)
    return read, form.rows(read)


@cache
def _adapter(part: Part) -> TypeAdapter[tuple[Any, ...]]:
    from pydantic import TypeAdapter

    return TypeAdapter(_FORMS[part].kind)
