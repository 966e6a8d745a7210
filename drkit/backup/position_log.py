"""Groups' positions and log ends in the state bucket: a whole table now and then, and what moved since in between.

``positions/REGION/GENERATION/NUMBER-TIME.parquet``: number 0 of a generation is a whole table, each further one holds
what moved until its time (ms since the epoch, also where nothing did: it says that all positions are of then). A
generation has one writer, so that two watches do not disturb each other; who reads takes the one that goes on longest.
``GENERATION/silent-BEGAN-ENDED.json``: the first look that the cluster did not answer, and when it began and ended.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from drkit.backup.position_rows import GONE, Row, gone, read_rows, write_rows
from drkit.domain.kafka import TopicPartition
from drkit.domain.log_samples import LogSample, Silence
from drkit.domain.samples import KnownPositions, PositionSample
from drkit.errors import RefusedError
from drkit.ports import ObjectStore, PreconditionFailed

_KEY = re.compile(r"(?P<number>\d{6})-(?P<at>\d+)\.parquet")
_SILENT = re.compile(r"silent-(?P<began>\d+)-(?P<ended>\d+)\.json")
_LONGEST = 120
"""Objects of one generation: that many are read at a failover."""
_KEPT_MS = 15 * 60 * 1000
"""Generations that ended longer ago are removed, but for the newest two."""
_AT_ONCE = 16


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

    def silences(self) -> list[Silence]:
        """When the cluster did not answer any watch any more, as far as their generations are kept."""
        return [found for key in self.store.list(f"positions/{self.region}/") if (found := _silence(key)) is not None]

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
        rows = list(_all(known) if is_whole or last is None else _moved(last, known))
        about: dict[str, Any] = {**self._about, "as_of_ms": known.as_of_ms, "is_whole": is_whole}
        if is_whole:
            about["topic_ids"] = dict(known.topic_ids)
        body = write_rows(rows, about)
        self._store.create(f"{self._generation}/{self._number:06d}-{known.as_of_ms}.parquet", body)
        self._number += 1
        self._last = known
        return Written(len(rows), len(body), is_whole)

    def note_silence(self, silence: Silence) -> None:
        """Store that the cluster does not answer any more. Nothing where this watch has never seen it answer.

        Raises what the store raises.
        """
        if self._generation:
            key = f"{self._generation}/silent-{silence.began_ms}-{silence.ended_ms}.json"
            with suppress(PreconditionFailed):
                self._store.create(key, json.dumps({**self._about, **silence._asdict()}).encode())

    def forget(self, now_ms: int) -> None:
        """Remove generations that ended long ago, whoever wrote them."""
        generations = self._log.generations()
        ended = sorted(generations, key=lambda generation: generations[generation][-1])[:-2]
        old = [generation for generation in ended if generations[generation][-1][0] < now_ms - _KEPT_MS]
        silent = [key for key in self._store.list(f"positions/{self._log.region}/") if _silence(key) is not None]
        # From the end: what is left of a generation that is removed half-way is still one.
        for generation in old:
            for key in (key for key in silent if key.startswith(f"{generation}/")):
                self._store.delete(key)
            for _, key in reversed(generations[generation]):
                self._store.delete(key)


def _silence(key: str) -> Silence | None:
    match = _SILENT.fullmatch(key.rpartition("/")[2])
    return None if match is None else Silence(int(match["began"]), int(match["ended"]))


def _all(known: KnownPositions) -> Iterator[Row]:
    for group, samples in sorted(known.groups.items()):
        for _, sample in sorted(samples.items()):
            yield group, sample
    yield from (sample for _, sample in sorted(known.logs.items()))


def _moved(before: KnownPositions, now: KnownPositions) -> Iterator[Row]:
    for group, samples in sorted(now.groups.items()):
        earlier = before.groups.get(group, {})
        yield from ((group, sample) for p, sample in sorted(samples.items()) if earlier.get(p) != sample)
    for group, samples in sorted(before.groups.items()):
        left = now.groups.get(group, {})
        yield from ((group, PositionSample(p, GONE, one.at_ms)) for p, one in sorted(samples.items()) if p not in left)
    yield from (sample for p, sample in sorted(now.logs.items()) if before.logs.get(p) != sample)
    yield from (gone(p, one.at_ms) for p, one in sorted(before.logs.items()) if p not in now.logs)


def _folded(objects: Iterable[tuple[str, bytes]]) -> KnownPositions:
    groups: dict[str, dict[TopicPartition, PositionSample]] = {}
    logs: dict[TopicPartition, LogSample] = {}
    as_of_ms = 0
    topic_ids: Mapping[str, str] = {}
    for key, body in objects:
        rows, about = read_rows(body, key)
        as_of_ms, topic_ids = int(about["as_of_ms"]), about.get("topic_ids", topic_ids)
        for row in rows:
            if isinstance(row, LogSample):
                logs[row.partition] = row
            else:
                group, sample = row
                groups.setdefault(group, {})[sample.partition] = sample
    return KnownPositions(
        as_of_ms,
        {
            group: there
            for group, positions in groups.items()
            if (there := {p: one for p, one in positions.items() if one.upstream != GONE})
        },
        topic_ids,
        {p: one for p, one in logs.items() if one.log.end != GONE},
    )
