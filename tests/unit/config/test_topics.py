"""The catalogue file: the nearest word counts, and every error is said at once, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from drkit.config.topics import example_text, load_catalogue
from drkit.domain.topic_catalogue import WantedTopic
from drkit.errors import ConfigError

HEAD = "defaults: {partitions: 6, replication_factor: 3}\n"


def _load(directory: Path, text: str, environment: str = "staging") -> tuple[WantedTopic, ...]:
    path = directory / "topics.yaml"
    path.write_text(text)
    return load_catalogue(path, "shop", environment)  # type: ignore[arg-type]


def _errors(directory: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(directory, text)
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


def test_the_nearest_word_counts(tmp_path: Path) -> None:
    text = """
defaults:
  partitions: 6
  replication_factor: 3
  configs: {retention.ms: 1, compression.type: snappy, min.insync.replicas: 2}
environments:
  production: {configs: {retention.ms: 2}, partitions: 7}
topics:
  - {domain: order, event: confirmed, configs: {retention.ms: 3}}
  - {domain: order, event: cancelled}
  - domain: a-b
    event: c_d
    replication_factor: 2
    configs: {preallocate: true}
    environments:
      production: {partitions: 12, configs: {retention.ms: 4}}
"""
    common = {"compression.type": "snappy", "min.insync.replicas": "2"}
    assert _load(tmp_path, text, "production") == (
        WantedTopic("shop.production.a-b.c_d", 12, 2, {**common, "retention.ms": "4", "preallocate": "true"}),
        WantedTopic("shop.production.order.cancelled", 7, 3, {**common, "retention.ms": "2"}),
        WantedTopic("shop.production.order.confirmed", 7, 3, {**common, "retention.ms": "3"}),
    )
    assert [one.configs["retention.ms"] for one in _load(tmp_path, text)] == ["1", "1", "3"]


def test_every_name_that_is_refused_is_named_at_once(tmp_path: Path) -> None:
    text = HEAD + (
        "topics:\n"
        "  - {domain: Order, event: confirmed}\n"
        "  - {domain: order, event: C.x}\n"
        "  - {domain: order_a, event: b}\n"
        "  - {domain: order, event: a_b}\n"
        "  - {domain: order, event: a_b}\n"
        f"  - {{domain: order, event: {'x' * 240}}}\n"
    )
    errors = _errors(tmp_path, text)
    assert [error.split(":")[0] for error in errors] == [
        "line 3, topics[0].domain",
        "line 4, topics[1].event",
        "line 5, topics[2]",
        "line 7, topics[4]",
        "line 8, topics[5]",
    ]
    told = "\n".join(errors)
    assert "shop.staging.order.a_b is given twice: first on line 6" in told
    assert "shop.staging.order_a.b and shop.staging.order.a_b (line 6) are the same to Kafka" in told
    assert "would have 259 characters" in told


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "must be a mapping"),
        ("- a", "must be a mapping"),
        ("topics: []\n", "defaults"),
        (HEAD + "topics:\n  - {domain: a, evnt: b}\n", "line 3, topics[0].evnt: unknown key"),
        (HEAD + "topics:\n  - {domain: a, event: b, partitions: 0}\n", "line 3, topics[0].partitions"),
        (HEAD + "topics:\n  - {domain: a, event: b, partitions: 06}\n", "line 3, topics[0].partitions"),
        (HEAD + "environments: {test: {}}\ntopics: []\n", "line 2, environments.test"),
        (HEAD + HEAD + "topics: []\n", "given twice: first on line 1"),
    ],
)
def test_what_is_no_catalogue_is_refused_with_its_line(tmp_path: Path, text: str, error: str) -> None:
    assert error in "\n".join(_errors(tmp_path, text))


def test_the_example_is_a_catalogue_for_every_environment(tmp_path: Path) -> None:
    production = {one.name: one for one in _load(tmp_path, example_text(), "production")}
    assert len(production) == 5
    reserved = production["shop.production.inventory.reserved"]
    assert (reserved.partitions, reserved.replication_factor) == (12, 3)
    assert reserved.configs == {
        "min.insync.replicas": "2",
        "retention.ms": "2592000000",
        "compression.type": "snappy",
        "max.message.bytes": "2097152",
    }
    development = _load(tmp_path, example_text(), "development")
    assert {(one.partitions, one.replication_factor, one.configs["retention.ms"]) for one in development} == {
        (6, 1, "604800000")
    }
