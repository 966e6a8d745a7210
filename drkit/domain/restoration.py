"""What a restore changes of a region, what it leaves as it is, and what forbids it. Pure: from a backup and a survey.

Nothing is ever removed, and nothing that is there is touched unless ``Choice.replace`` says so. What the changes make
is what the backup has, so that a plan made again once they are made has no changes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from drkit.domain.change_text import acl_text
from drkit.domain.checks import listed
from drkit.domain.fence import FenceScope, bindings_of_fence
from drkit.domain.inventory import Inventory, Part
from drkit.domain.kafka import Acl
from drkit.domain.naming import printable
from drkit.domain.provisioning import (
    AddPartitions,
    Change,
    CreateAcl,
    CreateTopic,
    RegisterSchema,
    SetCompatibility,
    SetConfig,
    SetPositions,
)

RESTORABLE: Final = (Part.TOPICS, Part.SCHEMAS, Part.GROUPS, Part.ACLS)
"""The parts that can be restored, in the order in which they are: applications are let in last."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a backup is restored, and what the operator allows. No topics or groups named: all that are in it."""

    parts: frozenset[Part] = frozenset(RESTORABLE)
    topics: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    replace: bool = False
    """Overwrite what is there and differs."""
    accept_positions: bool = False
    """Commit positions as they stand in the backup also where the log is not known to be the same."""
    skip_active: bool = False
    """Leave groups that have members as they are, and restore the others."""
    replication_factor: int | None = None
    """At most so many replicas of each topic that is made."""

    def takes_topic(self, name: str) -> bool:
        """Whether a topic was asked for: one of those that were named, or any where none was."""
        return name in self.topics if self.topics else True


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs from the backup and stays as it is. ``lifted_by``: the flag that would change it, or empty."""

    part: Part
    what: str
    detail: str
    lifted_by: str = ""

    def __str__(self) -> str:
        return printable(f"{self.what}: {self.detail}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a restore is not carried out as it was asked for, and the flag that lifts it."""

    reason: str
    flag: str


@dataclass(frozen=True, slots=True)
class Restoration:
    """One part's plan, or the whole.

    ``by_hand``: what the backup has and nobody can restore from it. ``ground``: what of the region the plan was made
    from; where it has changed, the plan is stale.
    """

    changes: tuple[Change, ...] = ()
    stays: tuple[Difference, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    by_hand: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ground: frozenset[str] = field(default_factory=frozenset)

    def __add__(self, other: Restoration) -> Restoration:
        return Restoration(
            self.changes + other.changes,
            self.stays + other.stays,
            self.refusals + other.refusals,
            self.by_hand + other.by_hand,
            self.notes + other.notes,
            self.ground | other.ground,
        )


def grounded(changes: Collection[Change]) -> frozenset[str]:
    """What these changes were made from. Positions are left out: a group's ground is all that it has committed."""
    return frozenset(ground for change in changes if (ground := _ground(change)))


def _ground(change: Change) -> str:  # noqa: PLR0911 - one return per kind of change
    match change:
        case CreateTopic():
            return f"no topic {change.name}"
        case AddPartitions():
            return f"topic {change.topic} with {change.before} partitions"
        case SetConfig():
            return f"config {change.config} of {change.topic}: {change.before!r}"
        case CreateAcl():
            return f"no {change.acl!r}"
        case RegisterSchema():
            return f"no version {change.version.version} of {change.version.subject}"
        case SetCompatibility():
            return f"compatibility of {change.subject!r}: {change.before!r}"
        case SetPositions():
            return ""


def restore_acls(backup: frozenset[Acl], live: frozenset[Acl], scope: FenceScope | None) -> Restoration:
    """Bindings that are missing, denials first: nobody gets in for a moment whom the backup keeps out.

    A fence that was put when the backup was taken is drkit's own, and no part of what the region is.
    """
    fence = _fence(backup, scope)
    missing = backup - live - fence
    unknown = sorted(acl for acl in missing if not acl.is_known)
    known = missing - set(unknown)
    changes = tuple(CreateAcl(acl) for acl in sorted(known, key=lambda acl: (acl.permission != "deny", acl)))
    notes = []
    if fence:
        notes.append(
            f"{len(fence)} ACLs of the backup are a fence of drkit's and are not restored: drkit fence put does it"
        )
    stays = tuple(
        Difference(Part.ACLS, acl_text(acl), "drkit's client has no word for a part of it: kafka-acls.sh adds it")
        for acl in unknown
    )
    more = len(live - backup)
    if more:
        notes.append(f"{more} ACLs that the backup does not have stay")
    return Restoration(changes, stays, notes=tuple(notes), ground=grounded(changes))


def _fence(backup: frozenset[Acl], scope: FenceScope | None) -> frozenset[Acl]:
    found = frozenset() if scope is None else bindings_of_fence(scope, backup)
    # What a fence pairs with its denials may be somebody's own where there are none.
    return found if any(acl.permission == "deny" for acl in found) else frozenset()


def not_restored(backup: Inventory, live: Inventory) -> Restoration:
    """What a backup has and a restore leaves to others: users without their secrets, connectors, redirects."""
    by_hand, notes = [], []
    known = live.users or {}
    for name, user in sorted((backup.users or {}).items()):
        missing = sorted(user.mechanisms.keys() - (known[name].mechanisms.keys() if name in known else set()))
        if missing:
            by_hand.append(
                f"SCRAM user {printable(name)} ({', '.join(missing)}): make it with its secret, which no backup has"
            )
    if backup.connectors:
        by_hand.append(
            f"connectors {listed(map(printable, sorted(backup.connectors)))}: drkit mm2 apply makes the mirror"
        )
    if backup.redirects:
        held = (f"{name} was {', '.join(found.values) or 'empty'}" for name, found in sorted(backup.redirects.items()))
        notes.append(f"redirects are not restored: {printable(listed(held))}")
    return Restoration(by_hand=tuple(by_hand), notes=tuple(notes))
