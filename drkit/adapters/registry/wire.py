"""What schema registries answer, as drkit's values. Every type is looked at: a proxy, or another system, may answer."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

from drkit.domain.inventory import SchemaReference, SubjectVersion
from drkit.domain.naming import printable
from drkit.errors import RefusedError

AVRO: Final = "AVRO"
_MOST: Final = 2**31
"""Ids and versions are integers of Java."""


def subject_path(prefix: str, subject: str) -> str:
    """``/subjects`` or the like, and a subject. Raises ``RefusedError`` for a name that no path can have.

    A server resolves ``.`` and ``..`` in a path, however they are quoted (RFC 3986, 6.2.2).
    """
    try:
        if subject in ("", ".", ".."):
            raise RefusedError(f"subject {subject!r} cannot be asked for: its name has a meaning of its own in a path")
        return f"{prefix}/{urllib.parse.quote(subject, safe='')}"
    except UnicodeEncodeError as error:
        raise RefusedError(f"subject {printable(subject)} cannot be asked for: its name is no text") from error


def names(document: Any) -> list[str]:
    """A list of subjects."""
    return [_text(name) for name in _items(document)]


def numbers(document: Any) -> list[int]:
    """A list of versions."""
    return [_number(number, least=1) for number in _items(document)]


def level(document: Any) -> str:
    """The compatibility level of a registry or a subject."""
    return _text(document["compatibilityLevel"])


def mode(document: Any) -> str:
    """The mode of a registry or a subject."""
    return _text(document["mode"])


def subject_version(document: Any, subject: str, version: int) -> SubjectVersion:
    """One version of a subject. Without ``schemaType`` it is an Avro schema; Apicurio leaves empty lists out."""
    if _number(document["version"], least=1) != version:
        raise ValueError(f"version {document['version']} where {version} was asked for")
    return SubjectVersion(
        subject=subject,
        version=version,
        schema_id=_number(document["id"], least=0),
        schema_type=schema_type(document),
        schema=_text(document["schema"]),
        references=references(document),
    )


def schema_type(document: Mapping[str, Any]) -> str:
    """``AVRO``, ``JSON``, ``PROTOBUF``, ..."""
    found = document.get("schemaType")
    return AVRO if found is None else _text(found)


def references(document: Mapping[str, Any]) -> tuple[SchemaReference, ...]:
    """What a schema imports, in its order."""
    return tuple(
        SchemaReference(_text(one["name"]), _text(one["subject"]), _number(one["version"], least=1))
        for one in _items(document.get("references") or [])
    )


def to_registration(version: SubjectVersion) -> dict[str, Any]:
    """A version as it is registered under its own id and number."""
    found: dict[str, Any] = {"schema": version.schema, "id": version.schema_id, "version": version.version}
    if version.schema_type != AVRO:
        found["schemaType"] = version.schema_type
    if version.references:
        found["references"] = [
            {"name": one.name, "subject": one.subject, "version": one.version} for one in version.references
        ]
    return found


def is_same_schema(one: SubjectVersion, other: SubjectVersion) -> bool:
    """Whether two versions have the same schema, whatever their numbers: registries write JSON in their own ways."""
    return (
        one.schema_type == other.schema_type
        and sorted(one.references) == sorted(other.references)
        and (one.schema.strip() == other.schema.strip() or _is_same_json(one.schema, other.schema))
    )


def _is_same_json(one: str, other: str) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except (ValueError, RecursionError):
        return False


def _items(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise TypeError(f"{type(found).__name__} where a list was expected")
    return found


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError(f"{type(found).__name__} where a text was expected")
    if any("\ud800" <= one <= "\udfff" for one in found):
        # JSON may hold half of a surrogate pair, which nothing can store.
        raise ValueError("half of a surrogate pair in a text")
    return found


def _number(found: Any, *, least: int) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found < _MOST:
        raise TypeError(f"{str(found)[:40]} where a number from {least} was expected")
    return found
