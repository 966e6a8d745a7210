"""The tables of the position log: a row per position of a group, and per log end, which has no group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drkit.backup.tables import read_table, schema_of, write_table
from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.log_samples import Counted, LogSample, Pace
from drkit.domain.samples import Alone, Mark, PositionSample, RecordMark

if TYPE_CHECKING:
    import pyarrow as pa

_SCHEMA = "drkit.positions/2"
_FIRST_SCHEMA = "drkit.positions/1"
"""Without log ends, so that every row has a group, and without where a record is alone."""
_DIGEST_BYTES = 16

GONE = -1
"""The offset of a position, or the end of a log, that is there no more."""

PositionRow = tuple[str, PositionSample]
Row = PositionRow | LogSample


def write_rows(rows: Sequence[Row], about: Mapping[str, Any]) -> bytes:
    """One table; ``about`` goes into its metadata."""
    return write_table(_SCHEMA, _columns(), _to_columns([_values(row) for row in rows]), about)


def read_rows(body: bytes, name: str) -> tuple[Iterator[Row], Mapping[str, Any]]:
    """The rows of a table and what its metadata say, of this version and of the first. Raises as ``read_table``."""
    if schema_of(body) == _FIRST_SCHEMA:
        columns, about = read_table(_FIRST_SCHEMA, _first_columns(), body, name)
        nothing: list[Any] = [None] * len(columns["topic"])
        return _rows({**dict.fromkeys(_columns().names, nothing), **columns}), about
    columns, about = read_table(_SCHEMA, _columns(), body, name)
    return _rows(columns), about


def gone(partition: TopicPartition, at_ms: int) -> LogSample:
    """The row of a log that is there no more."""
    return LogSample(partition, LogRange(0, GONE, GONE), at_ms)


def _first_columns() -> pa.Schema:
    import pyarrow as pa

    digest = pa.binary(_DIGEST_BYTES)
    return pa.schema(
        [
            pa.field("group", pa.string(), nullable=False),
            pa.field("topic", pa.string(), nullable=False),
            pa.field("partition", pa.int32(), nullable=False),
            pa.field("upstream", pa.int64(), nullable=False),
            pa.field("at_ms", pa.int64(), nullable=False),
            pa.field("first_offset", pa.int64()),
            pa.field("first_digest", digest),
            pa.field("before_offset", pa.int64()),
            pa.field("before_digest", digest),
        ]
    )


def _columns() -> pa.Schema:
    import pyarrow as pa

    first = _first_columns()
    return pa.schema(
        [
            pa.field("group", pa.string()),
            *(first.field(number) for number in range(1, len(first))),
            pa.field("alone_start", pa.int64()),
            pa.field("alone_end", pa.int64()),
            pa.field("log_start", pa.int64()),
            pa.field("stable_end", pa.int64()),
            pa.field("counted_from", pa.int64()),
            pa.field("counted_records", pa.int64()),
            pa.field("counted_oldest_ms", pa.int64()),
            pa.field("per_second", pa.float64()),
            pa.field("highest_per_second", pa.float64()),
            pa.field("highest_at_ms", pa.int64()),
            pa.field("seen_ms", pa.int64()),
        ]
    )


def _values(row: Row) -> tuple[Any, ...]:
    """A row, in the order of the columns."""
    if isinstance(row, LogSample):
        log, pace, counted = row.log, row.pace, row.counted
        return (
            *(None, *row.partition, log.end, row.at_ms),
            *(None, None, None, None, None, None),
            *(log.start, log.stable_end),
            *((None, None, None) if counted is None else counted),
            *((None, None, None) if pace is None else pace),
            row.seen_ms,
        )
    group, one = row
    return (
        *(group, *one.partition, one.upstream, one.at_ms),
        *((None, None) if one.first is None else (one.first.offset, one.first.digest)),
        *((None, None) if one.before is None else (one.before.offset, one.before.digest)),
        *((None, None) if one.alone is None else one.alone),
        *(None, None, None, None, None, None, None, None, None),
    )


def _to_columns(rows: Sequence[tuple[Any, ...]]) -> dict[str, Sequence[Any]]:
    names = _columns().names
    return dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())


def _rows(columns: Mapping[str, Sequence[Any]]) -> Iterator[Row]:
    partitions: dict[tuple[str, int], TopicPartition] = {}
    names = _columns().names
    for group, topic, number, upstream, at_ms, *rest in zip(*(columns[name] for name in names), strict=True):
        partition = partitions.setdefault((topic, number), TopicPartition(topic, number))
        if group is None:
            yield _log_sample(partition, upstream, at_ms, rest[6:])
        else:
            first, first_digest, before, before_digest, start, end = rest[:6]
            marks = _mark(first, first_digest), _mark(before, before_digest)
            alone = None if start is None or end is None else Alone(start, end)
            yield group, PositionSample(partition, upstream, at_ms, *marks, alone)


def _log_sample(partition: TopicPartition, end: int, at_ms: int, rest: Sequence[Any]) -> LogSample:
    start, stable, counted_from, records, oldest_ms, per_second, highest, highest_at_ms, seen_ms = rest
    return LogSample(
        partition,
        LogRange(0 if start is None else start, end, end if stable is None else stable),
        at_ms,
        None if per_second is None else Pace(per_second, highest, highest_at_ms),
        None if counted_from is None else Counted(counted_from, records, oldest_ms),
        seen_ms,
    )


def _mark(offset: int | None, digest: bytes | None) -> Mark | None:
    return None if offset is None or digest is None else RecordMark(offset, digest)
