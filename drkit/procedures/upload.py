"""The way back from break-glass: what a directory holds goes into the state bucket, where nothing is overwritten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from drkit.domain.lineage import EpochState, Lineage
from drkit.engine import journal as journals
from drkit.engine.holder import parse_holder
from drkit.engine.lease import Lease
from drkit.errors import RefusedError, StalePlanError, UsageError
from drkit.ports import Clock, ObjectStore, PreconditionFailed, Progress
from drkit.procedures.answers import ThisProcess
from drkit.steps import stand_in as stand_ins
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.stand_in import StandIn

_LEASE: Final = "lease.json"
_LINEAGE: Final = "lineage.json"
_FENCES: Final = "fences/"
_TOPICS: Final = "topics/"
_STAYS: Final = (_LEASE, _LINEAGE, stand_ins.KEY)


@dataclass(frozen=True, slots=True)
class Upload:
    """Copies objects that the bucket lacks, then joins fences and lineage. Safe to repeat."""

    found: StandIn | None
    clock: Clock
    process: ThisProcess
    lease_seconds: float
    progress: Progress = lambda _: None

    def run(self) -> dict[str, Any]:
        """``drkit.upload/1``.

        Raises ``UsageError`` without a directory, ``RefusedError`` where a run in it is unfinished, or where the bucket
        has another object under a key, or a lineage that the directory's does not continue (nothing is written then),
        ``LeaseHeldError`` while somebody works on the service, ``StalePlanError`` if somebody changed the bucket.
        """
        if self.found is None:
            raise UsageError("there is nothing to upload", hint="drkit --state local:DIR runs upload")
        here, bucket = self.found.store, self.found.bucket
        self._require_finished(here)
        lease = self._lease(bucket)
        held = bucket.get(_LEASE)
        holder = parse_holder(held.body) if held else None
        lease.acquire(holder.run_id if holder is not None and holder.is_held else "upload")
        try:
            lineage = _joined(LineageRecord(bucket).read(), LineageRecord(here).read(), self.found)
            missing = _missing(here, bucket)
            for key, body in missing.items():
                lease.ensure_held()
                _create(bucket, key, body)
            fences = [key for key in here.list(_FENCES) if _join_fence(here, bucket, key)]
            lease.ensure_held()
            # Last: from here on everybody sees the new primary.
            LineageRecord(bucket).change(lambda _: lineage)
        finally:
            lease.release()
        return {
            "schema": "drkit.upload/1",
            "from": self.found.label,
            "uploaded": sorted([*missing, *fences]),
            "primary": lineage.primary(self.found.primary),
        }

    def _require_finished(self, here: ObjectStore) -> None:
        for run_id in journals.run_ids(here)[:1]:
            phase = journals.load(here, run_id).phase
            if not phase.is_final:
                raise RefusedError(
                    f"run {run_id} is unfinished ({phase.value})",
                    hint=f"drkit resume {run_id} goes on with it, drkit abort {run_id} undoes it",
                )

    def _lease(self, bucket: ObjectStore) -> Lease:
        return Lease(
            bucket,
            self.clock,
            owner=self.process.owner,
            seconds=self.lease_seconds,
            is_gone=self.process.is_gone,
            progress=self.progress,
        )


def _missing(here: ObjectStore, bucket: ObjectStore) -> dict[str, bytes]:
    """What the bucket lacks. Raises ``RefusedError`` if it has something else under a key."""
    missing, others = {}, []
    there = set(bucket.list(""))
    for key in here.list(""):
        stored = None if key in _STAYS or key.startswith(_FENCES) else here.get(key)
        if stored is None:
            continue
        if key not in there:
            missing[key] = stored.body
            continue
        known = bucket.get(key)
        # The ids that topics had are the watch's to record: the bucket knows more of them.
        if not key.startswith(_TOPICS) and (known is None or known.body != stored.body):
            others.append(key)
    if others:
        raise RefusedError(
            f"the state bucket has other objects under {len(others)} keys (first {others[0]}): nothing was uploaded",
            hint="is it the directory of this incident? Objects in the bucket are never overwritten",
        )
    return missing


def _joined(bucket: Lineage, here: Lineage, found: StandIn) -> Lineage:
    """The bucket's epochs, then those that only the directory has."""
    changed = [e.run_id for e in here.epochs if (known := bucket.of_run(e.run_id)) is not None and known != e]
    new = [epoch for epoch in here.epochs if bucket.of_run(epoch.run_id) is None]
    first = next((epoch for epoch in new if epoch.state is EpochState.IN_FORCE), None)
    if changed or (first is not None and bucket.primary(first.source) != first.source):
        raise RefusedError(
            f"the lineage in the state bucket has {bucket.primary(found.primary)} as the primary, and that in "
            f"{found.label} does not continue it: nothing was uploaded",
            hint="somebody has moved the service meanwhile: find out where applications write before anything else",
        )
    return Lineage((*bucket.epochs, *new))


def _join_fence(here: ObjectStore, bucket: ObjectStore, key: str) -> bool:
    """Bindings that either record has are drkit's own; whether the bucket's record was changed."""
    stored, known = here.get(key), bucket.get(key)
    if stored is None:
        return False
    if known is None:
        _create(bucket, key, stored.body)
        return True
    ours, theirs = json.loads(stored.body), json.loads(known.body)
    both = {name: _union(theirs[name], ours[name]) if name != "schema" else ours[name] for name in ours}
    if both == theirs:
        return False
    try:
        bucket.replace(key, json.dumps(both).encode(), known.etag)
    except PreconditionFailed as error:
        raise _changed(key) from error
    return True


def _union(one: list[Mapping[str, str]], other: list[Mapping[str, str]]) -> list[Mapping[str, str]]:
    return [*one, *(binding for binding in other if binding not in one)]


def _create(bucket: ObjectStore, key: str, body: bytes) -> None:
    try:
        bucket.create(key, body)
    except PreconditionFailed as error:
        stored = bucket.get(key)
        # An answer that was lost: the object is this one.
        if stored is None or stored.body != body:
            raise _changed(key) from error


def _changed(key: str) -> StalePlanError:
    return StalePlanError(
        f"{key} in the state bucket was changed by another process at the same time", hint="upload again"
    )
