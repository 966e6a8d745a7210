"""When somebody is told that a scheduled job fails, and when that it works again.

One message when it begins to fail and one when it works again, never one per run. A job that soon tries again may fail
for a minute first: a broker that restarts is nothing to wake anybody for. A job that would not try again within that
minute is told of at its first failure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

ALERT_AFTER_SECONDS: Final = 60.0
_SUBJECT_CHARACTERS: Final = 100
_TEXT_CHARACTERS: Final = 8_000


class AlertKind(StrEnum):
    """What is told."""

    FAILING = "failing"
    WORKS_AGAIN = "works again"


@dataclass(frozen=True, slots=True)
class Alert:
    """A message for people. ``subject``: one line of ASCII, as short as an e-mail's has to be for Amazon SNS."""

    kind: AlertKind
    subject: str
    text: str

    @classmethod
    def of(cls, kind: AlertKind, subject: str, text: str) -> Alert:
        """Within what Amazon SNS takes: subjects below 100 characters of ASCII without line breaks (API "Publish")."""
        plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in subject)
        return cls(kind, plain[: _SUBJECT_CHARACTERS - 1], text[:_TEXT_CHARACTERS])


@dataclass(frozen=True, slots=True)
class AlertState:
    """One job. ``told``: the last message said that it fails. Times are of the monotonic clock."""

    failing_since: float | None = None
    failures: int = 0
    told: bool = False

    def after(self, *, failed: bool, now: float) -> AlertState:
        """A run has ended."""
        if not failed:
            return replace(self, failing_since=None, failures=0)
        since = now if self.failing_since is None else self.failing_since
        return replace(self, failing_since=since, failures=self.failures + 1)

    def due(self, now: float, period_seconds: float) -> AlertKind | None:
        """What is to be told now. It stays due until it was ``sent``."""
        if self.failing_since is None:
            return AlertKind.WORKS_AGAIN if self.told else None
        by_the_next = now + period_seconds - self.failing_since
        return AlertKind.FAILING if not self.told and by_the_next >= ALERT_AFTER_SECONDS else None

    def sent(self, kind: AlertKind) -> AlertState:
        """It was told."""
        return replace(self, told=kind is AlertKind.FAILING)
