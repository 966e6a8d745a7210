"""The large parts of a backup as Parquet: consumer groups with their positions, and the ends of logs.

A group is a row with what it is and who is in it (its ``topic`` is null), and a row for each of its positions behind
that, in order of topic and partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from drkit.backup.tables import read_table, write_table
from drkit.domain.inventory import (
    CommittedPosition,
    GroupInventory,
    GroupMember,
    GroupType,
    LogInventory,
)
from drkit.domain.kafka import GroupState, LogRange, TopicPartition
from drkit.errors import RefusedError

if TYPE_CHECKING:
    import pyarrow as pa

_HINT = "drkit backup verify --read-all says which backups are whole"

Groups = Mapping[str, GroupInventory]
Logs = Mapping[TopicPartition, LogInventory]


def write_groups(schema: str, groups: Groups) -> tuple[bytes, int]:
    """The table, and how many positions it holds, each group counting as one."""
    rows = [row for name in sorted(groups) for row in _group_rows(groups[name])]
    return _written(schema, _group_columns(), rows), len(rows)


def read_groups(schema: str, body: bytes, name: str, *, largest_bytes: int) -> tuple[Groups, int]:
    """The inverse. Raises ``RefusedError`` for anything that was not written so."""
    columns, _ = read_table(schema, _group_columns(), body, name, largest_bytes=largest_bytes)
    groups: dict[str, GroupInventory] = {}
    positions: dict[TopicPartition, CommittedPosition] = {}
    before: tuple[object, ...] = ()
    try:
        for group, kind, state, assignor, members, *position in zip(*columns.values(), strict=True):
            topic, partition, offset, epoch, metadata = position
            order = (group,) if topic is None else (group, topic, partition)
            _require(order > before, "rows are out of order")
            before = order
            if topic is None:
                _require_nothing(position)
                who = tuple(GroupMember(one["client_id"], one["host"]) for one in members)
                positions = {}
                groups[group] = GroupInventory(group, GroupType(kind), GroupState(state), assignor, who, positions)
            else:
                _require_nothing((kind, state, assignor, members))
                _require(group in groups, "a position is of no group")
                _require(None not in (partition, offset, metadata), "a position is not whole")
                positions[TopicPartition(topic, partition)] = CommittedPosition(offset, epoch, metadata)
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{name} cannot be read: {error}", hint=_HINT) from error
    return groups, len(columns["group"])


def write_logs(schema: str, logs: Logs) -> tuple[bytes, int]:
    """The table, and its number of partitions."""
    rows = [
        (p.topic, p.partition, one.range.start, one.range.end, one.range.stable_end, one.oldest_ms, one.newest_ms)
        for p, one in sorted(logs.items(), key=lambda item: item[0])
    ]
    return _written(schema, _log_columns(), rows), len(rows)


def read_logs(schema: str, body: bytes, name: str, *, largest_bytes: int) -> tuple[Logs, int]:
    """The inverse. Raises ``RefusedError`` for anything that was not written so."""
    columns, _ = read_table(schema, _log_columns(), body, name, largest_bytes=largest_bytes)
    logs = {
        TopicPartition(topic, number): LogInventory(LogRange(start, end, stable), oldest, newest)
        for topic, number, start, end, stable, oldest, newest in zip(*columns.values(), strict=True)
    }
    if list(logs) != sorted(logs) or len(logs) != len(columns["topic"]):
        raise RefusedError(f"{name} cannot be read: its rows are out of order", hint=_HINT)
    return logs, len(logs)


def _group_rows(group: GroupInventory) -> Iterator[tuple[Any, ...]]:
    members = [{"client_id": one.client_id, "host": one.host} for one in group.members]
    nothing = (None,) * 5
    yield group.group, group.group_type.value, group.state.value, group.assignor, members, *nothing
    for p, one in sorted(group.positions.items(), key=lambda item: item[0]):
        where = (p.topic, p.partition, one.offset, one.leader_epoch, one.metadata)
        yield group.group, None, None, None, None, *where


def _written(schema: str, columns: pa.Schema, rows: list[tuple[Any, ...]]) -> bytes:
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    return write_table(schema, columns, dict(zip(columns.names, map(list, values), strict=True)), {})


def _group_columns() -> pa.Schema:
    import pyarrow as pa

    text = pa.string()
    member = pa.struct([pa.field("client_id", text, nullable=False), pa.field("host", text, nullable=False)])
    return pa.schema(
        [
            pa.field("group", text, nullable=False),
            *(pa.field(name, text) for name in ("group_type", "state", "assignor")),
            pa.field("members", pa.list_(pa.field("element", member, nullable=False))),
            pa.field("topic", text),
            pa.field("partition", pa.int32()),
            pa.field("offset", pa.int64()),
            pa.field("leader_epoch", pa.int32()),
            pa.field("metadata", text),
        ]
    )


def _log_columns() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("topic", pa.string(), nullable=False),
            pa.field("partition", pa.int32(), nullable=False),
            *(pa.field(name, pa.int64(), nullable=False) for name in ("start", "end", "stable_end")),
            *(pa.field(name, pa.int64()) for name in ("oldest_ms", "newest_ms")),
        ]
    )


def _require_nothing(values: Iterable[object]) -> None:
    _require(all(value is None for value in values), "a row is both a group and a position")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
