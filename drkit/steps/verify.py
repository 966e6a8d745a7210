"""Verify: what arrived is what was sent, and groups are where they were put."""

from __future__ import annotations

from drkit.domain.checks import CheckOutcome, Verification, verification_to_json
from drkit.domain.lineage import EpochState, cut_from_json
from drkit.domain.partition_tree import from_tree
from drkit.engine.step import Evidence, Mode, ReadingStep, RunContext
from drkit.errors import VerificationError
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.world import RegionPorts, World
from drkit.verification.compare import Comparison, starts_of
from drkit.verification.sides import CompareSettings


class VerificationMissedError(VerificationError):
    """A difference was found; ``evidence`` holds every check."""

    def __init__(self, message: str, *, hint: str, evidence: Evidence) -> None:
        super().__init__(message, hint=hint)
        self.evidence = evidence


def require_no_difference(found: Verification, *, hint: str) -> Evidence:
    """The checks as evidence. Raises ``VerificationMissedError`` for any difference; ``hint``: where all are seen."""
    evidence = verification_to_json(found)
    different = found.of(CheckOutcome.DIFFERENCE)
    if different:
        text = "; ".join(f"{check.name}: {check.detail}" for check in different)
        raise VerificationMissedError(text, hint=hint, evidence=evidence)
    return evidence


class Verify(ReadingStep):
    """Topics, configs, counts between cuts, digests of the newest records, group positions."""

    name = "verify"

    def __init__(
        self, world: World, source: RegionPorts, target: RegionPorts, record: LineageRecord, settings: CompareSettings
    ) -> None:
        self._world = world
        self._source = source
        self._target = target
        self._record = record
        self._settings = settings

    def describe(self, context: RunContext) -> str:
        """Say what is compared."""
        both = "both sides up to the cut" if context.mode is Mode.PLANNED else f"what {context.target} alone shows"
        return f"compare {both}"

    def confirm(self, context: RunContext) -> Evidence:
        """Compare. Raises ``VerificationMissedError`` for any difference."""
        earlier = [
            epoch
            for epoch in self._record.read().epochs
            if epoch.run_id != context.run_id and epoch.state is EpochState.IN_FORCE
        ]
        comparison = Comparison(
            source=self._source.reader if context.mode is Mode.PLANNED else None,
            target=self._target.reader,
            writer=self._target.writer,
            clock=self._world.clock,
            settings=self._settings,
        )
        committed = context.of("translate-offsets").get("committed", {})
        found = comparison.run(
            cut_from_json(context.of("cut")["cut"]),
            {group: from_tree(tree) for group, tree in committed.items()},
            starts_of(earlier[-1] if earlier else None, context.source),
        )
        return require_no_difference(found, hint=f"drkit runs show {context.run_id} has every check")

    def summarize(self, evidence: Evidence) -> str:
        """How many checks were made."""
        checks = evidence["checks"]
        skipped = sum(check["outcome"] != CheckOutcome.OK.value for check in checks)
        return f"{len(checks) - skipped} checks ok" + (f", {skipped} not possible" if skipped else "")
