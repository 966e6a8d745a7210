"""Who takes part in a run, what they write, and how fast."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from drkit.domain.ledger import KEY_BITS, WRITER_BITS, lane_of
from drkit.sandbox.workload import records
from drkit.sandbox.workload.plan import consumer_groups, writers
from drkit.sandbox.workload.records import RecordSource, TokenBucket
from tests.unit.sandbox.workload.sample import sample_settings

TOPICS = tuple(f"genai-demo.staging.{name}" for name in "abcde")


@pytest.mark.parametrize("count", [1, 2, 6, 20, 99])
def test_groups(count: int) -> None:
    groups = consumer_groups("genai-demo.staging", TOPICS, 2000, count)
    assert len({group.name for group in groups}) == count
    assert {topic for group in groups for topic in group.topics} == set(TOPICS)
    lagging = [group for group in groups if group.records_per_second is not None]
    assert len(lagging) == count // 2
    for group in lagging:
        assert group.records_per_second is not None
        assert 0 < group.records_per_second < 2000 * len(group.topics) / len(TOPICS)
    # Groups are named anyhow: some are not of the service's prefix.
    assert any(not group.name.startswith("genai-demo.") for group in groups) == (count > 1)


@pytest.mark.parametrize("rate", [1, 2000, 20_000])
def test_writers(rate: int) -> None:
    plans = writers("genai-demo.staging", rate)
    assert [plan.number for plan in plans] == list(range(len(plans)))
    assert 3 <= len(plans) <= 1 << WRITER_BITS
    assert sum(plan.records_per_second for plan in plans) == pytest.approx(rate)
    transactional = [plan for plan in plans if plan.transactional]
    assert [plan.records_per_second for plan in transactional] == [pytest.approx(rate / 10)]


def test_no_id_is_given_twice_also_by_the_next_process_of_a_writer() -> None:
    settings = sample_settings()
    ids: list[int] = []
    for incarnation in (1, 2, 3):
        source = RecordSource(settings, settings.writers[0], incarnation)
        written = [record for _ in range(50) for record, _ in source.next(7)[1]]
        assert min(written) & (1 << 36) - 1 > max((one & (1 << 36) - 1 for one in ids), default=0)
        ids += written
    assert len(set(ids)) == len(ids)


def test_a_key_is_of_one_topic_and_its_ids_rise() -> None:
    settings = sample_settings()
    source = RecordSource(settings, settings.writers[1], 1)
    topic_of: dict[bytes, str] = {}
    newest: dict[int, int] = {}
    for _ in range(300):
        topic, written = source.next(5)
        for record, key in written:
            assert topic_of.setdefault(key, topic) == topic
            assert newest.get(lane_of(record), 0) < record
            newest[lane_of(record)] = record
            assert lane_of(record) & (1 << KEY_BITS) - 1 == int(key)
    assert set(topic_of.values()) == set(settings.topics)


def test_a_bucket_lets_the_rate_through_and_makes_no_outage_good(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(records, "time", SimpleNamespace(monotonic=lambda: clock.now))
    bucket = TokenBucket(100)
    taken = 0
    for _ in range(1000):
        clock.now += 0.01
        taken += bucket.take(10)
    assert taken == pytest.approx(1000, abs=1)
    clock.now += 60
    assert bucket.take(10_000) == 25
    assert bucket.take(10_000) == 0
    clock.now += 0.1
    assert bucket.take(3) == 3
