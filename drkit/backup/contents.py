"""What is stored of a part of a region: JSON in zstd for the small ones, Parquet for groups and logs.

Bodies hold no time and no order of their own: what did not change is the same bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from drkit.backup import documents, inventory_tables
from drkit.backup.tables import bytes_in_memory
from drkit.domain.inventory import Inventory, Part
from drkit.errors import RefusedError

SCHEMAS: Final = {part: f"drkit.backup-{part.value}/1" for part in Part}
"""What the content of each part calls itself."""

_LARGEST_BYTES: Final = 1 << 30
"""Content that says it is larger is not opened: nothing that drkit writes comes near."""
_HINT = "drkit backup verify --read-all says which backups are whole"


@dataclass(frozen=True, slots=True)
class Content:
    """A part as it is stored. ``content_bytes``: what it takes when it is opened; ``rows``: values that it holds."""

    part: Part
    body: bytes
    sha256: str
    content_bytes: int
    rows: int
    schema: str

    @property
    def extension(self) -> str:
        """By which other tools know it."""
        return extension(self.part)


def extension(part: Part) -> str:
    """``json.zst`` or ``parquet``."""
    return "json.zst" if part in documents.DOCUMENT_PARTS else "parquet"


def encode(part: Part, inventory: Inventory) -> Content:
    """A part that the inventory has."""
    import pyarrow as pa

    schema = SCHEMAS[part]
    if part in documents.DOCUMENT_PARTS:
        document, rows = documents.write_document(part, schema, inventory)
        body, size = pa.compress(document, codec="zstd", asbytes=True), len(document)
    else:
        body, rows = _written(part, schema, inventory)
        size = bytes_in_memory(body)
    return Content(part, body, hashlib.sha256(body).hexdigest(), size, rows, schema)


def decode(content: Content, name: str) -> object:
    """The part, as ``Inventory`` has it.

    Raises ``RefusedError`` for what is not what was written, is larger than it says, or is of another version; ``name``
    says which object it is.
    """
    part, body, size = content.part, content.body, content.content_bytes
    if hashlib.sha256(body).hexdigest() != content.sha256:
        raise RefusedError(f"{name} is damaged: its SHA-256 is not {content.sha256[:16]}...", hint=_HINT)
    if content.schema != SCHEMAS[part]:
        raise RefusedError(f"{name} is {content.schema}: this needs a newer drkit", hint="upgrade drkit")
    if not 0 <= size <= _LARGEST_BYTES:
        raise RefusedError(f"{name} would take {size} bytes: it is not opened", hint=_HINT)
    value: object
    if part in documents.DOCUMENT_PARTS:
        value, rows = documents.read_document(part, content.schema, _opened(body, size, name), name)
    elif part is Part.GROUPS:
        value, rows = inventory_tables.read_groups(content.schema, body, name, largest_bytes=size)
    else:
        value, rows = inventory_tables.read_logs(content.schema, body, name, largest_bytes=size)
    if rows != content.rows:
        raise RefusedError(f"{name} holds {rows} rows and not {content.rows}", hint=_HINT)
    return value


def _written(part: Part, schema: str, inventory: Inventory) -> tuple[bytes, int]:
    if part is Part.GROUPS:
        return inventory_tables.write_groups(schema, inventory.groups or {})
    return inventory_tables.write_logs(schema, inventory.logs or {})


def _opened(body: bytes, size: int, name: str) -> bytes:
    """What is in a zstd frame of exactly this size. zstd writes into ``size`` bytes and stops at the end of them."""
    import pyarrow as pa

    try:
        opened: bytes = pa.decompress(body, decompressed_size=size, codec="zstd", asbytes=True)
    except (OSError, ValueError) as error:
        raise RefusedError(f"{name} does not open to {size} bytes: {error}", hint=_HINT) from error
    return opened
