"""What was written to the target from the cut on: records that exist nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drkit.domain.kafka import Record, TopicPartition
from drkit.domain.lineage import cut_from_json
from drkit.domain.naming import TopicNames
from drkit.engine.step import RunContext
from drkit.ports import KafkaReader, ReadRange
from drkit.steps.world import World

_WINDOW = 1000
"""Offsets that are read at once: the first record is what is looked for, and markers may stand before it."""


@dataclass(frozen=True, slots=True)
class TargetEnds:
    """The target's log ends at the cut, by the target's own topic names; ``missing``: copies that are gone."""

    ends: Mapping[TopicPartition, int]
    missing: tuple[TopicPartition, ...]


def target_ends(world: World, context: RunContext) -> TargetEnds:
    """From where on records are new. The canary's topic is drkit's own, and no application's."""
    replication = world.settings.replication
    names = TopicNames(replication.policy, context.source, replication.separator)
    ends = {
        TopicPartition(names.on_target(p.topic), p.partition): ends.target_end
        for p, ends in cut_from_json(context.of("cut").get("cut", {})).items()
        if p.topic != world.settings.canary_topic
    }
    described = world.regions[context.target].reader.describe_topics(sorted({p.topic for p in ends}))
    here = {p for topic in described.values() for p in topic.topic_partitions}
    return TargetEnds({p: end for p, end in ends.items() if p in here}, tuple(sorted(ends.keys() - here)))


def first_records(
    reader: KafkaReader, begins: Mapping[TopicPartition, int], *, committed: bool
) -> Mapping[TopicPartition, Record]:
    """The first data record of each partition from its offset on; a partition with markers only has none.

    ``committed`` False: also a record of a transaction that is open, or was aborted.
    """
    found: dict[TopicPartition, Record] = {}
    rest = dict(begins)
    while rest:
        now = reader.log_ranges(rest)
        ranges = [
            ReadRange(p, begin, min(begin + _WINDOW, now[p].end)) for p, begin in rest.items() if begin < now[p].end
        ]
        for record in reader.read(ranges, committed=committed) if ranges else ():
            found.setdefault(record.partition, record)
        rest = {r.partition: r.end for r in ranges if r.partition not in found}
    return found
