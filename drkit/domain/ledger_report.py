"""The document ``drkit.ledger/1``: what a run of the workload cost, with the first offenders of each kind."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, islice
from typing import Any, Final

from drkit.domain.ledger import SHOWN, Acknowledged, Origin, Place, Sightings, Writes
from drkit.domain.ledger_history import GroupFindings

SCHEMA: Final = "drkit.ledger/1"


@dataclass(frozen=True, slots=True)
class Outage:
    """The longest time without an acknowledgement from any writer.

    ``ended`` is false if nothing was acknowledged after it: it lasted until the writers were told to end, or lasts.
    """

    from_ms: int
    until_ms: int
    ended: bool

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until_ms - self.from_ms) / 1000


def write_outage(writes: Writes, now_ms: int) -> Outage | None:
    """The longest gap between two consecutive acknowledgements, or from the last one to the end of the writing.

    It is the service's outage as its writers see it, all of them together; None before the first acknowledgement.
    """
    times = array("q")
    for log in writes.logs.values():
        times.extend(log.times_ms)
    if not times:
        return None
    ordered = sorted(times)
    end_ms = max(ordered[-1], now_ms if writes.ended_ms is None else writes.ended_ms)
    last = Outage(ordered[-1], end_ms, ended=False)
    gaps = (Outage(*pair, ended=True) for pair in zip(ordered, islice(ordered, 1, None), strict=False))
    # Of two that are as long the later one: one that has not ended is never hidden by one that has.
    return reduce(lambda longest, gap: gap if gap.seconds >= longest.seconds else longest, chain(gaps, (last,)))


@dataclass(frozen=True, slots=True)
class Judgement:
    """A run's writes and what each group's history shows against them.

    ``phase``: what the workload does now. ``processes``: each of its processes and how it is. ``dead``: those that
    ended, or were ended, before they should have; what they did last may be missing from the ledger.
    """

    writes: Writes
    groups: Mapping[str, GroupFindings]
    phase: str
    processes: Mapping[str, str]
    dead: Sequence[str]
    requested_rate: float
    now_ms: int

    def lost(self) -> list[tuple[Acknowledged, list[str]]]:
        """Every record that at least one of its groups lost, by place, with those groups."""
        losers: dict[tuple[Origin, int], list[str]] = {}
        for group, found in sorted(self.groups.items()):
            for origin, indexes in found.lost.items():
                for index in indexes:
                    losers.setdefault((origin, index), []).append(group)
        return [(self.writes.at(origin, index), losers[origin, index]) for origin, index in sorted(losers)]

    def document(self) -> dict[str, Any]:
        """``drkit.ledger/1``.

        ``lost`` counts records, each once however many groups lost it; the other totals are sums over the groups.
        """
        lost, outage = self.lost(), write_outage(self.writes, self.now_ms)
        groups = self.groups.values()
        return {
            "schema": SCHEMA,
            "phase": self.phase,
            "processes": dict(self.processes),
            "dead": list(self.dead),
            "drained": bool(groups) and all(found.drained_at for found in groups),
            "acknowledged": self.writes.count(),
            "acknowledged_at": self._acknowledged_at(),
            "processed": sum(found.processed for found in groups),
            "processed_at": self._processed_at(),
            "lost": len(lost),
            "pending": sum(found.pending for found in groups),
            "replayed": sum(found.replayed.records for found in groups),
            "duplicates": sum(found.duplicates.records for found in groups),
            "out_of_order": sum(found.out_of_order.records for found in groups),
            "unacknowledged": self._unacknowledged(),
            "foreign": sum(found.foreign for found in groups),
            "torn": self.writes.torn + sum(found.torn for found in groups),
            "write_outage_seconds": outage.seconds if outage else 0.0,
            "write_outage_began": outage.from_ms / 1000 if outage else None,
            "write_outage_ended": outage.ended if outage else None,
            "rate": self._rate(outage),
            "groups": {group: _group_document(found) for group, found in sorted(self.groups.items())},
            "offenders": self._offenders(lost),
        }

    def _acknowledged_at(self) -> dict[str, int]:
        sides: Counter[str] = Counter()
        for origin, log in self.writes.logs.items():
            sides[origin.region] += len(log.records)
        return dict(sorted(sides.items()))

    def _processed_at(self) -> dict[str, int]:
        sides: Counter[str] = Counter()
        for found in self.groups.values():
            sides.update(found.processed_at)
        return dict(sorted(sides.items()))

    def _unacknowledged(self) -> dict[str, dict[str, int]]:
        """How other records ended, and how often a group processed one: after ``aborted`` that must never happen."""
        return {
            outcome.name.lower(): {
                "records": len(records),
                "processed": sum(found.unacknowledged.get(outcome, 0) for found in self.groups.values()),
            }
            for outcome, records in self.writes.unacknowledged.items()
        }

    def _rate(self, outage: Outage | None) -> dict[str, float]:
        """Records per second; ``achieved`` from the first acknowledgement to the last, without the write outage."""
        times = [(min(log.times_ms), max(log.times_ms)) for log in self.writes.logs.values()]
        if not times or outage is None:
            return {"requested": self.requested_rate, "achieved": 0.0}
        seconds = (max(last for _, last in times) - min(first for first, _ in times)) / 1000
        seconds -= outage.seconds if outage.ended else 0.0
        return {
            "requested": self.requested_rate,
            "achieved": round(self.writes.count() / seconds, 1) if seconds > 0 else 0.0,
        }

    def _offenders(self, lost: Sequence[tuple[Acknowledged, Sequence[str]]]) -> dict[str, list[dict[str, Any]]]:
        return {
            "lost": [lost_document(one, groups) for one, groups in lost[:SHOWN]],
            "replayed": self._first(lambda found: found.replayed),
            "out_of_order": self._first(lambda found: found.out_of_order),
            "duplicates": self._first(lambda found: found.duplicates),
        }

    def _first(self, kind: Callable[[GroupFindings], Sightings]) -> list[dict[str, Any]]:
        every = ((group, one) for group, found in sorted(self.groups.items()) for one in kind(found).first)
        return [{"group": group, **_shown(*one)} for group, one in islice(every, SHOWN)]


def lost_document(one: Acknowledged, groups: Sequence[str]) -> dict[str, Any]:
    """A lost record, where and when (seconds since the epoch) it was acknowledged, and the groups that lost it."""
    return {**_shown(one.record, one.place), "at": one.at_ms / 1000, "groups": list(groups)}


def _group_document(found: GroupFindings) -> dict[str, Any]:
    return {
        "topics": sorted(found.topics),
        "processed": found.processed,
        "lost": found.lost_records,
        # What the group has to read still: acknowledged, not processed, not lost.
        "pending": found.pending,
        "replayed": found.replayed.records,
        "duplicates": found.duplicates.records,
        "out_of_order": found.out_of_order.records,
        "drained_at": found.drained_at,
    }


def _shown(record: int, place: Place) -> dict[str, Any]:
    # As text: JSON numbers of this size lose their last digits in most readers.
    return {"id": f"{record:016x}", **place._asdict()}
