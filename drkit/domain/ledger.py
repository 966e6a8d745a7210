"""What a workload's ledger proves: lost, replayed and reordered records are counted, never guessed.

Every record has an id that is never used again, so an attempt whose outcome is unknown and its repetition are two
records. Writers note how each of theirs ended; groups note what they processed and which commits were accepted, in
this order. The words:

- acknowledged: the broker acknowledged the record; in a transaction, it acknowledged the commit.
- lost: acknowledged, and a group that subscribes to its topic has passed it by without processing it. What a group has
  not come to yet is *pending*; after the group has read everything there is to the end (*drained*), it is lost.
- replayed: processed again by a group that had *committed* past it, on whichever side.
- duplicate: processed more than once for any reason, replays among them. A batch whose commit was refused is delivered
  again: duplicates, no replays.
- out of order: an acknowledged record that a group processed for the first time after a later one of the same writer
  and key. (A record whose outcome its writer never learned has no promised place.)
- torn: an entry that was half written when its process was killed. What it said is not known; that it was there is.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

SHOWN: Final = 20
"""Offenders of each kind that are kept."""

KEY_BITS: Final = 12
WRITER_BITS: Final = 4
_SEQUENCE_BITS: Final = 36
_RUN_SHIFT: Final = _SEQUENCE_BITS + KEY_BITS + WRITER_BITS


def record_id(run: int, writer: int, key: int, sequence: int) -> int:
    """The id of a writer's record, 64 bits: run (12), writer (4), key (12), sequence (36).

    Two ids that differ in their sequence only are two records of one writer and key, the later one with the higher id.
    """
    return (((run << WRITER_BITS | writer) << KEY_BITS) | key) << _SEQUENCE_BITS | sequence


def ids_of_run(run: int) -> range:
    """Every id that the writers of a run can give."""
    return range(run << _RUN_SHIFT, (run + 1) << _RUN_SHIFT)


def lane_of(record: int) -> int:
    """What has an order: the writer and the key. Ids within a lane rise in the order of writing."""
    return record >> _SEQUENCE_BITS


class Origin(NamedTuple):
    """One partition on one side."""

    region: str
    topic: str
    partition: int


class Place(NamedTuple):
    """Where a record is."""

    region: str
    topic: str
    partition: int
    offset: int


class Acknowledged(NamedTuple):
    """A record that the broker acknowledged, where it was written, and when (ms since the epoch)."""

    record: int
    place: Place
    at_ms: int


class Delivery(NamedTuple):
    """A record as a group got it: ``place`` is where the group read it, not where it was written first."""

    record: int
    place: Place


@dataclass(slots=True)
class Sightings:
    """How often something was seen, and the first times: a run that reads everything again sees millions."""

    records: int = 0
    first: list[Delivery] = field(default_factory=list)

    def add(self, record: int, origin: Origin, offset: int) -> None:
        """Note one more."""
        self.records += 1
        if len(self.first) < SHOWN:
            self.first.append(Delivery(record, Place(*origin, offset)))


class Outcome(IntEnum):
    """How a record ended for its writer."""

    ACKNOWLEDGED = 0
    FAILED = 1
    """The broker refused it."""
    ABORTED = 2
    """Its transaction was aborted, and the broker said so."""
    UNKNOWN = 3
    """No answer, or the client was given up before one came."""


@dataclass(slots=True)
class WrittenLog:
    """What was acknowledged in one partition on one side: parallel columns, by offset once ``Writes`` is settled."""

    records: array[int] = field(default_factory=lambda: array("Q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    times_ms: array[int] = field(default_factory=lambda: array("q"))

    def add(self, record: int, offset: int, at_ms: int) -> None:
        """Add an acknowledged record."""
        self.records.append(record)
        self.offsets.append(offset)
        self.times_ms.append(at_ms)

    def sort(self) -> None:
        """Order by offset: transactions are acknowledged after records that were written later."""
        order = sorted(range(len(self.offsets)), key=self.offsets.__getitem__)
        self.records = array("Q", [self.records[index] for index in order])
        self.offsets = array("q", [self.offsets[index] for index in order])
        self.times_ms = array("q", [self.times_ms[index] for index in order])


@dataclass(slots=True)
class Writes:
    """Everything that the writers of a run know.

    ``ended_ms``: when they were told to end; None while they write. ``torn``: entries that were half written.
    """

    run: int
    logs: dict[Origin, WrittenLog] = field(default_factory=dict)
    unacknowledged: dict[Outcome, set[int]] = field(
        default_factory=lambda: {outcome: set() for outcome in Outcome if outcome is not Outcome.ACKNOWLEDGED}
    )
    ended_ms: int | None = None
    torn: int = 0
    _acknowledged: set[int] | None = None

    def log(self, origin: Origin) -> WrittenLog:
        """What was acknowledged there, to add to."""
        return self.logs.setdefault(origin, WrittenLog())

    def settle(self) -> None:
        """Order every log; to be called once, after the last record was added."""
        for log in self.logs.values():
            log.sort()

    def at(self, origin: Origin, index: int) -> Acknowledged:
        """One acknowledged record of a settled log."""
        log = self.logs[origin]
        return Acknowledged(log.records[index], Place(*origin, log.offsets[index]), log.times_ms[index])

    def all_acknowledged(self) -> Iterable[Acknowledged]:
        """Every acknowledged record, log by log."""
        return (self.at(origin, index) for origin, log in self.logs.items() for index in range(len(log.records)))

    def count(self) -> int:
        """How many records were acknowledged."""
        return sum(len(log.records) for log in self.logs.values())

    def is_acknowledged(self, record: int) -> bool:
        """Whether the record was acknowledged; to be asked once everything is added."""
        if self._acknowledged is None:
            self._acknowledged = {one for log in self.logs.values() for one in log.records}
        return record in self._acknowledged


@dataclass(frozen=True, slots=True)
class Processed:
    """A batch that a group processed from one partition; ``offsets`` rise."""

    origin: Origin
    records: Sequence[int]
    offsets: Sequence[int]
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """The broker accepted the group's position: the next offset that it reads."""

    origin: Origin
    position: int


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing was written any more, the service was on this side, and the group had read and committed all of it."""

    region: str


@dataclass(frozen=True, slots=True)
class Torn:
    """An entry was half written when the group's process was killed."""


GroupEvent = Processed | Committed | Drained | Torn
