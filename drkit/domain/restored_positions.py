"""Where groups continue after a restore.

A committed offset is a place in one log. It means the same as when it was backed up only where the log is still that
one: the cluster is the same, and the topic has the same id (KIP-516). On a rebuilt cluster the logs begin at 0 again.
A group whose position lies behind the end would not see what is written until the log reaches that far, and no error
would say so; one that lies inside it would begin at some other record. So such a position is in doubt, and is committed
only if the operator says that the records are there under the same offsets. A group that had read nothing (position 0
of a log that begins at 0) continues rightly in any log.

The leader epoch beside a position tells a consumer to look for a truncated log (KIP-320). It counts leaders of one log
of one cluster: carried over to another one, a consumer would find its position truncated, or refused as fenced. So it
stays only where the log is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from drkit.domain.checks import listed
from drkit.domain.inventory import CommittedPosition, GroupInventory, GroupType, Part
from drkit.domain.kafka import GroupState, LogRange, TopicPartition
from drkit.domain.naming import printable
from drkit.domain.positions import GroupPosition
from drkit.domain.provisioning import SetPositions
from drkit.domain.restoration import Choice, Difference, Refusal, Restoration

Groups = Mapping[str, GroupInventory]

NO_LOG = LogRange(0, 0, 0)
"""The log of a partition that is about to be made."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one group continues on one partition. ``position``: None where that is not known, with the reason.

    ``is_doubtful``: nobody knows that the record there is the one that the group had come to.
    """

    group: str
    partition: TopicPartition
    position: CommittedPosition | None
    reason: str
    is_doubtful: bool = False
    is_raised: bool = False
    """The records at the group's own position are gone: it continues at the first that is left."""


def in_place(
    groups: Groups,
    topic_ids: Mapping[str, str],
    live_ids: Mapping[str, str],
    logs: Mapping[TopicPartition, LogRange],
    *,
    same_cluster: bool,
) -> list[Placement]:
    """Positions in the region that they were backed up of.

    ``topic_ids``: of the topics when the groups were backed up, as far as they are known; ``live_ids``: of now.
    ``logs``: of now; a partition that is about to be made has ``NO_LOG``, one that is not there is missing.
    """
    same = {topic for topic, known in topic_ids.items() if same_cluster and known and known == live_ids.get(topic)}
    return [
        _placed(name, partition, position, logs.get(partition), same_log=partition.topic in same)
        for name, group in sorted(groups.items())
        for partition, position in sorted(group.positions.items())
    ]


def translated(groups: Groups, rows: Iterable[GroupPosition]) -> list[Placement]:
    """Positions in the other region: where the translation of the flow puts them, with what was committed beside them.

    A position without evidence is in no doubt: it is none.
    """
    placements = []
    for row in rows:
        downstream, before = row.verdict.downstream, groups[row.group].positions[row.partition]
        position = None if downstream is None else CommittedPosition(downstream, None, before.metadata)
        placements.append(Placement(row.group, row.target, position, row.verdict.reason))
    return placements


def restore_groups(backup: Groups, placements: Sequence[Placement], live: Groups, choice: Choice) -> Restoration:
    """Positions that are missing are committed; others that differ where ``choice.replace`` says so.

    Groups with members are refused as a whole before anything is written, or left with ``choice.skip_active``.
    """
    changes: list[SetPositions] = []
    stays: list[Difference] = []
    active: list[str] = []
    by_group: dict[str, list[Placement]] = {}
    for placement in placements:
        by_group.setdefault(placement.group, []).append(placement)
    for name, own in sorted(by_group.items()):
        found = live.get(name)
        change, differences = _of_group(name, own, found, choice)
        stays += differences
        if change is None:
            continue
        if found is None or found.state in (GroupState.EMPTY, GroupState.DEAD):
            changes.append(change)
        elif choice.skip_active:
            stays.append(Difference(Part.GROUPS, f"group {name}", "it has members, so that it stays where it is"))
        else:
            active.append(name)
    return Restoration(
        tuple(changes),
        tuple(stays),
        (*_active(active), *_doubts(placements, choice)),
        tuple(_foreign(backup)),
        tuple(_notes(placements)),
        frozenset(_ground(group) for name, group in live.items() if name in backup and group.positions),
    )


