"""The way back: divergence per partition, start offsets, steps, and their renderings."""

from __future__ import annotations

import json

import pytest

from drkit.domain.failback import (
    Divergence,
    FailbackPlan,
    OldSide,
    PartitionDivergence,
    TopicReturn,
    Way,
    diverge,
)
from drkit.domain.failback_steps import Places, describe, plan_steps, start_offsets
from drkit.domain.failback_text import plan_to_json, plan_to_markdown
from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import Amount, AtMost, Exactly, NotKnown
from drkit.domain.lineage import PartitionCut
from drkit.domain.mirror_flow import Flow

REVERSE = Flow("shop", "staging", source="tokyo", target="taipei")
PLACES = Places("taipei:9092", "http://taipei:8083", "http://tokyo:8083")
P, Q = TopicPartition("shop.orders", 0), TopicPartition("shop.orders", 1)
EMPTY = TopicPartition("shop.quiet", 0)
CUT = {
    P: PartitionCut(source_end=110, source_last=99, target_end=121),
    Q: PartitionCut(source_end=50, source_last=49, target_end=50),
    EMPTY: PartitionCut(source_end=0, source_last=None, target_end=0),
}
LOGS = {P: LogRange(0, 110, 110), Q: LogRange(0, 50, 50), EMPTY: LogRange(0, 0, 0)}


def old_side(**orphans: Amount) -> OldSide:
    amounts: dict[TopicPartition, Amount] = {P: Exactly(0), Q: Exactly(0), EMPTY: Exactly(0)}
    amounts.update({{"p": P, "q": Q}[name]: amount for name, amount in orphans.items()})
    return OldSide(amounts, LOGS)


def plan(topics: tuple[TopicReturn, ...], *, fence_holds: bool = True, separate_logs: bool = False) -> FailbackPlan:
    steps = plan_steps(REVERSE, topics, PLACES, fence_holds=fence_holds, separate_logs=separate_logs)
    return FailbackPlan("run-1", "2026-01-01T00:00:00+00:00", "planned", REVERSE, topics, steps)


@pytest.mark.parametrize(
    ("orphans", "divergence", "text"),
    [
        (Exactly(0), Divergence.CLEAN, "clean"),
        (AtMost(0), Divergence.CLEAN, "clean"),
        (Exactly(3), Divergence.DIRTY, "dirty: 3 orphans"),
        (AtMost(3), Divergence.DIRTY, "dirty: <= 3 orphans"),
        (NotKnown("silent"), Divergence.UNKNOWN, "unknown: silent"),
    ],
)
def test_a_partition_is_clean_dirty_or_unknown(orphans: Amount, divergence: Divergence, text: str) -> None:
    partition = PartitionDivergence(P, 121, 99, 110, orphans)
    assert partition.divergence is divergence
    assert describe(partition) == text


def test_a_clean_return_carries_the_difference_alone() -> None:
    topics = diverge(CUT, old_side())
    assert [(topic.topic, topic.way) for topic in topics] == [("shop.orders", Way.DELTA), ("shop.quiet", Way.DELTA)]
    assert start_offsets(REVERSE, topics) == {
        "offsets": [
            {"partition": {"cluster": "tokyo", "partition": 0, "topic": "shop.orders"}, "offset": {"offset": 120}},
            {"partition": {"cluster": "tokyo", "partition": 1, "topic": "shop.orders"}, "offset": {"offset": 49}},
            # MirrorSourceTask starts at the stored offset plus one: zero has no predecessor.
            {"partition": {"cluster": "tokyo", "partition": 0, "topic": "shop.quiet"}, "offset": None},
        ]
    }
    titles = [step.title for step in plan(topics).steps]
    assert titles == [
        "Keep writes out of taipei",
        "Keep the mirror taipei->tokyo stopped, and keep its topics",
        "Create the source connector of tokyo->taipei, stopped",
        "Set where it starts: at the first record that was not mirrored, per partition",
        "Start the mirror tokyo->taipei",
        "Wait until the mirror has caught up",
        "Move the service back to taipei",
    ]


def test_one_dirty_partition_rebuilds_its_topic_and_saves_its_orphans() -> None:
    made = plan(diverge(CUT, old_side(p=Exactly(7))))
    assert [topic.way for topic in made.topics] == [Way.REBUILD, Way.DELTA]
    offsets = plan_to_json(made)["start_offsets"]
    assert [one["offset"] for one in offsets] == [None, None, None]
    save, delete = made.steps[2:4]
    assert save.title == "Save the orphans of taipei"
    assert len(save.commands) == 1
    assert "--topic shop.orders --partition 0 --offset 100 --max-messages 7 " in save.commands[0]
    assert save.commands[0].endswith("> orphans-shop.orders-0.txt")
    assert delete.commands == ("kafka-topics.sh --bootstrap-server taipei:9092 --delete --topic shop.orders",)


