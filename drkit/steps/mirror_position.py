"""How far the mirror is: the last upstream offset that it has carried over, per source partition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from drkit.domain.kafka import TopicPartition


class MirrorPosition(Protocol):
    """The mirror's own account of its progress, as its source connector commits it."""

    def read(self) -> Mapping[TopicPartition, int]:
        """Last replicated upstream offset per source partition; a partition without one has carried nothing yet."""
