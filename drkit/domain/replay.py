"""What groups would read again if the source vanished now: what they committed since they were last seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.lag import Amount, AtMost, Exactly, NotKnown, total


@dataclass(frozen=True, slots=True)
class ReplayExposure:
    """Records per group."""

    groups: Mapping[str, Amount]

    @property
    def records(self) -> Amount:
        """Summed over groups."""
        return total(self.groups.values())


def replay_exposure(committed: GroupOffsets, seen: GroupOffsets) -> ReplayExposure:
    """The exposure of every group with commits.

    ``committed``: on the source now, read after ``seen``: what would be known of them without the source. Offsets
    count markers too, so a difference is an upper bound.
    """
    return ReplayExposure(
        {
            group: total(_behind(group, partition, offset, seen) for partition, offset in offsets.items())
            for group, offsets in sorted(committed.items())
        }
    )


def _behind(group: str, partition: TopicPartition, committed: int, seen: GroupOffsets) -> Amount:
    known = seen.get(group, {}).get(partition)
    if known is None:
        return NotKnown(f"nobody saw where {group} is in {partition}")
    return AtMost(committed - known) if committed > known else Exactly(0)


def exposure_without_source(seen: GroupOffsets) -> ReplayExposure:
    """The exposure when the source does not answer: nobody knows what was committed since."""
    return ReplayExposure(
        {group: NotKnown(f"the source does not say what {group} committed last") for group in sorted(seen)}
    )
