"""The ids that a region's topics have had, in the state bucket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from drkit.domain.topic_ids import Incarnation, TopicIds
from drkit.errors import RefusedError
from drkit.ports import ObjectStore, PreconditionFailed, StoredObject

_SCHEMA = "drkit.topic-ids/1"
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class TopicHistory:
    """Reads the ids and adds to them, by compare-and-set."""

    store: ObjectStore
    region: str

    def read(self) -> TopicIds:
        """Every id that was seen; none where nobody looked. Raises ``RefusedError`` if it cannot be read."""
        return self._parsed(self.store.get(self._key))

    def record(self, now: Mapping[str, str], at_ms: int, *, before_ms: int | None = None) -> TopicIds:
        """Add what is seen now; as ``TopicIds.seen``."""
        for _ in range(_ATTEMPTS):
            stored = self.store.get(self._key)
            earlier = self._parsed(stored)
            ids = earlier.seen(now, at_ms, before_ms=before_ms)
            if ids == earlier:
                return ids
            try:
                if stored is None:
                    self.store.create(self._key, _dumped(ids))
                else:
                    self.store.replace(self._key, _dumped(ids), stored.etag)
            except PreconditionFailed:
                # Another watch was here between the two.
                continue
            return ids
        raise RefusedError(f"{self._key} changes all the time", hint="how many watches run?")

    def _parsed(self, stored: StoredObject | None) -> TopicIds:
        if stored is None:
            return TopicIds()
        try:
            document = json.loads(stored.body)
            if document["schema"] != _SCHEMA:
                raise RefusedError(f"{stored.key} is not what this drkit can read", hint="is there a newer drkit?")
            return TopicIds(
                {
                    name: tuple(Incarnation(str(one["id"]), int(one["last_ms"])) for one in known)
                    for name, known in document["topics"].items()
                }
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RefusedError(f"{stored.key} cannot be read: {error!r}", hint="move it away") from error

    @property
    def _key(self) -> str:
        return f"topics/{self.region}.json"


def _dumped(ids: TopicIds) -> bytes:
    topics = {
        name: [{"id": one.topic_id, "last_ms": one.last_ms} for one in known]
        for name, known in sorted(ids.topics.items())
    }
    return json.dumps({"schema": _SCHEMA, "topics": topics}).encode()
