"""A health probe that answers as told."""

from __future__ import annotations

from collections.abc import Iterable

from drkit.ports import ProbeAnswer, ProbeStatus


class FakeProbe:
    """``drkit.ports.HealthProbe``: the scripted statuses one after the other, then the last one for ever."""

    def __init__(self, name: str, statuses: Iterable[ProbeStatus] = (ProbeStatus.UP,)) -> None:
        self.name = name
        self._statuses = list(statuses)
        self.asked = 0

    def ask(self) -> ProbeAnswer:
        status = self._statuses[min(self.asked, len(self._statuses) - 1)]
        self.asked += 1
        return ProbeAnswer(self.name, status, f"scripted {status}")
