"""Groups' positions in the state bucket: a whole table now and then, and what moved since in between.

``positions/REGION/GENERATION/NUMBER-TIME.parquet``: number 0 of a generation is a whole table, each further one holds
what moved until its time (ms since the epoch, also where nothing did: it says that all positions are of then). A
generation has one writer, so that two watches do not disturb each other; who reads takes the one that goes on longest.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from drkit.backup.tables import read_table, write_table
from drkit.domain.kafka import TopicPartition
from drkit.domain.samples import GroupSamples, KnownPositions, Mark, PositionSample, RecordMark
from drkit.errors import RefusedError
from drkit.ports import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

_SCHEMA = "drkit.positions/1"
_KEY = re.compile(r"(?P<number>\d{6})-(?P<at>\d+)\.parquet")
_GONE = -1
_LONGEST = 120
"""Objects of one generation: that many are read at a failover."""
_KEPT_MS = 15 * 60 * 1000
"""Generations that ended longer ago are removed, but for the newest two."""
_AT_ONCE = 16
_DIGEST_BYTES = 16

Row = tuple[str, PositionSample]


@dataclass(frozen=True, slots=True)
class Written:
    """What one call of ``PositionWriter.write`` stored; ``is_whole``: every position, in a generation of its own."""

    rows: int
    size_bytes: int
    is_whole: bool


@dataclass(slots=True)
class PositionLog:
    """What the watch of a region's cluster has stored, by any process. What was read is read again when it changes."""

    store: ObjectStore
    region: str
    _read: tuple[list[tuple[int, str]], KnownPositions] | None = None

    def newest(self) -> KnownPositions | None:
        """The newest positions; None if there never was a watch. Raises ``RefusedError`` for what cannot be read."""
        for _ in range(2):
            generations = self.generations()
            if not generations:
                return None
            entries = max(generations.values(), key=lambda entries: entries[-1])
            if self._read is not None and self._read[0] == entries:
                return self._read[1]
            bodies = self._bodies([key for _, key in entries])
            if bodies is not None:
                self._read = entries, _folded(bodies)
                return self._read[1]
        raise RefusedError(f"the positions of {self.region} change while they are read", hint="try again")

    def generations(self) -> Mapping[str, list[tuple[int, str]]]:
        """Per generation, time and key of each object up to the first gap, in order."""
        found: dict[str, dict[int, tuple[int, str]]] = {}
        for key in self.store.list(f"positions/{self.region}/"):
            generation, _, name = key.rpartition("/")
            if match := _KEY.fullmatch(name):
                found.setdefault(generation, {})[int(match["number"])] = (int(match["at"]), key)
        whole = {
            generation: [objects[number] for number in takewhile(objects.__contains__, range(len(objects)))]
            for generation, objects in sorted(found.items())
        }
        return {generation: entries for generation, entries in whole.items() if entries}

    def _bodies(self, keys: list[str]) -> list[tuple[str, bytes]] | None:
        with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="positions") as pool:
            objects = list(pool.map(self.store.get, keys))
        # One that is gone was removed by a watch after it was listed.
        found = [(one.key, one.body) for one in objects if one is not None]
        return found if len(found) == len(keys) else None


