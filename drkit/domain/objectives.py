"""Whether a forecast is within the objectives, or within the risks that the operator has accepted.

An unknown figure is never within an objective.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drkit.domain.lag import Amount, AtMost, Exactly, NotKnown

Acceptance = int | Literal["unknown"] | None
"""``--accept-loss`` and ``--accept-replay``: a number of records, ``unknown`` (any number), or not given."""


def as_acceptance(value: object) -> Acceptance:
    """What a journal holds of an acceptance; what is none accepts nothing."""
    if value == "unknown":
        return "unknown"
    return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a move would cost. ``loss_seconds``: age of the oldest record that would be lost; None if not known."""

    loss: Amount
    loss_seconds: float | None
    replay: Amount


@dataclass(frozen=True, slots=True)
class Limits:
    """The objectives that a forecast is held against."""

    rpo_records: int
    rpo_seconds: float
    replay_records: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The risks that the operator has accepted."""

    loss: Acceptance = None
    replay: Acceptance = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """Within the objectives, or above them and accepted: ``accepted`` says which flag lifted what."""

    accepted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Above the objectives: why, and the flags that would lift it."""

    reasons: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Risk:
    reasons: tuple[str, ...]
    amount: Amount
    flag: str
    accepted: Acceptance

    @property
    def is_lifted(self) -> bool:
        if self.accepted == "unknown":
            return True
        return (
            self.accepted is not None and not isinstance(self.amount, NotKnown) and self.amount.records <= self.accepted
        )

    @property
    def lifting_flag(self) -> str:
        return f"{self.flag} {'unknown' if isinstance(self.amount, NotKnown) else self.amount.records}"


def hold_against(forecast: Forecast, limits: Limits, accepted: Accepted) -> Allowed | Refused:
    """Whether the move may be made.

    A loss is above its objective when it may be more than ``rpo_records``, or when it may be any record at all and
    that record is, or may be, older than ``rpo_seconds``. Accepting N records accepts their age too.
    """
    loss, replay = _loss_reasons(forecast, limits), _replay_reasons(forecast, limits)
    risks = [
        _Risk(loss, forecast.loss, "--accept-loss", accepted.loss),
        _Risk(replay, forecast.replay, "--accept-replay", accepted.replay),
    ]
    refused = [risk for risk in risks if risk.reasons and not risk.is_lifted]
    if refused:
        return Refused(
            tuple(reason for risk in refused for reason in risk.reasons), tuple(risk.lifting_flag for risk in refused)
        )
    return Allowed(
        tuple(f"{risk.flag} {risk.accepted}: {reason}" for risk in risks if risk.reasons for reason in risk.reasons)
    )


def _loss_reasons(forecast: Forecast, limits: Limits) -> tuple[str, ...]:
    match forecast.loss:
        case NotKnown(reason):
            return (f"the number of records that would be lost is unknown: {reason}",)
        case Exactly(0) | AtMost(0):
            return ()
        case Exactly(records) | AtMost(records):
            reasons = []
            if records > limits.rpo_records:
                bound = _bound(forecast.loss)
                reasons.append(f"{bound} {records} records would be lost; the objective is {limits.rpo_records}")
            if forecast.loss_seconds is None:
                reasons.append(f"the age of what would be lost is unknown; the objective is {limits.rpo_seconds:g} s")
            elif forecast.loss_seconds > limits.rpo_seconds:
                reasons.append(
                    f"{forecast.loss_seconds:.1f} s of records would be lost; the objective is {limits.rpo_seconds:g} s"
                )
            return tuple(reasons)


def _replay_reasons(forecast: Forecast, limits: Limits) -> tuple[str, ...]:
    match forecast.replay:
        case NotKnown(reason):
            return (f"the number of records that groups would read again is unknown: {reason}",)
        case Exactly(records) | AtMost(records) if records > limits.replay_records:
            bound = _bound(forecast.replay)
            return (f"groups would read {bound} {records} records again; the objective is {limits.replay_records}",)
        case _:
            return ()


def _bound(amount: Amount) -> str:
    return "up to" if isinstance(amount, AtMost) else "exactly"
