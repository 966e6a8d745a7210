"""The lineage of a service: its epochs, each ended by a cut at which the direction changed.

A cut is the recorded pair of log ends per partition. With every cut on record, any offset on either side can be
placed in time, and a failback knows where the records begin that only the new primary has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from drkit.domain.kafka import TopicPartition
from drkit.errors import RefusedError

SCHEMA: Final = "drkit.lineage/1"


class EpochState(StrEnum):
    """``prepared`` until the clients have been redirected; ``withdrawn`` when the run was undone."""

    PREPARED = "prepared"
    IN_FORCE = "in_force"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class PartitionCut:
    """Where one partition changed direction.

    ``source_end``: log end of the old primary (next offset), None if it was gone. ``source_last``: upstream offset of
    the last record that was mirrored, None if none was. ``target_end``: log end of the new primary; whatever is
    written from there on exists only there.
    """

    source_end: int | None
    source_last: int | None
    target_end: int


Cut = Mapping[TopicPartition, PartitionCut]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One change of direction, made by one run."""

    run_id: str
    source: str
    target: str
    mode: str
    cut_at: str
    state: EpochState
    cut: Cut


@dataclass(frozen=True, slots=True)
class Lineage:
    """All epochs, oldest first."""

    epochs: tuple[Epoch, ...] = ()

    def primary(self, initial: str) -> str:
        """The region that is primary now; ``initial`` if no change of direction is in force."""
        newest = self.newest_in_force
        return newest.target if newest else initial

    @property
    def newest_in_force(self) -> Epoch | None:
        """The change of direction that counts; None if there was none."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.state is EpochState.IN_FORCE), None)

    def of_run(self, run_id: str) -> Epoch | None:
        """The epoch that a run recorded."""
        return next((epoch for epoch in self.epochs if epoch.run_id == run_id), None)

    def is_newest_in_force(self, run_id: str) -> bool:
        """Whether the change of direction that counts is this run's."""
        newest = self.newest_in_force
        return newest is not None and newest.run_id == run_id

    def with_epoch(self, epoch: Epoch) -> Lineage:
        """Add an epoch, or replace the one of the same run."""
        others = tuple(known for known in self.epochs if known.run_id != epoch.run_id)
        return Lineage((*others, epoch))

    def with_state(self, run_id: str, state: EpochState) -> Lineage:
        """Change the state of a run's epoch, if it has one."""
        return Lineage(tuple(replace(epoch, state=state) if epoch.run_id == run_id else epoch for epoch in self.epochs))


def cut_to_json(cut: Cut) -> dict[str, dict[str, dict[str, int | None]]]:
    """``{topic: {partition: {source_end, source_last, target_end}}}``."""
    tree: dict[str, dict[str, dict[str, int | None]]] = {}
    for partition, ends in sorted(cut.items()):
        tree.setdefault(partition.topic, {})[str(partition.partition)] = {
            "source_end": ends.source_end,
            "source_last": ends.source_last,
            "target_end": ends.target_end,
        }
    return tree


def cut_from_json(tree: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[TopicPartition, PartitionCut]:
    """The inverse of ``cut_to_json``; KeyError, TypeError or ValueError on anything else."""
    return {
        TopicPartition(topic, int(number)): PartitionCut(
            ends["source_end"], ends["source_last"], int(ends["target_end"])
        )
        for topic, partitions in tree.items()
        for number, ends in partitions.items()
    }


def dump(lineage: Lineage) -> bytes:
    """The lineage object as it is stored."""
    epochs = [
        {
            "run_id": epoch.run_id,
            "from": epoch.source,
            "to": epoch.target,
            "mode": epoch.mode,
            "cut_at": epoch.cut_at,
            "state": epoch.state.value,
            "cut": cut_to_json(epoch.cut),
        }
        for epoch in lineage.epochs
    ]
    return json.dumps({"schema": SCHEMA, "epochs": epochs}, indent=1).encode()


def parse(body: bytes) -> Lineage:
    """Read a stored lineage. Raises ``RefusedError`` when it is torn, foreign, or of a newer drkit."""
    try:
        document = json.loads(body)
        if document["schema"] != SCHEMA:
            raise RefusedError(
                f"the lineage has schema {document['schema']!r}; this drkit reads {SCHEMA!r}",
                hint="use the version of drkit that wrote it",
            )
        return Lineage(tuple(_epoch(item) for item in document["epochs"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError(
            f"the lineage object cannot be read: {error!r}",
            hint="without it the primary is unknown: restore lineage.json from its earlier version in the state bucket",
        ) from error


def _epoch(item: Mapping[str, Any]) -> Epoch:
    return Epoch(
        run_id=item["run_id"],
        source=item["from"],
        target=item["to"],
        mode=item["mode"],
        cut_at=item["cut_at"],
        state=EpochState(item["state"]),
        cut=cut_from_json(item["cut"]),
    )
