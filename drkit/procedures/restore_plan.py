"""The plan of a restore: shown, refused, or run; as a document, ``drkit.restore-plan/1``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from drkit.backup.manifest import Manifest
from drkit.domain.change_text import change_text, change_to_json
from drkit.domain.restoration import RESTORABLE, Restoration
from drkit.domain.restore_request import RestoreRequest
from drkit.engine.step import Procedure
from drkit.errors import RefusedError

SCHEMA: Final = "drkit.restore-plan/1"


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """A plan that can be shown, refused or run. ``document``: ``drkit.restore-plan/1``."""

    request: RestoreRequest
    source: str
    target: str
    procedure: Procedure
    found: Restoration
    document: dict[str, Any]

    @property
    def budgets(self) -> Mapping[str, float | None]:
        """The steps in order, each with the longest that it waits, in seconds."""
        return {step.name: step.budget_seconds for step in self.procedure.steps}

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why it must not be run as it was asked for."""
        return tuple(refusal.reason for refusal in self.found.refusals)

    def require_allowed(self) -> None:
        """Raise ``RefusedError`` for what no flag has lifted."""
        if self.refusals:
            flags = " ".join(dict.fromkeys(refusal.flag for refusal in self.found.refusals))
            raise RefusedError("; ".join(self.refusals), hint=f"nothing was changed; to accept this add {flags}")


def plan_document(
    manifest: Manifest,
    target: str,
    cluster_id: str,
    request: RestoreRequest,
    found: Restoration,
    steps: Sequence[tuple[str, str]],
    *,
    now: datetime,
) -> dict[str, Any]:
    """``drkit.restore-plan/1``: keys are only ever added."""
    return {
        "schema": SCHEMA,
        "procedure": "restore",
        "backup": {
            "backup_id": manifest.backup_id,
            "region": manifest.region,
            "cluster_id": manifest.cluster_id,
            "taken_at": manifest.taken_at.isoformat(),
            "age_seconds": round((now - manifest.taken_at).total_seconds(), 3),
        },
        "from": manifest.region,
        "to": target,
        "cluster_id": cluster_id,
        "parts": [part.value for part in RESTORABLE if part in request.choice.parts],
        "replace": request.choice.replace,
        "allowed": not found.refusals,
        "refusals": [{"reason": one.reason, "flag": one.flag} for one in found.refusals],
        "flags": list(dict.fromkeys(one.flag for one in found.refusals)),
        "warnings": list(found.notes),
        "by_hand": list(found.by_hand),
        "counts": _counts(found),
        "changes": [{"text": change_text(change), **change_to_json(change)} for change in found.changes],
        "stays": [
            {"part": one.part.value, "what": one.what, "detail": one.detail, "flag": one.lifted_by or None}
            for one in found.stays
        ],
        "steps": [{"name": name, "does": text} for name, text in steps],
    }


def _counts(found: Restoration) -> dict[str, int]:
    made = Counter(change_to_json(change)["change"] for change in found.changes)
    return {**made, "differences_that_stay": len(found.stays)}
