"""Whether a consumer has read everything that there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_ANSWER_SECONDS: Final = 2.0


class EndOfLog:
    """Whether a client has read all of its topics' partitions to where they ended when it was asked first."""

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics
        self._reached: dict[tuple[str, int], int] = {}
        self._ends: dict[tuple[str, int], int] | None = None

    def reached(self, topic: str, partition: int, offset: int) -> None:
        """The broker had no more committed records than those before this offset."""
        self._reached[topic, partition] = offset

    def look_again(self) -> None:
        """There was more than these ends."""
        self._ends = None

    def forget(self) -> None:
        """The client reads other partitions now, and will hear of the end of each again."""
        self._reached.clear()
        self._ends = None

    def all_reached(self, consumer: Any) -> bool:
        """Whether everything is read. To be asked when nothing is written any more: ends are looked up once.

        Raises ``KafkaException`` if the broker does not answer.
        """
        if self._ends is None:
            self._ends = _log_ends(consumer, self._topics)
        ends = self._ends
        return ends is not None and all(self._reached.get(partition, -1) >= end for partition, end in ends.items())


def _log_ends(consumer: Any, topics: Sequence[str]) -> dict[tuple[str, int], int] | None:
    """High watermarks of all partitions; None unless all of them are assigned to this client.

    Behind the high watermark there may be an open transaction: then the client does not get there until it has ended.
    """
    assigned = {(one.topic, one.partition): one for one in consumer.assignment()}
    there = {
        (topic, partition)
        for topic in topics
        for partition in consumer.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic].partitions
    }
    if there != assigned.keys() or {topic for topic, _ in there} != set(topics):
        return None
    ends = {}
    for partition, one in assigned.items():
        watermarks = consumer.get_watermark_offsets(one, timeout=_ANSWER_SECONDS)
        if watermarks is None:
            return None
        ends[partition] = watermarks[1]
    return ends
