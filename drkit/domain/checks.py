"""What a verification consists of: named checks, each with an outcome, and a total."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from drkit.domain.lag import Amount, amount_to_json

SHOWN_ITEMS: Final = 20
"""How many differences of one check are listed; the detail says how many there are."""


class CheckOutcome(StrEnum):
    """``not_checked`` is no success: it says that nothing was proved."""

    OK = "ok"
    DIFFERENCE = "difference"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was compared and with what result; ``items`` lists the first differences.

    ``lost``: data records that the new primary does not have, where the check counts them: ``old-side`` those behind
    the cut, ``record-counts`` those before it.
    """

    name: str
    outcome: CheckOutcome
    detail: str
    items: tuple[str, ...] = ()
    lost: Amount | None = None


def ok(name: str, detail: str) -> Check:
    """A check that found everything as it should be."""
    return Check(name, CheckOutcome.OK, detail)


def not_checked(name: str, reason: str) -> Check:
    """A check that could not be made."""
    return Check(name, CheckOutcome.NOT_CHECKED, reason)


def compared(name: str, differences: Sequence[str], detail_if_ok: str, *, of: str) -> Check:
    """A check that is ok without differences; ``of`` says of what they are (``30 partitions``)."""
    if not differences:
        return ok(name, detail_if_ok)
    noun = "difference" if len(differences) == 1 else "differences"
    return Check(name, CheckOutcome.DIFFERENCE, f"{len(differences)} {noun} in {of}", tuple(differences[:SHOWN_ITEMS]))


@dataclass(frozen=True, slots=True)
class Verification:
    """All checks, in the order in which they were made."""

    checks: tuple[Check, ...]

    @property
    def outcome(self) -> CheckOutcome:
        """Difference if one check found any; else not checked if one was not; else ok."""
        outcomes = {check.outcome for check in self.checks}
        for worst in (CheckOutcome.DIFFERENCE, CheckOutcome.NOT_CHECKED):
            if worst in outcomes:
                return worst
        return CheckOutcome.OK if outcomes else CheckOutcome.NOT_CHECKED

    def of(self, *outcomes: CheckOutcome) -> tuple[Check, ...]:
        """The checks with one of these outcomes."""
        return tuple(check for check in self.checks if check.outcome in outcomes)


def verification_to_json(verification: Verification) -> dict[str, Any]:
    """``{outcome, checks: [{name, outcome, detail, differences}]}``; ``lost`` is an amount, where a check counts it."""
    return {"outcome": verification.outcome.value, "checks": [_check_to_json(check) for check in verification.checks]}


def _check_to_json(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "outcome": check.outcome.value,
        "detail": check.detail,
        "differences": list(check.items),
        **({} if check.lost is None else {"lost": amount_to_json(check.lost)}),
    }


def listed(names: Iterable[object], limit: int = 3) -> str:
    """``a, b, c and 4 more``."""
    texts = [str(name) for name in names]
    shown = ", ".join(texts[:limit])
    return shown if len(texts) <= limit else f"{shown} and {len(texts) - limit} more"
