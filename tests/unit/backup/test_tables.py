"""Tables: what was written is read back, and nothing else is taken for one."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drkit.backup.tables import read_table, write_table
from drkit.errors import RefusedError

COLUMNS = pa.schema([pa.field("name", pa.string(), nullable=False), pa.field("size", pa.int64())])
ROWS = {"name": [f"n{number % 7}" for number in range(500)], "size": [*range(499), None]}
BODY = write_table("test/1", COLUMNS, ROWS, {"region": "taipei"})


def test_a_table_comes_back_with_what_it_says_of_itself() -> None:
    rows, about = read_table("test/1", COLUMNS, BODY, "here")
    assert rows == ROWS
    assert about == {"region": "taipei", "schema": "test/1"}


def test_an_empty_table_is_one() -> None:
    body = write_table("test/1", COLUMNS, {"name": [], "size": []}, {})
    assert read_table("test/1", COLUMNS, body, "here")[0] == {"name": [], "size": []}


def test_another_version_or_other_columns_are_refused() -> None:
    with pytest.raises(RefusedError, match="here is not a table test/2"):
        read_table("test/2", COLUMNS, BODY, "here")
    with pytest.raises(RefusedError, match="here has other columns than test/1"):
        read_table("test/1", COLUMNS.remove(1), BODY, "here")


@pytest.mark.parametrize("body", [b"", b"PAR1", b"{}", BODY[:-1], BODY[: len(BODY) // 2]], ids=len)
def test_what_is_no_table_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError, match="here cannot be read"):
        read_table("test/1", COLUMNS, body, "here")


def test_a_flipped_bit_is_never_read_as_something_else() -> None:
    """Nor as what it was: every bit of the object, those of headers and footer too, which Parquet does not check."""
    for place in range(len(BODY)):
        for bit in range(8):
            damaged = bytearray(BODY)
            damaged[place] ^= 1 << bit
            with pytest.raises(RefusedError, match="here cannot be read"):
                read_table("test/1", COLUMNS, bytes(damaged), "here")


def test_an_object_without_a_checksum_is_refused() -> None:
    body = io.BytesIO()
    pq.write_table(pa.table(ROWS, schema=COLUMNS), body)
    with pytest.raises(RefusedError, match="here cannot be read"):
        read_table("test/1", COLUMNS, body.getvalue(), "here")


def test_a_table_that_holds_the_mark_of_a_checksum_is_one() -> None:
    rows: dict[str, list[Any]] = {"name": ["sha256 of this object:" + "1" * 64], "size": [1]}
    assert read_table("test/1", COLUMNS, write_table("test/1", COLUMNS, rows, {}), "here")[0] == rows
