"""Pure comparisons of the two sides of a mirror; each gives one check.

Topics are paired by ``Rename``: the name of a source's topic on the target (itself under the identity policy).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from drkit.domain.checks import Check, compared, listed, not_checked
from drkit.domain.digests import Fingerprint, align, compare_keys
from drkit.domain.kafka import GroupOffsets, LogRange, TopicDescription, TopicPartition
from drkit.domain.lag import Exactly
from drkit.domain.scope import NameFilter

Rename = Callable[[str], str]
Topics = Mapping[str, TopicDescription]


NEVER_SYNCED: Final = NameFilter(
    (
        r"(follower|leader)\.replication\.throttled\.replicas",
        r"(log\.)?message\.timestamp\..*",
        r"unclean\.leader\.election\.enable",
        r"min\.insync\.replicas",
    )
)
"""Topic configs that MM2 leaves as they are on the target.

Source: ``DefaultConfigPropertyFilter`` of Kafka 4.3.1, and ``config.properties.exclude`` of drkit's own templates.
"""


def compare_topics(source: Topics, target: Topics, rename: Rename) -> Check:
    """Every topic of the source is on the target, with as many partitions."""
    differences = []
    for name, topic in sorted(source.items()):
        copy = target.get(rename(name))
        if copy is None:
            differences.append(f"{name} is missing")
        elif len(copy.partitions) != len(topic.partitions):
            differences.append(f"{name} has {len(copy.partitions)} partitions, not {len(topic.partitions)}")
    partitions = sum(len(topic.partitions) for topic in source.values())
    return compared(
        "topics", differences, f"{len(source)} topics with {partitions} partitions", of=f"{len(source)} topics"
    )


def compare_configs(source: Topics, target: Topics, rename: Rename, never_synced: NameFilter = NEVER_SYNCED) -> Check:
    """Topic configs are equal; those that MM2 never syncs are named where they differ, and are no difference.

    Topics that are missing are left to ``compare_topics``.
    """
    differences: list[str] = []
    left_alone: defaultdict[str, int] = defaultdict(int)
    pairs = [(name, topic, target[rename(name)]) for name, topic in sorted(source.items()) if rename(name) in target]
    for name, topic, copy in pairs:
        for key in sorted(topic.configs.keys() | copy.configs.keys()):
            here, there = topic.configs.get(key, "default"), copy.configs.get(key, "default")
            if here == there:
                continue
            if never_synced.matches(key):
                left_alone[key] += 1
            else:
                differences.append(f"{name}: {key} is {there}, not {here}")
    detail = f"{len(pairs)} topics"
    if left_alone:
        detail += "; different, and never synced by MM2: " + listed(
            (f"{key} ({count} topics)" for key, count in sorted(left_alone.items())), limit=6
        )
    return compared("configs", differences, detail, of=f"{len(pairs)} topics")


def compare_positions(expected: GroupOffsets, found: GroupOffsets, logs: Mapping[TopicPartition, LogRange]) -> Check:
    """Every group stands where it was put, or later, and not beyond the log's end."""
    differences, moved, total = [], 0, 0
    for group, offsets in sorted(expected.items()):
        for partition, offset in sorted(offsets.items()):
            total += 1
            position = found.get(group, {}).get(partition)
            if position is None:
                differences.append(f"{group} has no position in {partition}; {offset} was committed")
            elif position < offset:
                differences.append(f"{group} stands at {position} in {partition}, before {offset}")
            elif partition in logs and position > logs[partition].end:
                differences.append(f"{group} stands at {position} in {partition}, beyond its end {logs[partition].end}")
            else:
                moved += position > offset
    detail = f"{total} positions of {len(expected)} groups as committed, {moved} of them have moved on since"
    return compared("group-positions", differences, detail, of=f"{total} positions")


@dataclass(frozen=True, slots=True)
class CountPair:
    """Data records of one partition between the same two records of both logs."""

    source: int
    target: int


def compare_counts(counts: Mapping[TopicPartition, CountPair], left_out: Sequence[str]) -> Check:
    """As many data records on both sides. ``left_out``: why partitions were not counted, one reason each.

    Lost is what the target has fewer: repeats in one partition do not make up for records that another one lacks.
    """
    reasons = f"; {len(left_out)} partitions not counted: {listed(sorted(set(left_out)))}" if left_out else ""
    if not counts:
        return not_checked("record-counts", "no partition was counted" + reasons)
    differences = [
        f"{partition}: {pair.target} records, not {pair.source}"
        for partition, pair in sorted(counts.items())
        if pair.source != pair.target
    ]
    records = sum(pair.source for pair in counts.values())
    check = compared(
        "record-counts",
        differences,
        f"{records} records in {len(counts)} partitions{reasons}",
        of=f"{len(counts)} partitions{reasons}",
    )
    return replace(check, lost=Exactly(sum(max(0, pair.source - pair.target) for pair in counts.values())))


@dataclass(frozen=True, slots=True)
class TailPair:
    """The last records of one partition on both sides, up to the cut; ``complete``: they are the whole logs."""

    source: Sequence[Fingerprint]
    target: Sequence[Fingerprint]
    complete: bool = False
    is_compacted: bool = False


def compare_tails(tails: Mapping[TopicPartition, TailPair]) -> Check:
    """The last mirrored records are equal: key, value, headers, timestamp, and their order."""
    differences, records, one_sided = [], 0, 0
    for partition, pair in sorted(tails.items()):
        if pair.is_compacted:
            keys = compare_keys(pair.source, pair.target)
            records, one_sided = records + keys.compared, one_sided + keys.one_sided
            if not keys.is_equal:
                differences.append(
                    f"{partition}: the last record of {keys.different} of {keys.compared} keys differs, "
                    f"{_place(keys.first_difference)}"
                )
            continue
        found = align(pair.source, pair.target, complete=pair.complete)
        records += found.compared
        if not found.is_equal:
            differences.append(
                f"{partition}: {found.missing} missing, {found.unexpected} unexpected, {found.duplicated} duplicated, "
                f"{found.reordered} reordered; {_place(found.first_difference)}"
            )
    detail = f"{records} records in {len(tails)} partitions are equal"
    if one_sided:
        detail += f"; {one_sided} keys of compacted topics are retained on one side only"
    return compared("digests", differences, detail, of=f"{len(tails)} partitions")


def _place(offsets: tuple[int, int] | None) -> str:
    return "" if offsets is None else f"newest at source offset {offsets[0]}, target offset {offsets[1]}"
