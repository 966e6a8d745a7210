"""What a workload's ledger proves: lost, replayed and reordered records are counted, never guessed.

A record's id is ``producer | key | sequence``; it is never used twice, so an attempt whose outcome is unknown and its
repetition are two records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

SCHEMA: Final = "drkit.ledger/1"

_KEY_BITS: Final = 16
_SEQUENCE_BITS: Final = 40
_SHOWN: Final = 20


def record_id(producer: int, key: int, sequence: int) -> int:
    """The id of a producer's record; 64 bits."""
    return (producer << (_KEY_BITS + _SEQUENCE_BITS)) | (key << _SEQUENCE_BITS) | sequence


class Place(NamedTuple):
    """Where a record is: region, topic, partition, offset."""

    region: str
    topic: str
    partition: int
    offset: int


class Acknowledged(NamedTuple):
    """A record that the brokers acknowledged (in a transaction: when it was committed)."""

    record: int
    place: Place
    at: float
    """Seconds since the epoch."""


class Processed(NamedTuple):
    """A record that a group processed."""

    record: int
    place: Place


class Committed(NamedTuple):
    """The group's commit of everything that it processed since the last one was accepted."""


class Abandoned(NamedTuple):
    """A commit was refused, or the client was replaced: what was processed since the last commit comes again."""


GroupEvent = Processed | Committed | Abandoned


@dataclass(slots=True)
class GroupFindings:
    """One group's figures. ``duplicates``: processed more than once for any reason, ``replayed`` among them."""

    processed: int = 0
    duplicates: int = 0
    replayed: list[Processed] = field(default_factory=list)
    out_of_order: list[Processed] = field(default_factory=list)
    lost: list[Acknowledged] = field(default_factory=list)


def judge_group(events: Iterable[GroupEvent], acknowledged: Iterable[Acknowledged]) -> GroupFindings:
    """Hold a group's history against what was acknowledged on its topics.

    Replayed: processed again although the group had *committed* past it, on whichever side. Out of order: processed for
    the first time after a later record of the same producer and key was. Lost: acknowledged and never processed.
    """
    found = GroupFindings()
    seen: set[int] = set()
    committed: set[int] = set()
    pending: list[int] = []
    newest: dict[tuple[int, str], int] = {}
    for event in events:
        match event:
            case Processed(record, place):
                found.processed += 1
                pending.append(record)
                if record in seen:
                    found.duplicates += 1
                    if record in committed:
                        found.replayed.append(event)
                    continue
                seen.add(record)
                lane = (record >> _SEQUENCE_BITS, place.topic)
                if record < newest.get(lane, -1):
                    found.out_of_order.append(event)
                newest[lane] = max(record, newest.get(lane, -1))
            case Committed():
                committed.update(pending)
                pending.clear()
            case Abandoned():
                pending.clear()
    found.lost = [one for one in acknowledged if one.record not in seen]
    return found


def write_outage(acknowledged: Sequence[Acknowledged]) -> tuple[float, float]:
    """The longest time without an acknowledgement in seconds, and when it began; (0, 0) for fewer than two."""
    times = sorted(one.at for one in acknowledged)
    gaps = [(after - before, before) for before, after in pairwise(times)]
    return max(gaps, default=(0.0, 0.0))


def report(acknowledged: Sequence[Acknowledged], groups: Mapping[str, GroupFindings]) -> dict[str, Any]:
    """``drkit.ledger/1``. ``lost`` counts records that at least one of their groups never processed."""
    outage_seconds, began = write_outage(acknowledged)
    lost = {one.record: one for found in groups.values() for one in found.lost}
    sides: dict[str, int] = {}
    for one in acknowledged:
        sides[one.place.region] = sides.get(one.place.region, 0) + 1
    replayed = [(group, one) for group, found in groups.items() for one in found.replayed]
    reordered = [(group, one) for group, found in groups.items() for one in found.out_of_order]
    return {
        "schema": SCHEMA,
        "acknowledged": len(acknowledged),
        "acknowledged_at": sides,
        "processed": sum(found.processed for found in groups.values()),
        "lost": len(lost),
        "replayed": len(replayed),
        "duplicates": sum(found.duplicates for found in groups.values()),
        "out_of_order": len(reordered),
        "write_outage_seconds": round(outage_seconds, 3),
        "write_outage_began": began,
        "offenders": {
            "lost": [_shown(one.record, one.place) for one in list(lost.values())[:_SHOWN]],
            "replayed": [{"group": group, **_shown(*one)} for group, one in replayed[:_SHOWN]],
            "out_of_order": [{"group": group, **_shown(*one)} for group, one in reordered[:_SHOWN]],
        },
        "groups": {
            group: {
                "processed": found.processed,
                "lost": len(found.lost),
                "replayed": len(found.replayed),
                "duplicates": found.duplicates,
                "out_of_order": len(found.out_of_order),
            }
            for group, found in sorted(groups.items())
        },
    }


def _shown(record: int, place: Place) -> dict[str, Any]:
    return {"id": record, **place._asdict()}
