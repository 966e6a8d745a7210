"""A fence of DENY ACLs, with drkit's own bindings on record in the state bucket before they are made."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from drkit.domain.fence import (
    FenceScope,
    consumer_denials,
    consumer_fence,
    producer_denials,
    producer_fence,
)
from drkit.domain.kafka import Acl
from drkit.errors import RefusedError, StalePlanError
from drkit.ports import KafkaReader, KafkaWriter, ObjectStore, PreconditionFailed, StoredObject

_SCHEMA: Final = "drkit.fence/1"
_PRODUCERS: Final = "producers"
_CONSUMERS: Final = "consumers"


@dataclass(frozen=True, slots=True)
class AclFence:
    """``FenceDriver`` for identities that ACLs bind. Only bindings that were not there before are ever removed.

    ``adopts``: for break-glass, when the record of a fence that was put earlier is out of reach. Where there is no
    record, denials exactly as drkit makes them are taken for its own.
    """

    reader: KafkaReader
    writer: KafkaWriter
    store: ObjectStore
    scope: FenceScope
    adopts: bool = False

    def put_producers(self) -> Mapping[str, object]:
        """DENY WRITE under the service's prefix."""
        existing = self.reader.acls()
        return self._put(
            _PRODUCERS, producer_fence(self.scope, list(self.reader.describe_topics()), existing), existing
        )

    def lift_producers(self) -> Mapping[str, object]:
        """Take the denial of writes away."""
        return self._lift(_PRODUCERS)

    def put_consumers(self, groups: Collection[str]) -> Mapping[str, object]:
        """DENY READ on the groups."""
        existing = self.reader.acls()
        return self._put(_CONSUMERS, consumer_fence(self.scope, groups, existing), existing)

    def lift_consumers(self) -> Mapping[str, object]:
        """Take the denial of commits away."""
        return self._lift(_CONSUMERS)

    def is_put(self) -> bool:
        """Whether every denial of the producers' fence is there."""
        existing = self.reader.acls()
        wanted = producer_fence(self.scope, [], existing)
        return all(acl in existing for acl in wanted if acl.permission == "deny")

    def _put(self, part: str, wanted: Sequence[Acl], existing: frozenset[Acl]) -> Mapping[str, object]:
        missing = [acl for acl in wanted if acl not in existing]
        if missing:
            self._record(part, lambda known: [*known, *(acl for acl in missing if acl not in known)])
            self.writer.create_acls(missing)
        return {"added": len(missing), "present": len(wanted) - len(missing)}

    def _lift(self, part: str) -> Mapping[str, object]:
        stored = self.store.get(self._key)
        own = self._read(stored)[part]
        if own:
            self.writer.delete_acls(own)
            self._record(part, lambda _: [])
        return {"removed": len(own)}

    def _record(self, part: str, change: Any) -> None:
        stored = self.store.get(self._key)
        parts = self._read(stored)
        parts[part] = change(parts[part])
        body = json.dumps(
            {"schema": _SCHEMA, **{name: [asdict(acl) for acl in acls] for name, acls in parts.items()}}
        ).encode()
        try:
            if stored is None:
                self.store.create(self._key, body)
            else:
                self.store.replace(self._key, body, stored.etag)
        except PreconditionFailed as error:
            raise StalePlanError(
                f"the record of {self.reader.region}'s fence was changed by another process at the same time",
                hint="run again",
            ) from error

    def _read(self, stored: StoredObject | None) -> dict[str, list[Acl]]:
        if stored is None:
            existing = self.reader.acls() if self.adopts else frozenset()
            return {
                _PRODUCERS: producer_denials(self.scope, existing),
                _CONSUMERS: consumer_denials(self.scope, existing),
            }
        try:
            document = json.loads(stored.body)
            known = {_SCHEMA: (_PRODUCERS, _CONSUMERS)}[document["schema"]]
            return {part: [Acl(**item) for item in document[part]] for part in known}
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedError(
                f"the record of {self.reader.region}'s fence ({self._key}) cannot be read: {error!r}",
                hint="without it drkit cannot tell its own ACLs from others'; restore an earlier version of the object",
            ) from error

    @property
    def _key(self) -> str:
        return f"fences/{self.reader.region}.json"
