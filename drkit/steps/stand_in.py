"""A directory that stands in for a dark state bucket: whose it is, who is primary, and when it must not be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from drkit.config.models import Settings
from drkit.domain.lineage import Lineage
from drkit.errors import DrkitError, RefusedError, UnreachableError, UsageError
from drkit.ports import ObjectStore, PreconditionFailed
from drkit.steps.lineage_record import LineageRecord

KEY: Final = "stand-in.json"
_SCHEMA: Final = "drkit.stand-in/1"
_PROBE: Final = "stand-in-probe.json"
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class StandIn:
    """``label``: ``local:DIR``. ``store`` is the directory's, ``bucket`` the one that it stands in for.

    ``primary``: the region that is primary until a run that is recorded here has changed the direction.
    """

    label: str
    store: ObjectStore
    bucket: ObjectStore
    primary: str

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not known without the bucket."""
        unseen = (
            f"the state is kept in {self.label}, not in the state bucket: leases, unfinished runs and the lineage "
            "there are not seen, so make sure that nobody else works on this service"
        )
        unknown = (
            "positions that the watch sampled, snapshots and archived offset syncs are in the state bucket: without "
            "them groups may read more again, and topics that were made anew are not recognized"
        )
        return unseen, unknown

    def without(self, run: str) -> RefusedError:
        """Why a run that was begun in the bucket does not go on here.

        Its journal and what undoes it are there, where somebody else may go on with it as soon as the bucket answers.
        """
        return RefusedError(
            f"{self.label} does not hold {run}: one that was begun in the state bucket does not go on without it",
            hint="it goes on when the bucket answers; until then, drkit failover --to REGION moves the service anew, "
            "and finds done what that run has done: once drkit runs upload has brought this there, it is over",
        )

    def require_needed(self) -> None:
        """Raise ``RefusedError`` while the state bucket takes writes, or where its lineage has another primary.

        An object is written there and removed again, for a bucket that can only be read is of no use.
        """
        try:
            lineage = LineageRecord(self.bucket).read()
        except DrkitError:
            return
        here = LineageRecord(self.store).read().primary(self.primary)
        if (there := lineage.primary(here)) != here:
            raise RefusedError(
                f"the lineage in the state bucket has {there} as the primary, and {self.label} has {here}",
                hint="leave --state away, or name another directory and the --primary that the lineage has",
            )
        try:
            self.bucket.delete(_PROBE)
            self.bucket.create(_PROBE, b"{}")
            self.bucket.delete(_PROBE)
        except (DrkitError, PreconditionFailed):
            return
        raise RefusedError(
            f"the state bucket answers: nothing is begun on {self.label} beside it",
            hint="leave --state away; drkit runs upload brings there what was done meanwhile",
        )


def stand_in(
    settings: Settings, label: str, store: ObjectStore, bucket: ObjectStore, *, primary: str | None
) -> StandIn:
    """Open a directory for a service. ``primary``: as the operator says; needed once, where there is no lineage.

    Raises ``RefusedError`` for a directory of another service, without anything that tells the primary, or whose
    records contradict the operator, and ``UsageError`` for an unknown region.
    """
    if primary is not None and primary not in settings.regions:
        raise UsageError(
            f"--primary {primary} is not a region of this service", hint=f"regions: {', '.join(settings.regions)}"
        )
    lineage = LineageRecord(store).read()
    for _ in range(_ATTEMPTS):
        stored = store.get(KEY)
        known = _parsed(settings, label, stored.body) if stored else None
        initial = _initial(settings, label, lineage, known, primary, is_used=_is_used(store))
        if stored is not None and initial == known:
            return StandIn(label, store, bucket, initial)
        try:
            body = json.dumps({"schema": _SCHEMA, "service": _service(settings), "primary": initial}).encode()
            if stored is None:
                store.create(KEY, body)
            else:
                store.replace(KEY, body, stored.etag)
        except PreconditionFailed:
            # Another drkit has begun with it at the same time: what it wrote counts.
            continue
    raise UnreachableError(f"{label} changes all the time", hint="which other drkit works on it?")


def _initial(
    settings: Settings, label: str, lineage: Lineage, known: str | None, primary: str | None, *, is_used: bool
) -> str:
    """The primary to begin with; before any change of direction that is recorded in the directory."""
    if known is None and primary is None and not lineage.epochs:
        raise RefusedError(
            f"{label} holds no lineage, so that nobody knows which region is primary",
            hint=f"name it: drkit --state {label} --primary REGION ...; drkit.yaml says {settings.primary}, which was "
            "true before the first failover: look where the applications write",
        )
    initial = known or settings.primary
    if primary is None or lineage.primary(initial) == primary:
        return initial
    if is_used or lineage.epochs:
        raise RefusedError(
            f"by what {label} holds, {lineage.primary(initial)} is the primary, not {primary}",
            hint="leave --primary away, or name another directory",
        )
    return primary


def _is_used(store: ObjectStore) -> bool:
    return next(iter(store.list("runs/")), None) is not None


def _parsed(settings: Settings, label: str, body: bytes) -> str:
    try:
        document = json.loads(body)
        if document["schema"] != _SCHEMA or document["primary"] not in settings.regions:
            raise RefusedError(f"{label} was begun by another version of drkit", hint="go on with that version")
        service = document["service"]
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{KEY} in {label} cannot be read: {error!r}", hint="name another directory") from error
    if service != _service(settings):
        raise RefusedError(
            f"{label} is the state of another service: {service!r}", hint="each service needs a directory of its own"
        )
    primary: str = document["primary"]
    return primary


def _service(settings: Settings) -> Mapping[str, Any]:
    clusters = {name: region.cluster.cluster_id for name, region in sorted(settings.regions.items())}
    return {"project": settings.project, "environment": settings.environment, "clusters": clusters}
