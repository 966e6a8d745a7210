"""``parity``: what the mirror leaves different between two regions, and the changes of the target that mend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from drkit.config.parity_rules import acl_rules
from drkit.domain.change_text import change_text, change_to_json
from drkit.domain.parity import PARTS, Parity, ParityChange, Severity, compare
from drkit.domain.provisioning import RegisterSchema
from drkit.errors import DrkitError, RefusedError, UnreachableError, UsageError
from drkit.ports import Progress
from drkit.steps.known_region import KnownRegion, as_it_is, as_it_was
from drkit.steps.provision import Provisioner
from drkit.steps.world import World


class Alone(Protocol):
    """While it is entered nobody else changes the service."""

    def __call__(self, purpose: str, progress: Progress = ...) -> AbstractContextManager[None]:
        """Raises ``RefusedError`` beside an unfinished run, ``LeaseHeldError`` beside another process."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Two regions compared. ``refusal``: why nothing may be applied; empty where it may."""

    parity: Parity
    source: KnownRegion
    refusal: str

    @property
    def document(self) -> dict[str, Any]:
        """``drkit.parity/1``."""
        as_of = self.source.as_of
        known = {"where": self.source.where, "as_of": None if as_of is None else as_of.isoformat()}
        return {**self.parity.document(), "source": known, "refusal": self.refusal, "applied": None}

    def require_applicable(self) -> None:
        """Raise ``RefusedError`` where the target is not one to change."""
        if self.refusal:
            raise RefusedError(self.refusal, hint="nothing was changed")


@dataclass(frozen=True, slots=True)
class RegionParity:
    """Compares the two regions of a service, and brings one to what the other has."""

    world: World
    primary: Callable[[], str]
    alone: Alone

    def compare(self, source: str | None, target: str | None) -> Compared:
        """Read both regions and compare them. Writes nothing.

        None: from the primary, to the other region. A source that does not answer is taken from its newest snapshot or
        backup. Raises ``UsageError`` for other regions, ``RefusedError`` for another cluster than the configured one,
        or where nothing is known of the source, and ``UnreachableError`` for a target that does not answer.
        """
        primary = self.primary()
        source, target = self._direction(source, target, primary)
        there = as_it_is(self.world, target, PARTS)
        here = self._source(source)
        settings = self.world.settings
        rules = acl_rules(settings, source, target, is_standby=target != primary)
        missing = {**there.missing, **here.missing}
        parity = compare(rules, frozenset({settings.canary_group}), here.inventory, there.inventory, missing)
        refusal = (
            f"{target} is the primary: what it has is what counts, and {source} is to follow it"
            if target == primary
            else ""
        )
        return Compared(parity, here, refusal)

    def apply(self, compared: Compared, progress: Progress) -> dict[str, Any]:
        """Make the changes; ``drkit.parity/1`` of what is left, with what was ``applied``.

        Safe to repeat. Raises ``StalePlanError`` if the target has changed since, ``RefusedError`` beside a run, or
        where the target has become the primary.
        """
        compared.require_applicable()
        source, target = compared.parity.source, compared.parity.target
        with self.alone("parity", progress):
            if self.primary() == target:
                raise RefusedError(f"{target} has become the primary", hint="nothing was changed; compare again")
            self.world.require_known_cluster(target)
            made, failed = self._apply(target, compared.parity.changes, progress)
            left = self.compare(source, target)
        return {
            **left.document,
            "applied": {
                "changes": [{**change_to_json(change), "text": change_text(change)} for change in made],
                "failed": [{"change": change_text(change), "reason": reason} for change, reason in failed],
            },
        }

    def headlines(self) -> tuple[list[str], list[str]]:
        """What ``check`` says: problems and notes, a line per kind. What could not be compared is a note."""
        try:
            parity = self.compare(None, None).parity
        except DrkitError as error:
            return [], [f"parity of both regions is not checked: {error.message}"]
        unchecked = [f"parity of {what} is not checked: {why}" for what, why in sorted(parity.not_checked.items())]
        return parity.headlines(Severity.PROBLEM), [*parity.headlines(Severity.NOTE), *unchecked]

    def _direction(self, source: str | None, target: str | None, primary: str) -> tuple[str, str]:
        settings = self.world.settings
        for name in (source, target):
            if name is not None:
                self.world.require_region(name)
        source = source or (primary if target is None else settings.other(target))
        target = target or settings.other(source)
        if source == target:
            raise UsageError(f"--from and --to are both {source}", hint=f"regions: {', '.join(settings.regions)}")
        return source, target

    def _source(self, region: str) -> KnownRegion:
        try:
            return as_it_is(self.world, region, PARTS)
        except UnreachableError as silent:
            try:
                return as_it_was(self.world, region, PARTS)
            except RefusedError as error:
                raise UnreachableError(f"{silent.message}; {error.message}", hint=silent.hint) from error

    def _apply(
        self, region: str, changes: Sequence[ParityChange], progress: Progress
    ) -> tuple[list[ParityChange], list[tuple[ParityChange, str]]]:
        ports, seconds = self.world.regions[region], self.world.settings.timeouts.request_seconds
        provisioner = Provisioner(ports.reader, ports.writer, ports.inventory_writer, self.world.clock, seconds)
        cluster = provisioner.apply([one for one in changes if not isinstance(one, RegisterSchema)], progress)
        made: list[ParityChange] = list(cluster.made)
        failed: list[tuple[ParityChange, str]] = [(one.change, one.reason) for one in cluster.failed]
        for change in changes:
            if isinstance(change, RegisterSchema) and ports.registry_writer is not None:
                progress(change_text(change))
                try:
                    ports.registry_writer.register(change.version)
                except UnreachableError:
                    raise
                except DrkitError as error:
                    failed.append((change, error.message))
                else:
                    made.append(change)
        return made, failed
