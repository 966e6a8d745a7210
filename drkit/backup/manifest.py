"""What one backup consists of: a manifest, which is written last and makes the backup visible.

A manifest is canonical JSON with a SHA-256 of itself, so that any change to it is noticed. It names objects by their
own SHA-256; what they take when they are opened is said here, and bounds it.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from drkit import __version__
from drkit.backup.contents import SCHEMAS, Content, extension
from drkit.backup.documents import canonical
from drkit.domain.inventory import Part
from drkit.errors import RefusedError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MANIFESTS: Final = "backups/manifests/"
OBJECTS: Final = "backups/objects/"
BACKUP_ID: Final = re.compile(r"(\d{8}t\d{9})z-[0-9a-f]{8}")
"""UTC time to the millisecond and a random suffix: sorts by time, and is safe in a key."""

_SCHEMA: Final = "drkit.backup/1"
_SCHEMA_VERSION: Final = re.compile(r"drkit\.backup/(\d{1,9})")
_OBJECT: Final = re.compile(rf"{OBJECTS}[a-z]+/[0-9a-f]{{64}}-(?P<id>{BACKUP_ID.pattern})\.(?:json\.zst|parquet)")
_ID_TIME: Final = "%Y%m%dt%H%M%S%f"
_HINT = "drkit backup verify says which backups are whole, and which copies"


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part of a backup: its object, and what it has to be.

    ``stored_bytes``: of the object; ``content_bytes``: of what is in it, opened; ``rows``: values that it holds.
    """

    key: str
    sha256: str
    stored_bytes: int
    content_bytes: int
    rows: int
    schema: str

    @classmethod
    def of(cls, content: Content, backup_id: str) -> StoredPart:
        """Content that this backup stores under a key of its own."""
        key = f"{OBJECTS}{content.part.value}/{content.sha256}-{backup_id}.{content.extension}"
        size = len(content.body)
        return cls(key, content.sha256, size, content.content_bytes, content.rows, content.schema)

    @property
    def written_by(self) -> str:
        """Id of the backup that stored the object."""
        return writer_of(self.key) or ""

    def content(self, part: Part, body: bytes) -> Content:
        """What was read of it, for ``drkit.backup.contents.decode`` to judge."""
        return Content(part, body, self.sha256, self.content_bytes, self.rows, self.schema)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup of one region.

    ``missing``: parts that were asked for and could not be read, or not all of them, with the reason. ``earlier``: for
    parts that were not asked for, the newest backup that had them when this one was taken. Times are the writer's, UTC.
    """

    backup_id: str
    region: str
    cluster_id: str
    taken_at: datetime
    finished_at: datetime
    parts: Mapping[Part, StoredPart]
    missing: Mapping[Part, str] = field(default_factory=dict)
    earlier: Mapping[Part, str] = field(default_factory=dict)
    written_by: str = __version__

    @property
    def key(self) -> str:
        """Where it is, in every bucket."""
        return manifest_key(self.region, self.backup_id)

    @property
    def is_complete(self) -> bool:
        """Whether it has every part that was asked for."""
        return not self.missing

    @property
    def stored_bytes(self) -> int:
        """Of all its objects, whichever backup stored them."""
        return sum(part.stored_bytes for part in self.parts.values())


def writer_of(key: str) -> str | None:
    """Id of the backup that stored the object under this key; None for a key that is not of drkit's making."""
    match = _OBJECT.fullmatch(key)
    return None if match is None else match["id"]


def manifest_key(region: str, backup_id: str) -> str:
    """Where the manifest of a backup is."""
    return f"{MANIFESTS}{region}/{backup_id}.json"


def new_backup_id(now: datetime, *, after: str | None = None) -> str:
    """The id of a backup that begins now; it sorts behind ``after`` also where this machine's clock is late."""
    at = now.astimezone(UTC)
    if after is not None:
        at = max(at, id_time(after) + timedelta(milliseconds=1))
    return f"{at:%Y%m%dt%H%M%S}{at.microsecond // 1000:03d}z-{secrets.token_hex(4)}"


def id_time(backup_id: str) -> datetime:
    """The time in an id. Raises ``ValueError`` for what is none."""
    match = BACKUP_ID.fullmatch(backup_id)
    if match is None:
        raise ValueError(f"{backup_id!r} is not the id of a backup")
    return datetime.strptime(match[1] + "000", _ID_TIME).replace(tzinfo=UTC)


def write_manifest(manifest: Manifest) -> bytes:
    """The manifest with its own SHA-256."""
    document = {"schema": _SCHEMA, **_adapter().dump_python(manifest, mode="json")}
    return canonical({**document, "sha256": _sha256(document)})


def read_manifest(body: bytes, region: str, backup_id: str) -> Manifest:
    """The inverse.

    Raises ``RefusedError`` for what drkit did not write, or not there, is damaged, or needs a newer drkit.
    """
    name = f"the manifest of {backup_id}"
    try:
        document = json.loads(body)
        version = _SCHEMA_VERSION.fullmatch(document.pop("schema"))
        if version is not None and int(version[1]) > 1:
            raise RefusedError(f"{name} is {version[0]}: this needs a newer drkit", hint="upgrade drkit")
        if document.pop("sha256") != _sha256({**document, "schema": _SCHEMA}):
            raise RefusedError(f"{name} is damaged: it is not what was written", hint=_HINT)
        manifest = _adapter().validate_json(json.dumps(document), strict=True)
        if write_manifest(manifest) != body:
            raise RefusedError(f"{name} is damaged: it is not what was written", hint=_HINT)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise RefusedError(f"{name} cannot be read: {type(error).__name__}: {reason}", hint=_HINT) from error
    _require_in_place(manifest, region, backup_id, name)
    # In the order that people know, for JSON has them by their names.
    return replace(manifest, parts={part: manifest.parts[part] for part in Part if part in manifest.parts})


def _require_in_place(manifest: Manifest, region: str, backup_id: str, name: str) -> None:
    if (manifest.region, manifest.backup_id) != (region, backup_id):
        raise RefusedError(f"{name} of {region} is that of {manifest.backup_id} of {manifest.region}", hint=_HINT)
    for part, stored in manifest.parts.items():
        expected = rf"{OBJECTS}{part.value}/{stored.sha256}-{BACKUP_ID.pattern}\.{re.escape(extension(part))}"
        if not re.fullmatch(r"[0-9a-f]{64}", stored.sha256) or not re.fullmatch(expected, stored.key):
            raise RefusedError(f"{name} names {stored.key[:200]!a}, which cannot be its {part.value}", hint=_HINT)
    if not all(BACKUP_ID.fullmatch(earlier) for earlier in manifest.earlier.values()):
        raise RefusedError(f"{name} names an earlier backup that cannot be one", hint=_HINT)
    newer = [stored.schema for part, stored in manifest.parts.items() if stored.schema != SCHEMAS[part]]
    if newer:
        raise RefusedError(f"{name} holds {newer[0][:80]!a}: this needs a newer drkit", hint="upgrade drkit")


def _sha256(document: Mapping[str, object]) -> str:
    return hashlib.sha256(canonical(document)).hexdigest()


@cache
def _adapter() -> TypeAdapter[Manifest]:
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)