def test_a_bounded_number_of_orphans_is_saved_to_the_end() -> None:
    save = plan(diverge(CUT, old_side(q=AtMost(900)))).steps[2]
    assert "--max-messages" not in save.commands[0]


def test_while_the_old_side_is_silent_everything_is_undecided() -> None:
    made = plan(diverge(CUT, None), fence_holds=False)
    assert {topic.way for topic in made.topics} == {Way.UNDECIDED}
    assert made.count(Divergence.UNKNOWN) == 3
    assert isinstance(made.orphans, NotKnown)
    assert made.steps[0].commands == ("drkit fence put taipei",)
    look = made.steps[2]
    assert look.title == "Look in taipei, once it answers, for records that never arrived"
    assert len(look.commands) == 3
    assert "--partition 0 --offset 0 " in look.commands[2]  # nothing of it was mirrored
    assert [p.old_end for p in made.partitions] == [110, 50, 0]


def test_a_topic_that_the_old_side_has_no_more_is_made_anew_and_not_deleted() -> None:
    seen = OldSide({P: Exactly(0), Q: Exactly(0)}, {P: LOGS[P], Q: LOGS[Q]})
    made = plan(diverge({**CUT, EMPTY: PartitionCut(9, 8, 9)}, seen))
    assert made.topics[1].way is Way.REBUILD
    assert describe(made.topics[1].partitions[0]) == "not there"
    assert plan_to_json(made)["start_offsets"][2]["offset"] is None
    assert not any("Delete the topics" in step.title for step in made.steps)


def test_under_the_default_policy_nothing_is_cut() -> None:
    made = plan(diverge(CUT, old_side(p=Exactly(7))), separate_logs=True)
    assert [step.title for step in made.steps][2:] == [
        "Start the mirror tokyo->taipei",
        "Wait until the mirror has caught up",
        "Move the service back to taipei",
    ]


def test_every_step_has_a_reason_and_something_to_do() -> None:
    for old in (None, old_side(), old_side(p=Exactly(7), q=NotKnown("open"))):
        for step in plan(diverge(CUT, old)).steps:
            assert step.reason
            assert step.commands or step.calls


def test_json() -> None:
    document = json.loads(json.dumps(plan_to_json(plan(diverge(CUT, old_side(p=Exactly(7)))))))
    assert (document["schema"], document["from"], document["to"]) == ("drkit.failback/1", "tokyo", "taipei")
    assert document["partitions"] == {"clean": 2, "dirty": 1, "unknown": 0}
    assert document["orphans"] == {"records": 7, "certainty": "exact"}
    assert document["topics"]["shop.orders"]["partitions"]["0"] == {
        "divergence": "dirty",
        "diverges_at": 121,
        "last_mirrored": 99,
        "old_end": 110,
        "orphans": {"records": 7, "certainty": "exact"},
    }
    assert document["reverse_connector"] == "shop.staging.tokyo.taipei.source"
    patch = document["steps"][5]["calls"][0]
    assert (patch["method"], patch["path"]) == ("PATCH", "/connectors/shop.staging.tokyo.taipei.source/offsets")
    assert patch["body"]["offsets"] == document["start_offsets"]
    assert document["steps"][5]["connect_url"] == "http://taipei:8083"


def test_markdown() -> None:
    text = plan_to_markdown(plan(diverge(CUT, old_side(p=Exactly(7)))))
    assert "Partitions: 2 clean, 1 dirty, 0 unknown. Records that only taipei has: 7." in text
    assert "| shop.orders | 0 | rebuild | 121 | 99 | 110 | dirty: 7 orphans |" in text
    assert "| shop.quiet | 0 | delta | 0 | nothing | 0 | clean |" in text
    assert "### 1. Keep writes out of taipei" in text


def test_a_malicious_name_stays_text() -> None:
    name = "x|y`~~~~\n# evil\x1b[31m; rm -rf $HOME"
    partition = TopicPartition(name, 0)
    cut = {partition: PartitionCut(10, 4, 5)}
    text = plan_to_markdown(plan(diverge(cut, OldSide({partition: Exactly(3)}, {partition: LogRange(0, 10, 10)}))))
    assert "\x1b" not in text
    assert "\n# evil" not in text
    rows = [line for line in text.splitlines() if line.startswith("| x")]
    assert len(rows) == 1
    assert "x\\|y\\`\\~\\~\\~\\~" in rows[0]
    commands = [line for line in text.splitlines() if line.startswith("kafka-topics.sh")]
    # One quoted word: the shell runs nothing of it.
    assert commands[0].count("'") == 2
    assert commands[0].endswith("$HOME'")
