"""Topic ids (KIP-516): whether a topic of this name is the one that it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_KEPT = 5
"""Incarnations of a topic that are remembered."""


@dataclass(frozen=True, slots=True)
class Incarnation:
    """A topic as long as it had one id. ``last_ms``: it was still this one then, ms since the epoch."""

    topic_id: str
    last_ms: int


@dataclass(frozen=True, slots=True)
class TopicIds:
    """Every topic's ids on one cluster, oldest first."""

    topics: Mapping[str, tuple[Incarnation, ...]] = field(default_factory=dict)

    def seen(self, now: Mapping[str, str], at_ms: int, *, before_ms: int | None = None) -> TopicIds:
        """With the ids that topics have now. ``before_ms``: the look before, when they still had the known ones.

        An empty id (a broker without them) says nothing.
        """
        topics = dict(self.topics)
        for name, topic_id in now.items():
            known = topics.get(name, ())
            if not topic_id or (known and known[-1].topic_id == topic_id):
                continue
            if known and before_ms is not None:
                known = (*known[:-1], Incarnation(known[-1].topic_id, max(known[-1].last_ms, before_ms)))
            topics[name] = (*known, Incarnation(topic_id, at_ms))[-_KEPT:]
        return TopicIds(topics)

    @property
    def renewed_ms(self) -> Mapping[str, int]:
        """Topics that were made anew, and when the one before was seen last (ms since the epoch)."""
        return {name: known[-2].last_ms for name, known in self.topics.items() if len(known) > 1}
