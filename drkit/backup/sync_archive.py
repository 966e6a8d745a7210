"""The history of offset syncs in the state bucket: what compaction takes from the topic stays known.

``offset-syncs/SOURCE-TARGET/TOPIC-ID/FIRST-LAST.parquet``: the syncs whose records in the topic have these offsets.
Objects may overlap, so that nothing is lost while small ones are joined into a larger one, by any number of watches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.backup.tables import read_table, write_table
from drkit.domain.kafka import TopicPartition
from drkit.domain.mirror_flow import Flow
from drkit.domain.mm2_records import OffsetSync
from drkit.domain.sync_log import LoggedSync, joined
from drkit.ports import ObjectStore, PreconditionFailed

if TYPE_CHECKING:
    import pyarrow as pa

_SCHEMA = "drkit.offset-syncs/1"
_KEY = re.compile(r"(?P<first>\d{12})-(?P<last>\d{12})\.parquet")
_JOINED = 32
"""So many objects of less than ``_SMALL`` syncs are joined into one."""
_SMALL = 200_000


def archive_label(flow: Flow) -> str:
    """What a flow's archive is called."""
    return f"{flow.source}-{flow.target}"


@dataclass(frozen=True, slots=True)
class SyncArchive:
    """The archive of one flow's offset-syncs topic. ``topic_id``: the topic's id (KIP-516), as offsets begin anew."""

    store: ObjectStore
    label: str
    topic_id: str

    def read(self) -> list[LoggedSync]:
        """Everything, in the order of the topic. Raises ``RefusedError`` for an object that cannot be read."""
        return self._read(list(self._objects()))

    @property
    def archived_to(self) -> int:
        """The offset after the last archived record; 0 for an empty archive."""
        return max((last + 1 for _, last in self._objects().values()), default=0)

    def append(self, syncs: Sequence[LoggedSync]) -> int:
        """Add these, in the order of the topic; bytes stored. Repeating it changes nothing."""
        if not syncs:
            return 0
        body = write_table(_SCHEMA, _columns(), _to_columns(syncs), {"flow": self.label, "topic_id": self.topic_id})
        try:
            self.store.create(self._key(syncs[0].record_offset, syncs[-1].record_offset), body)
        except PreconditionFailed:
            # The same range, by another watch or before an answer was lost: the same syncs.
            return 0
        return len(body)

    def join(self) -> int:
        """Join small objects into one, if there are many; how many went into it."""
        small = [key for key, (first, last) in self._objects().items() if last - first < _SMALL]
        if len(small) < _JOINED:
            return 0
        if not self.append(self._read(small)):
            return 0
        for key in small:
            self.store.delete(key)
        return len(small)

    def _objects(self) -> Mapping[str, tuple[int, int]]:
        found = {}
        for key in self.store.list(f"{self._prefix}/"):
            if match := _KEY.fullmatch(key.rpartition("/")[2]):
                found[key] = (int(match["first"]), int(match["last"]))
        return found

    def _read(self, keys: Iterable[str]) -> list[LoggedSync]:
        read: list[LoggedSync] = []
        for key in keys:
            stored = self.store.get(key)
            # One that is gone was joined into another after it was listed.
            if stored is not None:
                columns, _ = read_table(_SCHEMA, _columns(), stored.body, key)
                read += _from_columns(columns)
        return joined((), read)

    @property
    def _prefix(self) -> str:
        return f"offset-syncs/{self.label}/{self.topic_id}"

    def _key(self, first: int, last: int) -> str:
        return f"{self._prefix}/{first:012d}-{last:012d}.parquet"


def _columns() -> pa.Schema:
    import pyarrow as pa

    numbers = [pa.field(name, pa.int64(), nullable=False) for name in ("upstream", "downstream")]
    return pa.schema(
        [
            pa.field("record_offset", pa.int64(), nullable=False),
            pa.field("at_ms", pa.int64(), nullable=False),
            pa.field("topic", pa.string(), nullable=False),
            pa.field("partition", pa.int32(), nullable=False),
            *numbers,
        ]
    )


def _to_columns(syncs: Sequence[LoggedSync]) -> dict[str, list[Any]]:
    return {
        "record_offset": [one.record_offset for one in syncs],
        "at_ms": [one.at_ms for one in syncs],
        "topic": [one.sync.partition.topic for one in syncs],
        "partition": [one.sync.partition.partition for one in syncs],
        "upstream": [one.sync.upstream for one in syncs],
        "downstream": [one.sync.downstream for one in syncs],
    }


def _from_columns(columns: Mapping[str, list[Any]]) -> list[LoggedSync]:
    partitions: dict[tuple[str, int], TopicPartition] = {}
    return [
        LoggedSync(at, ms, OffsetSync(partitions.setdefault((topic, number), TopicPartition(topic, number)), up, down))
        for at, ms, topic, number, up, down in zip(*columns.values(), strict=True)
    ]
