"""What groups would read again if the source vanished now: what they committed after their last checkpoint."""

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


def replay_exposure(committed: GroupOffsets, checkpointed: GroupOffsets) -> ReplayExposure:
    """The exposure of every group with commits.

    ``committed``: on the source now, read after ``checkpointed``: the upstream offsets of the newest checkpoints on
    the target. Offsets count markers too, so a difference is an upper bound.
    """
    return ReplayExposure(
        {
            group: total(_behind(group, partition, offset, checkpointed) for partition, offset in offsets.items())
            for group, offsets in sorted(committed.items())
        }
    )


def _behind(group: str, partition: TopicPartition, committed: int, checkpointed: GroupOffsets) -> Amount:
    checkpoint = checkpointed.get(group, {}).get(partition)
    if checkpoint is None:
        return NotKnown(f"{group} has no checkpoint in {partition}")
    return AtMost(committed - checkpoint) if committed > checkpoint else Exactly(0)


def exposure_without_source(checkpointed: GroupOffsets) -> ReplayExposure:
    """The exposure when the source does not answer: nobody knows what was committed since."""
    return ReplayExposure(
        {group: NotKnown(f"the source does not say what {group} committed last") for group in sorted(checkpointed)}
    )
