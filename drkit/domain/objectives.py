"""Whether a forecast is within the objectives, or within the risks that the operator has accepted.

An unknown figure is never within an objective, and an estimate is not either, as nothing bounds it: what it may come to
can be accepted by its number, as an unknown figure cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drkit.domain.lag import Amount, AtMost, Estimated, Exactly, NotKnown, amount_text

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
        at_most = may_come_to(self.amount)
        return self.accepted is not None and at_most is not None and at_most <= self.accepted

    @property
    def lifting_flag(self) -> str:
        at_most = may_come_to(self.amount)
        if isinstance(self.amount, Estimated) and at_most is not None:
            # It may grow while it is thought about, and its last digits mean nothing.
            at_most = rounded_up(at_most)
        return f"{self.flag} {'unknown' if at_most is None else at_most}"


def may_come_to(amount: Amount) -> int | None:
    """The number that has to be accepted of an amount; None where no number will do."""
    match amount:
        case Exactly(records) | AtMost(records):
            return records
        case Estimated(_, _, highest):
            return highest
        case NotKnown():
            return None


def rounded_up(records: int) -> int:
    """The next number of two digits and zeros."""
    unit: int = 10 ** max(0, len(str(records)) - 2)
    return -(-records // unit) * unit


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
        case Estimated():
            lost = amount_text(forecast.loss)
            return (
                f"{lost} records would be lost; the objective is {limits.rpo_records}, and an estimate is no bound",
                *_age_reasons(forecast, limits),
            )
        case Exactly(records) | AtMost(records):
            if records <= limits.rpo_records:
                return _age_reasons(forecast, limits)
            bound = _bound(forecast.loss)
            return (
                f"{bound} {records} records would be lost; the objective is {limits.rpo_records}",
                *_age_reasons(forecast, limits),
            )


def _age_reasons(forecast: Forecast, limits: Limits) -> tuple[str, ...]:
    if forecast.loss_seconds is None:
        return (f"the age of what would be lost is unknown; the objective is {limits.rpo_seconds:g} s",)
    if forecast.loss_seconds > limits.rpo_seconds:
        return (f"{forecast.loss_seconds:.1f} s of records would be lost; the objective is {limits.rpo_seconds:g} s",)
    return ()


def _replay_reasons(forecast: Forecast, limits: Limits) -> tuple[str, ...]:
    match forecast.replay:
        case NotKnown(reason):
            return (f"the number of records that groups would read again is unknown: {reason}",)
        case Estimated():
            again, limit = amount_text(forecast.replay), limits.replay_records
            return (f"groups would read {again} records again; the objective is {limit}, and an estimate is no bound",)
        case Exactly(records) | AtMost(records) if records > limits.replay_records:
            bound = _bound(forecast.replay)
            return (f"groups would read {bound} {records} records again; the objective is {limits.replay_records}",)
        case _:
            return ()


def _bound(amount: Amount) -> str:
    return "up to" if isinstance(amount, AtMost) else "exactly"
