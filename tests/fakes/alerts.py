"""Somebody to tell, in memory, with faults on demand."""

from __future__ import annotations

from drkit.domain.alerts import Alert
from tests.fakes.scripted import Scripted


class FakeAlerter(Scripted):
    """``drkit.ports.Alerter``."""

    name = "the people on call"

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Alert] = []

    def send(self, alert: Alert) -> None:
        fault = self._begin("send", alert.subject)
        self.received.append(alert)
        self._end(fault, "send", alert.subject)
