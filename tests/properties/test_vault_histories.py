"""Histories of backups and prunes that are killed, cut off from a bucket, and run on machines whose clocks are wrong.

Whatever happens: every backup that is to be seen in a bucket is whole in that bucket; the newest one that was
acknowledged, or a newer one, is to be seen; and so it is, in both buckets, of those that were acknowledged as in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.backup.manifest import Manifest
from drkit.backup.pruning import Pruning
from drkit.backup.storing import Stored, Storing
from drkit.backup.survey import Surveyed
from drkit.backup.vault import Replica, Vault
from drkit.domain.inventory import Inventory, Part, ScramUser
from drkit.domain.retention import Keep
from drkit.engine.calls import attempt
from drkit.errors import DrkitError, UnreachableError
from drkit.ports import StoredObject
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.machine import Machine

LABELS = ("a", "b")
PARTS = (Part.USERS, Part.ACLS)


class KilledError(BaseException):
    """What SIGKILL is to a process."""


@dataclass
class Process:
    """What happens to one process: it dies at a call, before or after its effect, or loses a bucket from one on."""

    dies_at: int | None = None
    dies_after_effect: bool = False
    loses: str = ""
    loses_at: int = 0
    calls: int = 0

    def before(self, label: str) -> None:
        self.calls += 1
        if self.dies_at is not None and self.calls > self.dies_at - (not self.dies_after_effect):
            raise KilledError
        if label == self.loses and self.calls > self.loses_at:
            raise UnreachableError(f"{label} is dark")


@dataclass
class Seen:
    """A bucket as a process sees it."""

    label: str
    store: FakeObjectStore
    process: Process = field(default_factory=Process)

    def get(self, key: str) -> StoredObject | None:
        self.process.before(self.label)
        return self.store.get(key)

    def create(self, key: str, body: bytes) -> str:
        self.process.before(self.label)
        return self.store.create(key, body)

    def replace(self, key: str, body: bytes, etag: str) -> str:
        raise AssertionError("nothing of a backup is ever written over")

    def delete(self, key: str) -> None:
        self.process.before(self.label)
        self.store.delete(key)

    def list(self, prefix: str) -> Iterator[str]:
        self.process.before(self.label)
        return self.store.list(prefix)


@dataclass(frozen=True)
class Act:
    """One process: a backup of a version of the region, or a prune (None), some hours after the one before."""

    version: int | None
    hours: float
    skew_hours: float
    process: Process


_PROCESSES = st.builds(
    Process,
    dies_at=st.none() | st.integers(1, 14),
    dies_after_effect=st.booleans(),
    loses=st.sampled_from(["", "", "a", "b"]),
    loses_at=st.integers(0, 10),
)
_ACTS = st.builds(
    Act,
    st.none() | st.integers(0, 2),
    st.sampled_from([0.1, 2, 30]),
    st.sampled_from([0, 0, 0, -72, 72, 9000]),
    _PROCESSES,
)


def region(version: int) -> Inventory:
    users = {"u": ScramUser("u", {"SCRAM-SHA-512": version})}
    return Inventory("taipei", "cluster-1", users=users, acls=frozenset())


@settings(deadline=None, max_examples=150)
@given(st.lists(_ACTS, max_size=8))
def test_what_is_to_be_seen_is_whole(acts: list[Act]) -> None:
    stores = {label: FakeObjectStore() for label in LABELS}
    shared = FakeClock()
    acknowledged: list[Stored] = []
    for act in acts:
        shared.advance(act.hours * 3600)
        clock = Machine(shared, timedelta(hours=act.skew_hours))
        process = replace(act.process)
        vault = Vault([Replica(label, Seen(label, store, process)) for label, store in stores.items()])
        try:
            if act.version is None:
                attempt(Pruning(vault, clock).run, Keep(last=1))
            else:
                acknowledged += backed_up(Storing(vault, clock), region(act.version))
        except KilledError:
            pass
        require_whole(stores, acknowledged)


def backed_up(storing: Storing, inventory: Inventory) -> list[Stored]:
    """The backup, if it was acknowledged."""
    begun = attempt(storing.begin, inventory.region, inventory.cluster_id, PARTS)
    if isinstance(begun, DrkitError):
        return []
    stored = attempt(storing.commit, begun, Surveyed(inventory))
    return [] if isinstance(stored, DrkitError) else [stored]


def require_whole(stores: dict[str, FakeObjectStore], acknowledged: list[Stored]) -> None:
    seen: dict[str, set[str]] = {}
    for label, store in stores.items():
        alone = Vault([Replica(label, store)])
        seen[label] = set()
        for found in alone.read_all(alone.listing()).values():
            assert isinstance(found, Manifest)
            held = alone.load(found)
            assert held.users is not None
            assert held == region(held.users["u"].mechanisms["SCRAM-SHA-512"])
            seen[label].add(found.backup_id)
    if acknowledged:
        assert max(set().union(*seen.values())) >= acknowledged[-1].manifest.backup_id
    twice = [one.manifest.backup_id for one in acknowledged if len(one.copies) == len(LABELS)]
    if twice:
        assert max(set.intersection(*seen.values())) >= twice[-1]
