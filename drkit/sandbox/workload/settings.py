"""What the workload's processes share: where things are, who they are, and the phase they are in."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

_CLOSE_SECONDS: Final = 12.0


class Phase(StrEnum):
    """What the workload does now."""

    RUN = "run"
    DRAIN = "drain"
    """No more writes; every group reads to the end."""
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group: its topics as indexes, and its limit; None keeps up."""

    name: str
    topics: tuple[int, ...]
    records_per_second: float | None


@dataclass(frozen=True, slots=True)
class WorkloadSettings:
    """One workload. ``clients``: region to its applications' librdkafka settings; ``addresses``: address to region."""

    directory: str
    rate: float
    topics: tuple[str, ...]
    groups: tuple[Group, ...]
    clients: dict[str, dict[str, Any]]
    dns_host: str
    dns_port: int
    bootstrap_name: str
    record_type: str

    def save(self) -> Path:
        """Write them for the processes; readable by the owner alone, since they hold the clients' secrets."""
        path = Path(self.directory) / "settings.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))
        return path


def load(path: Path) -> WorkloadSettings:
    """What ``save`` wrote."""
    fields = json.loads(path.read_text())
    groups = tuple(Group(g["name"], tuple(g["topics"]), g["records_per_second"]) for g in fields.pop("groups"))
    return WorkloadSettings(**{**fields, "topics": tuple(fields["topics"])}, groups=groups)


def finish(threads: Sequence[threading.Thread], directory: Path, last: Phase) -> None:
    """Wait for the threads; once ``last`` has come they get a bounded time, then the process ends without them.

    A client of a dead broker may take for ever to close, and the ledger is written batch by batch.
    """
    while any(thread.is_alive() for thread in threads) and read_phase(directory) is Phase.RUN:
        time.sleep(0.2)
    while any(thread.is_alive() for thread in threads) and last is Phase.STOP is not read_phase(directory):
        time.sleep(0.2)
    deadline = time.monotonic() + _CLOSE_SECONDS
    for thread in threads:
        thread.join(timeout=max(0.0, deadline - time.monotonic()))
    os._exit(0)


def read_phase(directory: Path) -> Phase:
    """The phase now."""
    try:
        return Phase((directory / "phase").read_text())
    except (OSError, ValueError):
        return Phase.RUN


def write_phase(directory: Path, phase: Phase) -> None:
    """Change it, in one step."""
    partial = directory / "phase.partial"
    partial.write_text(phase.value)
    partial.rename(directory / "phase")
