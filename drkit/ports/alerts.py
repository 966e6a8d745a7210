"""Somebody who is told when a scheduled job fails."""

from __future__ import annotations

from typing import Protocol

from drkit.domain.alerts import Alert


class Alerter(Protocol):
    """A way to tell people."""

    @property
    def name(self) -> str:
        """Where the messages go."""

    def send(self, alert: Alert) -> None:
        """Send it once. Raises ``RefusedError`` where there is no such receiver, and what every port raises.

        After ``UnreachableError`` it may have been sent all the same: to send again may tell people twice.
        """
