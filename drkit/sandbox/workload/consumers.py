"""A consuming process: several groups, each with one member that outlives its clients."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException

from drkit.sandbox.workload.client_health import ClientFailedError, note
from drkit.sandbox.workload.discovery import Discovery, Side
from drkit.sandbox.workload.ledger_file import GroupFile
from drkit.sandbox.workload.reading import Reading
from drkit.sandbox.workload.settings import GroupPlan, Phase, PhaseWatch, WorkloadFiles, WorkloadSettings

_PAUSE_SECONDS: Final = (0.2, 0.5)
_SPARED_PAUSES: Final = 2
"""A side that has just been of no use is tried again after so many more pauses: twenty groups that come back at once
and are refused would keep a broker busy with nothing else. Another side is tried at once."""


class Member:
    """A group's member."""

    def __init__(self, settings: WorkloadSettings, plan: GroupPlan, ledger: GroupFile, watch: PhaseWatch) -> None:
        self._plan = plan
        self._ledger = ledger
        self._watch = watch
        self._discovery = Discovery(settings)
        self._random = random.Random()  # noqa: S311 - jitter

    def run(self) -> None:
        """Process until the phase is STOP; each time that a client has failed, with another one where DNS says."""
        useless: Side | None = None
        pauses = 0
        while self._watch.phase is not Phase.STOP:
            side = self._discovery.locate()
            pauses += 1
            if side is not None and (side != useless or pauses > _SPARED_PAUSES):
                useless = None if self._serve(side) else side
                pauses = 0
            self._watch.wait(self._random.uniform(*_PAUSE_SECONDS), lambda phase: phase is Phase.STOP)

    def _serve(self, side: Side) -> bool:
        """Process with one client until it fails for good or the phase ends; whether it has processed anything."""
        reading = Reading(self._plan, self._ledger, self._watch, self._discovery, side)
        note(f"{self._plan.name}: client on {side.region}")
        try:
            reading.work()
        except (ClientFailedError, KafkaException) as error:
            note(f"{self._plan.name}: gave up its client on {side.region}: {error}")
        finally:
            reading.close()
        return reading.has_processed


def run(settings: WorkloadSettings, files: WorkloadFiles, watch: PhaseWatch, numbers: Sequence[int]) -> None:
    """These groups, by their places, to the end of the workload."""
    members = [
        Member(settings, settings.groups[number], GroupFile(files.group(number), settings.names), watch)
        for number in numbers
    ]
    threads = [threading.Thread(target=member.run, name="group") for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
