"""Changes of topics and ACLs are made: compared with the cluster first, each result looked at, and read back.

Kafka has no compare-and-set for any of this. The cluster is read at once before the first change, and a change whose
ground has moved stops all of them; what somebody else does within the second after that, nobody can see.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from drkit.domain.change_state import ClusterChange, Made, Stale, Standing, Topics, standing
from drkit.domain.change_text import change_text
from drkit.domain.kafka import Acl
from drkit.domain.provisioning import AddPartitions, CreateAcl, CreateTopic, SetConfig
from drkit.engine.calls import at_once
from drkit.errors import DrkitError, StalePlanError, UnreachableError, VerificationError
from drkit.ports import Clock, KafkaReader, KafkaWriter, Progress
from drkit.ports.inventory import InventoryWriter

Maker = Callable[[Sequence[ClusterChange]], None]

_LOOK_SECONDS: Final = 0.05
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Failed:
    """A change that is not on the cluster, and why."""

    change: ClusterChange
    reason: str


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What became of the changes: made now, there before, or not there although asked for."""

    made: tuple[ClusterChange, ...]
    present: tuple[ClusterChange, ...]
    failed: tuple[Failed, ...] = ()

    def require_complete(self, region: str) -> None:
        """Raise ``VerificationError`` that names what is missing."""
        if not self.failed:
            return
        total = len(self.made) + len(self.present) + len(self.failed)
        shown = "; ".join(f"{change_text(one.change)}: {one.reason}" for one in self.failed[:_SHOWN])
        more = f"; and {len(self.failed) - _SHOWN} more" if len(self.failed) > _SHOWN else ""
        raise VerificationError(
            f"{len(self.failed)} of {total} changes in {region} were not made: {shown}{more}",
            hint="the others were; put right what the cluster said, and run again: what is there is left alone",
        )


