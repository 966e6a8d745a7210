"""ACLs and configs that MM2 leaves out, put right on the target before applications come to it.

The move does not depend on it: what cannot be read or made is on record as the reason, and is for whoever reads the
report. Topics are left as they are but for their configs; users, groups and schemas have secrets, positions and ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from drkit.config.parity_rules import acl_rules
from drkit.domain.change_text import change_text
from drkit.domain.inventory import Inventory, Part
from drkit.domain.kafka import Acl, TopicDescription
from drkit.domain.parity import Parity, compare
from drkit.domain.provisioning import CreateAcl, SetConfig
from drkit.engine.step import Evidence, Mode, RunContext
from drkit.errors import DrkitError
from drkit.steps.known_region import KnownRegion, as_it_is, as_it_was
from drkit.steps.provision import Provisioned, Provisioner
from drkit.steps.world import RegionPorts, World

_PARTS: Final = (Part.TOPICS, Part.ACLS)
_SEEN_SECONDS: Final = 2.0
"""How long a change may take until it is seen: applications are kept waiting meanwhile."""
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class _Ground:
    """What was read before the run changed anything. ``topics``: the target's."""

    source: KnownRegion
    topics: Mapping[str, TopicDescription]


class CarryOver:
    """Compares with the source as it was read ahead of the run, and changes the target. One per run."""

    def __init__(self, world: World, target: RegionPorts) -> None:
        self._world = world
        self._target = target
        self._ground: _Ground | None = None
        self._made: list[Provisioned] = []
        self._compared: tuple[frozenset[Acl], Parity] | None = None
        self._problems: list[str] = []

    def prepare(self, context: RunContext) -> None:
        """Read both sides, and compare them. What goes wrong is kept as the reason why nothing is carried over."""
        self._problems.clear()
        self._ground = self._compared = None
        try:
            self._ground = _Ground(self._source(context), self._target.reader.topics())
            # The ACLs are read again later; as a rule they are these, and need not be compared while writes wait.
            self._compare(context, self._target.reader.acls())
        except DrkitError as error:
            self._ground = None
            self._problems.append(error.message)

    def missing(self, context: RunContext, existing: frozenset[Acl]) -> list[Acl]:
        """ACLs that the target, with these, does not have and applications need."""
        if self._ground is None and not self._problems:
            self.prepare(context)
        return [change.acl for change in self._compare(context, existing).changes if isinstance(change, CreateAcl)]

    def make(self, context: RunContext, acls: Sequence[Acl], existing: frozenset[Acl]) -> None:
        """Make these ACLs, and set the configs that differ."""
        configs = [one for one in self._compare(context, existing).changes if isinstance(one, SetConfig)]
        self._made.clear()
        for changes in ([CreateAcl(acl) for acl in acls], configs):
            if changes:
                self._provision(changes)

    def evidence(self) -> Evidence:
        """What was carried over, from where, and what was not."""
        made = [change for one in self._made for change in one.made]
        source = None if self._ground is None else self._ground.source
        return {
            "from": None if source is None else source.where,
            "as_of": None if source is None or source.as_of is None else source.as_of.isoformat(),
            "acls": sum(isinstance(change, CreateAcl) for change in made),
            "configs": sum(isinstance(change, SetConfig) for change in made),
            "for_a_person": self._for_a_person(),
            "problems": self._problems[:_SHOWN],
        }

    def _source(self, context: RunContext) -> KnownRegion:
        if context.mode is Mode.DISASTER:
            return as_it_was(self._world, context.source)
        try:
            return as_it_is(self._world, context.source, _PARTS)
        except DrkitError:
            # A run that is resumed after its source has died: its own snapshot is the newest.
            return as_it_was(self._world, context.source)

    def _compare(self, context: RunContext, existing: frozenset[Acl]) -> Parity:
        if self._ground is None:
            return Parity(context.source, context.target, (), {})
        if self._compared is not None and self._compared[0] == existing:
            return self._compared[1]
        rules = acl_rules(self._world.settings, context.source, context.target, is_standby=False)
        cluster_id = self._world.settings.regions[context.target].cluster.cluster_id
        target = Inventory(context.target, cluster_id, topics=self._ground.topics, acls=existing)
        found = compare(rules, frozenset(), self._ground.source.inventory, target)
        self._compared = existing, found
        return found

    def _for_a_person(self) -> int:
        return sum(one.change is None for one in self._compared[1].problems) if self._compared else 0

    def _provision(self, changes: Sequence[CreateAcl | SetConfig]) -> None:
        target = self._target
        provisioner = Provisioner(
            target.reader, target.writer, target.inventory_writer, self._world.clock, _SEEN_SECONDS
        )
        try:
            made = provisioner.apply(changes)
        except DrkitError as error:
            self._problems.append(error.message)
            return
        self._made.append(made)
        self._problems += [f"{change_text(one.change)}: {one.reason}" for one in made.failed]


def acls_to_json(acls: Collection[Acl]) -> list[dict[str, Any]]:
    """As an undo record has them."""
    return [asdict(acl) for acl in acls]


def acls_of_json(found: Collection[Mapping[str, Any]]) -> list[Acl]:
    """The inverse."""
    return [Acl(**one) for one in found]
