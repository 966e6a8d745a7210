"""Where groups continue on the other side: one row per group and partition, and what the rows add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drkit.domain.kafka import TopicPartition
from drkit.domain.lag import NO_RECORD, Amount, AtMost, Exactly, NotKnown, total, upper_bound
from drkit.domain.offsets import Unavailable, Verdict


@dataclass(frozen=True, slots=True)
class GroupPosition:
    """One group on one partition. ``partition`` has the source's topic name, ``target`` the target's."""

    group: str
    partition: TopicPartition
    target: TopicPartition
    upstream: int
    verdict: Verdict
    evidence: str = ""
    """Where ``upstream`` comes from, when it is not the live committed offset."""
    never_mirrored: Amount = NO_RECORD
    """Records that the group has not read, and that were never mirrored, as the mirror began above them."""

    @property
    def row(self) -> dict[str, Any]:
        """``{group, topic, partition, upstream, downstream, verdict, replay_at_most, never_mirrored, reason}``.

        ``never_mirrored``: a number of records, None if that is not known.
        """
        reason = f"{self.verdict.reason}; {self.evidence}" if self.evidence else self.verdict.reason
        return {
            "group": self.group,
            "topic": self.partition.topic,
            "partition": self.partition.partition,
            "upstream": self.upstream,
            "downstream": self.verdict.downstream,
            "verdict": type(self.verdict).__name__.lower(),
            "replay_at_most": self.verdict.replay_at_most,
            "never_mirrored": upper_bound(self.never_mirrored),
            "reason": reason,
        }


def totals(positions: Sequence[GroupPosition]) -> dict[str, Any]:
    """The report's ``offsets``: groups, partitions, each verdict's number.

    And ``replay_at_most`` and ``never_mirrored``, in records; None: unknown.
    """
    counted = dict.fromkeys(("exact", "bounded", "floor", "ahead", "unavailable"), 0)
    for position in positions:
        counted[type(position.verdict).__name__.lower()] += 1
    replay, missing = replay_amount(positions), never_mirrored(positions)
    return {
        "groups": len({position.group for position in positions}),
        "partitions": len(positions),
        **counted,
        "replay_at_most": upper_bound(replay),
        "never_mirrored": upper_bound(missing),
    }


def never_mirrored(positions: Iterable[GroupPosition]) -> Amount:
    """Records that groups would miss, because the mirror began above them."""
    return total(position.never_mirrored for position in positions)


def replay_amount(positions: Iterable[GroupPosition]) -> Amount:
    """How many records groups would read again, by translation alone."""
    bound = 0
    for position in positions:
        at_most = position.verdict.replay_at_most
        if at_most is None:
            where = f"group {position.group} on {position.partition}"
            return NotKnown(f"{where}: {position.verdict.reason}", bound)
        bound += at_most
    return AtMost(bound) if bound else Exactly(0)


def by_group(positions: Iterable[GroupPosition]) -> Mapping[str, dict[TopicPartition, int]]:
    """What is to be committed on the target, per group; partitions without a position are left to the group."""
    found: dict[str, dict[TopicPartition, int]] = {}
    for position in positions:
        if not isinstance(position.verdict, Unavailable):
            found.setdefault(position.group, {})[position.target] = position.verdict.downstream
    return found
