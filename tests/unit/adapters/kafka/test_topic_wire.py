"""Descriptions of topics, as confluent-kafka gives them."""

from __future__ import annotations

from confluent_kafka import Uuid

from drkit.adapters.kafka.topic_wire import topic_id
from drkit.adapters.object_keys import check_key


def test_an_id_is_what_kafkas_tools_print_and_may_stand_in_the_key_of_an_object() -> None:
    """One id of a few hundred has two slashes in a row in librdkafka's alphabet, and more have a plus."""
    most, least = Uuid(-1, -1), Uuid(0x0000FFFFFFC00000, 0x3E)
    assert str(most) == "/" * 21 + "w", "librdkafka's alphabet"
    for found in (most, least):
        assert set("+/").isdisjoint(topic_id(found))
        assert check_key(f"offset-syncs/a-b/{topic_id(found)}/1.parquet")
    assert topic_id("qfOuYL1ZQAKc+/4S0yGyoA") == "qfOuYL1ZQAKc-_4S0yGyoA"