def replaced(before: CommittedPosition | None, after: CommittedPosition) -> bool:
    """Whether a group is elsewhere than it should be. Leader epochs are not compared: see the module."""
    return before is None or (before.offset, before.metadata) != (after.offset, after.metadata)


def _placed(
    group: str, partition: TopicPartition, position: CommittedPosition, log: LogRange | None, *, same_log: bool
) -> Placement:
    offset = position.offset
    if log is None:
        return Placement(group, partition, None, "the cluster has no such partition")
    other = replace(position, leader_epoch=None)
    if not same_log:
        if offset == log.start == 0:
            return Placement(group, partition, other, "had read nothing, and begins with the first record")
        where = f"behind the end {log.end} of a log" if offset > log.end else f"in a log from {log.start} to {log.end}"
        return Placement(group, partition, other, f"{where} that is another one, or may be", is_doubtful=True)
    if offset < log.start:
        gone = f"the records from {offset} on are gone: at the log start {log.start}"
        return Placement(group, partition, replace(other, offset=log.start), gone, is_raised=True)
    if offset > log.end:
        return Placement(group, partition, other, f"behind the log's end {log.end}", is_doubtful=True)
    return Placement(group, partition, position, "the same log")


def _of_group(
    name: str, placements: Sequence[Placement], live: GroupInventory | None, choice: Choice
) -> tuple[SetPositions | None, list[Difference]]:
    """What is committed for one group, and what of it stays as it is."""
    before: dict[TopicPartition, CommittedPosition] = {}
    after: dict[TopicPartition, CommittedPosition] = {}
    stays: list[Difference] = []
    for placement in placements:
        what = f"group {name} on {placement.partition}"
        if placement.position is None:
            stays.append(Difference(Part.GROUPS, what, f"is not placed: {placement.reason}"))
            continue
        found = live.positions.get(placement.partition) if live else None
        if not replaced(found, placement.position):
            continue
        if found is not None and not choice.replace:
            detail = f"is at {_shown(found)}, {_shown(placement.position)} by the backup"
            stays.append(Difference(Part.GROUPS, what, detail, "--replace"))
            continue
        after[placement.partition] = placement.position
        if found is not None:
            before[placement.partition] = found
    return (SetPositions(name, before, after) if after else None), stays


def _shown(position: CommittedPosition) -> str:
    return f"{position.offset} ({printable(position.metadata)})" if position.metadata else str(position.offset)


def _active(names: Sequence[str]) -> Iterable[Refusal]:
    if names:
        yield Refusal(
            f"{len(names)} groups have members, so that their positions cannot be set: "
            f"{listed(map(printable, names))}; stop their consumers",
            "--skip-active",
        )


def _doubts(placements: Iterable[Placement], choice: Choice) -> Iterable[Refusal]:
    doubtful = [placement for placement in placements if placement.is_doubtful]
    if doubtful and not choice.accept_positions:
        first = doubtful[0]
        yield Refusal(
            f"{len(doubtful)} positions of {len({one.group for one in doubtful})} groups are of logs that nobody knows "
            f"to be the same: where the records are not there under the same offsets, groups would skip records, or "
            f"read others (first: {printable(f'{first.group} on {first.partition}')} at "
            f"{first.position.offset if first.position else '?'}, {first.reason})",
            "--accept-positions",
        )


def _foreign(backup: Groups) -> Iterable[str]:
    for name, group in sorted(backup.items()):
        if group.group_type in (GroupType.SHARE, GroupType.STREAMS):
            yield f"{group.group_type.value} group {printable(name)}: its positions are not committed offsets alone"


def _notes(placements: Sequence[Placement]) -> Iterable[str]:
    raised = sum(placement.is_raised for placement in placements)
    if raised:
        yield f"{raised} positions are put at the log start, as the records below it are gone"


def _ground(group: GroupInventory) -> str:
    committed = ", ".join(f"{p}@{position.offset}" for p, position in sorted(group.positions.items()))
    return f"group {group.group}: {committed}"