class PositionWriter:
    """Stores what one watch sees of a region's groups. ``about``: what else the objects are to say of themselves."""

    def __init__(self, store: ObjectStore, region: str, about: Mapping[str, str]) -> None:
        self._log = PositionLog(store, region)
        self._store = store
        self._about = {**about, "region": region}
        self._generation = ""
        self._number = 0
        self._last: KnownPositions | None = None

    def write(self, known: KnownPositions) -> Written:
        """Store these positions: what changed since the last call, or all of them.

        Raises what the store raises; the next call then stores all of them, as nobody knows what was stored.
        """
        last, self._last = self._last, None
        is_whole = last is None or self._number >= _LONGEST or last.topic_ids != known.topic_ids
        if is_whole:
            moment = datetime.fromtimestamp(known.as_of_ms / 1000, UTC)
            self._generation = f"positions/{self._log.region}/{moment:%Y%m%dt%H%M%S.%fz}-{secrets.token_hex(4)}"
            self._number = 0
        rows = list(_all(known.groups) if is_whole or last is None else _moved(last.groups, known.groups))
        about: dict[str, Any] = {**self._about, "as_of_ms": known.as_of_ms, "is_whole": is_whole}
        if is_whole:
            about["topic_ids"] = dict(known.topic_ids)
        body = write_table(_SCHEMA, _columns(), _to_columns(rows), about)
        self._store.create(f"{self._generation}/{self._number:06d}-{known.as_of_ms}.parquet", body)
        self._number += 1
        self._last = known
        return Written(len(rows), len(body), is_whole)

    def forget(self, now_ms: int) -> None:
        """Remove generations that ended long ago, whoever wrote them."""
        generations = self._log.generations()
        ended = sorted(generations, key=lambda generation: generations[generation][-1])[:-2]
        old = [generation for generation in ended if generations[generation][-1][0] < now_ms - _KEPT_MS]
        # From the end: what is left of a generation that is removed half-way is still one.
        for generation in old:
            for _, key in reversed(generations[generation]):
                self._store.delete(key)


def _all(groups: GroupSamples) -> Iterator[Row]:
    for group, samples in sorted(groups.items()):
        for _, sample in sorted(samples.items()):
            yield group, sample


def _moved(before: GroupSamples, now: GroupSamples) -> Iterator[Row]:
    for group, samples in sorted(now.items()):
        earlier = before.get(group, {})
        yield from ((group, sample) for p, sample in sorted(samples.items()) if earlier.get(p) != sample)
    for group, samples in sorted(before.items()):
        left = now.get(group, {})
        yield from ((group, PositionSample(p, _GONE, one.at_ms)) for p, one in sorted(samples.items()) if p not in left)


def _folded(objects: Iterable[tuple[str, bytes]]) -> KnownPositions:
    groups: dict[str, dict[TopicPartition, PositionSample]] = {}
    as_of_ms = 0
    topic_ids: Mapping[str, str] = {}
    for key, body in objects:
        columns, about = read_table(_SCHEMA, _columns(), body, key)
        as_of_ms, topic_ids = int(about["as_of_ms"]), about.get("topic_ids", topic_ids)
        for group, sample in _from_columns(columns):
            positions = groups.setdefault(group, {})
            if sample.upstream == _GONE:
                positions.pop(sample.partition, None)
            else:
                positions[sample.partition] = sample
    return KnownPositions(as_of_ms, {group: positions for group, positions in groups.items() if positions}, topic_ids)


def _columns() -> pa.Schema:
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


def _to_columns(rows: list[Row]) -> dict[str, list[Any]]:
    samples = [sample for _, sample in rows]
    return {
        "group": [group for group, _ in rows],
        "topic": [one.partition.topic for one in samples],
        "partition": [one.partition.partition for one in samples],
        "upstream": [one.upstream for one in samples],
        "at_ms": [one.at_ms for one in samples],
        "first_offset": [None if one.first is None else one.first.offset for one in samples],
        "first_digest": [None if one.first is None else one.first.digest for one in samples],
        "before_offset": [None if one.before is None else one.before.offset for one in samples],
        "before_digest": [None if one.before is None else one.before.digest for one in samples],
    }


def _from_columns(columns: Mapping[str, list[Any]]) -> Iterator[Row]:
    partitions: dict[tuple[str, int], TopicPartition] = {}
    for group, topic, number, upstream, at_ms, first, first_digest, before, before_digest in zip(
        *columns.values(), strict=True
    ):
        partition = partitions.setdefault((topic, number), TopicPartition(topic, number))
        yield (
            group,
            PositionSample(partition, upstream, at_ms, _mark(first, first_digest), _mark(before, before_digest)),
        )


def _mark(offset: int | None, digest: bytes | None) -> Mark | None:
    return None if offset is None or digest is None else RecordMark(offset, digest)
