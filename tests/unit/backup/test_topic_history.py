"""Topic ids: a topic that was made anew is told from the one before."""

from __future__ import annotations

import json

import pytest

from drkit.backup.topic_history import TopicHistory
from drkit.domain.topic_ids import Incarnation, TopicIds
from drkit.errors import RefusedError
from tests.fakes.aws import FakeObjectStore
from tests.fakes.scripted import Fault


def test_the_same_id_is_no_news() -> None:
    ids = TopicIds().seen({"t": "1"}, 1000)
    assert ids.seen({"t": "1"}, 2000) == ids
    assert ids.renewed_ms == {}


def test_another_id_is_a_topic_made_anew_and_the_look_before_bounds_when() -> None:
    ids = TopicIds().seen({"t": "1", "u": "1"}, 1000).seen({"t": "2", "u": "1"}, 9000, before_ms=8000)
    assert ids.topics["t"] == (Incarnation("1", 8000), Incarnation("2", 9000))
    assert ids.renewed_ms == {"t": 8000}


def test_without_a_look_before_the_first_sight_of_the_old_one_bounds_it() -> None:
    ids = TopicIds().seen({"t": "1"}, 1000).seen({"t": "2"}, 9000)
    assert ids.renewed_ms == {"t": 1000}


def test_a_broker_without_ids_says_nothing() -> None:
    assert TopicIds().seen({"t": ""}, 1000) == TopicIds()
    ids = TopicIds().seen({"t": "1"}, 1000)
    assert ids.seen({"t": ""}, 2000) == ids


def test_only_the_last_few_are_kept() -> None:
    ids = TopicIds()
    for number in range(9):
        ids = ids.seen({"t": str(number)}, 1000 * number)
    assert [one.topic_id for one in ids.topics["t"]] == ["4", "5", "6", "7", "8"]


def test_what_is_recorded_is_read_back_and_written_only_when_it_changes() -> None:
    store = FakeObjectStore()
    history = TopicHistory(store, "taipei")
    recorded = history.record({"t\n": "1"}, 1000)
    assert history.read() == recorded
    history.record({"t\n": "1"}, 2000)
    assert [call for call, _ in store.calls if call != "get"] == ["create"]


def test_two_watches_do_not_lose_each_others_topics() -> None:
    store = FakeObjectStore()
    TopicHistory(store, "taipei").record({"t": "1"}, 1000)
    store.on_next("replace", lambda: TopicHistory(store, "taipei").record({"u": "1"}, 1500))
    TopicHistory(store, "taipei").record({"v": "1"}, 2000)
    assert sorted(TopicHistory(store, "taipei").read().topics) == ["t", "u", "v"]


def test_a_condition_that_is_lost_for_ever_ends() -> None:
    store = FakeObjectStore()
    store.on_next("create", *[Fault.LOST_CONDITION] * 3)
    with pytest.raises(RefusedError, match="changes all the time"):
        TopicHistory(store, "taipei").record({"t": "1"}, 1000)


@pytest.mark.parametrize("body", [b"x", b"{}", b"[]", json.dumps({"schema": "drkit.topic-ids/2"}).encode()])
def test_what_is_not_drkits_is_refused(body: bytes) -> None:
    store = FakeObjectStore()
    store.create("topics/taipei.json", body)
    with pytest.raises(RefusedError, match=r"topics/taipei\.json"):
        TopicHistory(store, "taipei").read()
