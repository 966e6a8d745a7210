"""What the workload's processes share: where things are, who they are, and the phase that they are in."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from drkit.sandbox.directory import write_atomically
from drkit.sandbox.workload.ledger_file import Names

_POLL_SECONDS: Final = 0.1


class Phase(StrEnum):
    """What the workload does now."""

    RUN = "run"
    END_WRITES = "end-writes"
    DRAIN = "drain"
    """Nothing is written any more, and every group reads to the end."""
    STOP = "stop"


class Role(StrEnum):
    """What a process of the workload does."""

    PRODUCERS = "producers"
    CONSUMERS = "consumers"


def process_name(role: Role, part: int) -> str:
    """The name of a process among those of the sandbox."""
    return f"workload-{role}-{part}"


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """A consumer group: the topics that it subscribes to, and how much it processes; None keeps up."""

    name: str
    topics: tuple[str, ...]
    records_per_second: float | None


@dataclass(frozen=True, slots=True)
class WriterPlan:
    """A producer; ``number`` is unique within the run."""

    number: int
    name: str
    records_per_second: float
    transactional: bool


@dataclass(frozen=True, slots=True)
class WorkloadSettings:
    """One run of the workload. ``clients``: region to the application's librdkafka settings."""

    run: int
    rate: float
    topics: tuple[str, ...]
    writers: tuple[WriterPlan, ...]
    groups: tuple[GroupPlan, ...]
    clients: dict[str, dict[str, Any]]
    dns_address: str
    dns_port: int
    bootstrap_name: str
    record_type: str

    @property
    def names(self) -> Names:
        """What the ledger's numbers stand for."""
        return Names(tuple(self.clients), self.topics)


class WorkloadFiles:
    """The files of a workload; the sandbox removes the directory with itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._settings = directory / "settings.json"
        self._phase = directory / "phase"
        self._writes_ended = directory / "writes-ended"

    def writer(self, plan: WriterPlan) -> Path:
        """A writer's ledger."""
        return self.directory / f"writer-{plan.number:02}.ledger"

    def group(self, number: int) -> Path:
        """A group's ledger, by its place among the groups."""
        return self.directory / f"group-{number:02}.ledger"

    def save(self, settings: WorkloadSettings) -> None:
        """Begin a run: its settings, and no ledger yet. Only the owner can read it: it holds the clients' password."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self.directory.iterdir():
            left.unlink()
        write_atomically(self._settings, json.dumps(asdict(settings), indent=1))
        self.set_phase(Phase.RUN)

    def load(self) -> WorkloadSettings | None:
        """The newest run's settings; None if there was none."""
        if not self._settings.exists():
            return None
        fields = json.loads(self._settings.read_text())
        fields["topics"] = tuple(fields["topics"])
        fields["writers"] = tuple(WriterPlan(**plan) for plan in fields["writers"])
        fields["groups"] = tuple(GroupPlan(**{**plan, "topics": tuple(plan["topics"])}) for plan in fields["groups"])
        return WorkloadSettings(**fields)

    def set_phase(self, phase: Phase) -> None:
        """Tell every process."""
        write_atomically(self._phase, phase.value)

    def phase(self) -> Phase:
        """The phase now. Where the file is gone the sandbox is, too: an end for whoever is left."""
        try:
            return Phase(self._phase.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return Phase.STOP

    def end_writes(self, at_ms: int) -> None:
        """Tell the writers to end, and note when that was; a second time changes nothing."""
        if self.writes_ended_ms() is None:
            write_atomically(self._writes_ended, str(at_ms))
        self.set_phase(Phase.END_WRITES)

    def writes_ended_ms(self) -> int | None:
        """When the writers were told to end, in ms since the epoch; None while they write."""
        try:
            return int(self._writes_ended.read_text())
        except FileNotFoundError:
            return None

    def note_end(self, process: str, how: str) -> None:
        """Leave word of how a process ended."""
        write_atomically(self._end(process), how)

    def forget_end(self, process: str) -> None:
        """The process lives (again)."""
        self._end(process).unlink(missing_ok=True)

    def end(self, process: str) -> str | None:
        """How the process ended; None if it has left no word: it lives, or was killed."""
        with suppress(FileNotFoundError):
            return self._end(process).read_text()
        return None

    def _end(self, process: str) -> Path:
        return self.directory / f"{process}.end"


class PhaseWatch:
    """The phase as one process sees it, at most ``_POLL_SECONDS`` late."""

    def __init__(self, files: WorkloadFiles) -> None:
        self._files = files
        self._changed = threading.Condition()
        self._phase = files.phase()
        threading.Thread(target=self._watch, name="phase", daemon=True).start()

    @property
    def phase(self) -> Phase:
        """The phase now."""
        return self._phase

    def wait(self, seconds: float, leaves: Callable[[Phase], bool]) -> bool:
        """Wait so long, or until the phase is one that leaves; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: leaves(self._phase), seconds)

    def _watch(self) -> None:
        while self._phase is not Phase.STOP:
            time.sleep(_POLL_SECONDS)
            phase = self._files.phase()
            with self._changed:
                if phase is not self._phase:
                    self._phase = phase
                    self._changed.notify_all()
