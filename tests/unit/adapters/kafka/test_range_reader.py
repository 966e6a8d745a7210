"""Many ranges read with one consumer: each offset once, whatever a batch holds beyond the place of a seek."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError
from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.adapters.kafka import log_reader
from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.log_reader import RangeReader, merged
from drkit.domain.kafka import TopicPartition
from drkit.errors import UnreachableError
from drkit.ports import ReadRange

PARTITIONS = [TopicPartition("orders", number) for number in range(2)]
END = 60


class Message:
    """A consumed record, or the end of a partition."""

    def __init__(self, partition: TopicPartition, offset: int, *, is_end: bool = False) -> None:
        self._partition, self._offset, self._is_end = partition, offset, is_end

    def topic(self) -> str:
        return self._partition.topic

    def partition(self) -> int:
        return self._partition.partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> Any:
        return End() if self._is_end else None


class End:
    """``_PARTITION_EOF``."""

    def name(self) -> str:
        return "_PARTITION_EOF"

    def code(self) -> int:
        return -191


class Client:
    """Logs with holes; a seek takes effect with the next batch, as what was fetched before is in hand already."""

    def __init__(self, logs: dict[TopicPartition, list[int]], batch: int) -> None:
        self._logs, self._batch = logs, batch
        self._position: dict[TopicPartition, int] = {}

    def assign(self, places: Sequence[Any]) -> None:
        for place in places:
            self._position[TopicPartition(place.topic, place.partition)] = place.offset

    def seek(self, place: Any) -> None:
        self._position[TopicPartition(place.topic, place.partition)] = place.offset

    def incremental_unassign(self, places: Sequence[Any]) -> None:
        for place in places:
            del self._position[TopicPartition(place.topic, place.partition)]

    def consume(self, count: int, timeout: float) -> list[Message]:
        found: list[Message] = []
        for partition, position in list(self._position.items()):
            rest = [offset for offset in self._logs[partition] if offset >= position][: self._batch]
            found += [Message(partition, offset) for offset in rest]
            self._position[partition] = rest[-1] + 1 if rest else END
            if len(rest) < self._batch:
                found.append(Message(partition, END, is_end=True))
        return found

    def close(self) -> None:
        self._position.clear()


ranges = st.lists(
    st.builds(ReadRange, st.sampled_from(PARTITIONS), st.integers(0, END), st.integers(0, END)), min_size=1, max_size=8
)
holes = st.sets(st.integers(0, END - 1), max_size=10)
logs = st.fixed_dictionaries({p: holes.map(lambda some: sorted(set(range(END)) - some)) for p in PARTITIONS})


@settings(max_examples=300)
@given(ranges, logs, st.integers(1, 40), st.integers(0, 8))
def test_every_offset_of_the_ranges_comes_once_and_in_order(
    asked: list[ReadRange], stored: dict[TopicPartition, list[int]], batch: int, gap: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_reader, "consumer", lambda *_, **__: Client(stored, batch))
        patch.setattr(log_reader, "merged", lambda some: merged(some, gap=gap))
        read = list(RangeReader(Connection("a", {}, 1), asked, committed=True).messages())
    for partition in PARTITIONS:
        own = [one for one in read if one.partition == partition]
        offsets = [message.offset() for one in own for message in one.messages]
        assert offsets == [offset for one in own for offset in one.offsets]
        assert offsets == sorted(set(offsets))
        wanted = {
            o for one in asked if one.partition == partition for o in stored[partition] if one.start <= o < one.end
        }
        assert wanted <= set(offsets)


@pytest.mark.parametrize(("cut_off", "seconds"), [(False, 30), (True, 10)])
def test_a_log_that_brings_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, *, cut_off: bool, seconds: float
) -> None:
    """Sooner where librdkafka knows of no broker any more."""
    now, connection = 0.0, Connection("a", {}, 10)

    class Silent(Client):
        def consume(self, count: int, timeout: float) -> list[Message]:
            nonlocal now
            now += 1
            if cut_off and now == 2:
                for code in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                    connection.settings()["error_cb"](KafkaError(code))
            return []

    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(log_reader, "time", clock)
    monkeypatch.setattr("drkit.adapters.kafka.client.time", clock)
    monkeypatch.setattr(log_reader, "consumer", lambda *_, **__: Silent({}, 1))
    with pytest.raises(UnreachableError, match="reading orders-0"):
        list(RangeReader(connection, [ReadRange(PARTITIONS[0], 0, 5)], committed=True).messages())
    assert now == seconds + 1