@dataclass(frozen=True, slots=True)
class Provisioner:
    """Makes changes on one cluster. ``deadline_seconds``: how long a change may take until it is seen there."""

    reader: KafkaReader
    writer: KafkaWriter
    inventory_writer: InventoryWriter
    clock: Clock
    deadline_seconds: float

    def outstanding(self, changes: Sequence[ClusterChange]) -> tuple[ClusterChange, ...]:
        """Those that the cluster does not have yet. Raises ``StalePlanError``, for all of them at once."""
        topics, acls = self._read(changes)
        found = [(change, standing(change, topics, acls)) for change in changes]
        stale = [state.reason for _, state in found if isinstance(state, Stale)]
        if stale:
            more = f"; and {len(stale) - _SHOWN} more" if len(stale) > _SHOWN else ""
            raise StalePlanError(
                f"{self.reader.region} has changed since the plan was made: {'; '.join(stale[:_SHOWN])}{more}",
                hint="nothing was changed; plan again",
            )
        return tuple(change for change, state in found if not isinstance(state, Made))

    def apply(self, changes: Sequence[ClusterChange], progress: Progress = lambda _: None) -> Provisioned:
        """Make what is outstanding: topics, then partitions, configs, and ACLs in one request; safe to repeat.

        A change that the cluster refuses is no obstacle for the others. Raises ``StalePlanError`` before the first
        change, ``UnreachableError`` where an answer is lost (run again: what was made is found), and what the cluster
        said where it took none of them.
        """
        outstanding = self.outstanding(changes)
        refused: dict[int, DrkitError] = {}
        for kind, make in self._makers:
            refused |= self._make([change for change in outstanding if isinstance(change, kind)], make, progress)
        failed = self._read_back(outstanding, refused)
        if refused and len(failed) == len(outstanding):
            raise next(iter(refused.values()))
        asked, lost = _identities(outstanding), _identities(one.change for one in failed)
        return Provisioned(
            made=tuple(change for change in outstanding if id(change) not in lost),
            present=tuple(change for change in changes if id(change) not in asked),
            failed=failed,
        )

    @property
    def _makers(self) -> Sequence[tuple[type[ClusterChange], Maker]]:
        """Topics come before what is set on them, and ACLs last."""
        return (
            (CreateTopic, self._create_topic),
            (AddPartitions, self._add_partitions),
            (SetConfig, self._set_configs),
            (CreateAcl, self._create_acls),
        )

    def _make(self, changes: Sequence[ClusterChange], make: Maker, progress: Progress) -> dict[int, DrkitError]:
        """Make changes of one kind, and answer what was refused. A promotion may have writes waiting for it."""
        batches = _batches(changes)
        begun = count(1)

        def ask(batch: Sequence[ClusterChange]) -> Mapping[int, DrkitError]:
            more = f" and {len(batch) - 1} more" if len(batch) > 1 else ""
            progress(f"{change_text(batch[0])}{more} ({next(begun)} of {len(batches)})")
            return self._refusals(batch, make)

        return {change: error for found in at_once(ask, batches) for change, error in found.items()}

    def _refusals(self, batch: Sequence[ClusterChange], make: Maker) -> Mapping[int, DrkitError]:
        """What the cluster refused, by the identity of the change: one with a mapping in it has no hash."""
        try:
            make(batch)
        except UnreachableError:
            raise
        except DrkitError as error:
            if len(batch) == 1:
                return {id(batch[0]): error}
            # Which one it was, the request as a whole does not say.
            refused: dict[int, DrkitError] = {}
            for change in batch:
                refused.update(self._refusals([change], make))
            return refused
        return {}

    def _create_topic(self, batch: Sequence[ClusterChange]) -> None:
        for change in batch:
            if isinstance(change, CreateTopic):
                # False where it was there: the read-back says whether it is the one that was asked for.
                self.writer.create_topic(
                    change.name,
                    partitions=change.partitions,
                    replication_factor=change.replication_factor,
                    configs=change.configs,
                )

    def _add_partitions(self, batch: Sequence[ClusterChange]) -> None:
        for change in batch:
            if isinstance(change, AddPartitions):
                self.inventory_writer.add_partitions(change.topic, change.after)

    def _set_configs(self, batch: Sequence[ClusterChange]) -> None:
        configs = {change.config: change.after for change in batch if isinstance(change, SetConfig)}
        self.writer.alter_topic_configs(_topic(batch[0]), configs)

    def _create_acls(self, batch: Sequence[ClusterChange]) -> None:
        self.writer.create_acls([change.acl for change in batch if isinstance(change, CreateAcl)])

    def _read_back(self, changes: Sequence[ClusterChange], refused: Mapping[int, DrkitError]) -> tuple[Failed, ...]:
        """What is missing; changes that were accepted are waited for, as brokers learn of them one by one."""
        if not changes:
            return ()
        deadline = self.clock.monotonic() + self.deadline_seconds
        while True:
            topics, acls = self._read(changes)
            states = [(change, standing(change, topics, acls)) for change in changes]
            missing = [(change, state) for change, state in states if not isinstance(state, Made)]
            if all(id(change) in refused for change, _ in missing) or self.clock.monotonic() > deadline:
                return tuple(Failed(change, self._why(change, state, refused)) for change, state in missing)
            self.clock.sleep(_LOOK_SECONDS)

    def _why(self, change: ClusterChange, state: Standing, refused: Mapping[int, DrkitError]) -> str:
        if id(change) in refused:
            return refused[id(change)].message
        if isinstance(state, Stale):
            return state.reason
        return f"accepted, and not seen on the cluster within {self.deadline_seconds:g} s"

    def _read(self, changes: Collection[ClusterChange]) -> tuple[Topics, frozenset[Acl]]:
        """No more of the cluster than the changes are about."""
        acls = self.reader.acls() if any(isinstance(change, CreateAcl) for change in changes) else frozenset()
        topics = self.reader.topics() if not all(isinstance(change, CreateAcl) for change in changes) else {}
        return topics, acls


def _batches(changes: Sequence[ClusterChange]) -> list[list[ClusterChange]]:
    """One request each: per topic, and for all ACLs, so that nobody is shut out by the first half of them."""
    by_topic: dict[str, list[ClusterChange]] = {}
    for change in changes:
        by_topic.setdefault(_topic(change), []).append(change)
    return list(by_topic.values())


def _identities(changes: Iterable[ClusterChange]) -> frozenset[int]:
    return frozenset(id(change) for change in changes)


def _topic(change: ClusterChange) -> str:
    match change:
        case CreateTopic():
            return change.name
        case AddPartitions() | SetConfig():
            return change.topic
        case CreateAcl():
            return ""
