"""Tables as Parquet (zstd), so that any tool can read what drkit keeps.

The file's own metadata say what it is: ``drkit`` holds a JSON object with ``schema`` (name and version), beside what
the caller adds. Parquet's checksums cover its pages, not the headers and the footer that say what the pages are: a
second entry of the metadata is a checksum of the whole object, taken with the checksum itself as zeros.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drkit.errors import RefusedError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_METADATA_KEY = "drkit"
_CHECKSUM_KEY = "drkit.checksum"
_CHECKSUM_MARK = b"sha256 of this object:"
_NO_CHECKSUM = b"0" * 64
_LARGEST_BYTES = 1 << 30
"""A table that says it is larger in memory is not opened: nothing that drkit writes comes near."""


def write_table(schema: str, columns: pa.Schema, rows: Mapping[str, Sequence[Any]], about: Mapping[str, Any]) -> bytes:
    """One table, column by column; ``about`` goes into its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(dict(rows), schema=columns)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, columns, compression="zstd", write_page_checksum=True) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({_METADATA_KEY: json.dumps({**about, "schema": schema}, sort_keys=True)})
        writer.add_key_value_metadata({_CHECKSUM_KEY: (_CHECKSUM_MARK + _NO_CHECKSUM).decode()})
    body = sink.getvalue()
    before, _, after = _around_checksum(body)
    return before + _checksum(before, after) + after


def bytes_in_memory(body: bytes) -> int:
    """What the pages of a table take when they are opened."""
    import pyarrow.parquet as pq

    return _bytes_in_memory(pq.ParquetFile(io.BytesIO(body)).metadata)


def read_table(
    schema: str, columns: pa.Schema, body: bytes, name: str, *, largest_bytes: int = _LARGEST_BYTES
) -> tuple[dict[str, list[Any]], Mapping[str, Any]]:
    """The columns of a table and what its metadata say.

    Raises ``RefusedError`` for what is no such table, is damaged, would take more than ``largest_bytes`` in memory, or
    is of another version; ``name`` says which.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    hint = "move it away: drkit goes by what else there is"
    try:
        before, checksum, after = _around_checksum(body)
        if checksum != _checksum(before, after):
            raise RefusedError(f"{name} cannot be read: it is not what was written", hint=hint)
        file = pq.ParquetFile(io.BytesIO(body), page_checksum_verification=True)
        if _bytes_in_memory(file.metadata) > largest_bytes:
            raise RefusedError(f"{name} would take more than {largest_bytes} bytes", hint=hint)
        about = json.loads((file.metadata.metadata or {}).get(_METADATA_KEY.encode(), b"{}"))
        if not isinstance(about, dict) or about.get("schema") != schema:
            raise RefusedError(f"{name} is not a table {schema} that this drkit can read", hint=hint)
        table = file.read()
        if not table.schema.equals(columns):
            raise RefusedError(f"{name} has other columns than {schema}", hint=hint)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RefusedError(f"{name} cannot be read: {error}", hint=hint) from error
    return table.to_pydict(), about


def _bytes_in_memory(metadata: pq.FileMetaData) -> int:
    return sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))


def schema_of(body: bytes) -> str | None:
    """What a table says that it is; None for what is none. ``read_table`` says whether it is one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(io.BytesIO(body)).metadata
        about = json.loads((metadata or {}).get(_METADATA_KEY.encode(), b"{}"))
    except (pa.ArrowException, OSError, ValueError):
        return None
    return about.get("schema") if isinstance(about, dict) else None


def _around_checksum(body: bytes) -> tuple[bytes, bytes, bytes]:
    """What is before the checksum, the checksum, and what is after it. Raises ``ValueError`` where there is none."""
    start = body.rindex(_CHECKSUM_MARK) + len(_CHECKSUM_MARK)
    end = start + len(_NO_CHECKSUM)
    return body[:start], body[start:end], body[end:]


def _checksum(before: bytes, after: bytes) -> bytes:
    return hashlib.sha256(before + _NO_CHECKSUM + after).hexdigest().encode()
