"""Parity of two regions: what applications have on the source, and would miss on the target after a move. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from drkit.domain.change_text import change_text, change_to_json
from drkit.domain.inventory import Inventory, Part
from drkit.domain.parity_acls import AclRules, compare_acls
from drkit.domain.parity_finding import HEADLINES, Finding, Kind, ParityChange, Severity
from drkit.domain.parity_others import compare_groups, compare_schemas, compare_users
from drkit.domain.parity_topics import compare_topics
from drkit.domain.provisioning import AddPartitions, CreateAcl, CreateTopic, RegisterSchema, SetConfig

__all__ = ["HEADLINES", "Finding", "Kind", "Parity", "ParityChange", "Severity", "compare"]

PARTS: Final = (Part.TOPICS, Part.ACLS, Part.USERS, Part.GROUPS, Part.SCHEMAS)
"""The parts of a region that are compared."""
_QUOTAS: Final = "quotas"
_ALWAYS_UNCHECKED: Final[Mapping[str, str]] = {
    _QUOTAS: "drkit's Kafka client cannot read them (KIP-546): compare kafka-configs --describe --entity-type users",
    "broker-defaults": "configs that a topic does not set itself are its brokers', and are not compared",
}
_ORDER: Final = (CreateTopic, AddPartitions, SetConfig, CreateAcl, RegisterSchema)


@dataclass(frozen=True, slots=True)
class Parity:
    """What was found. ``not_checked``: what could not be compared, and why; it is no success."""

    source: str
    target: str
    findings: tuple[Finding, ...]
    not_checked: Mapping[str, str]

    @property
    def changes(self) -> tuple[ParityChange, ...]:
        """What can be applied, in the order in which it is: nobody is shut out by an ACL of somebody else's."""
        found = [(one.change, one.kind is not Kind.OPERATOR_ACL) for one in self.findings if one.change is not None]
        return tuple(change for change, _ in sorted(found, key=lambda one: (_ORDER.index(type(one[0])), one[1])))

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Findings that stop or harm applications after a move."""
        return tuple(one for one in self.findings if one.severity is Severity.PROBLEM)

    def headlines(self, severity: Severity) -> list[str]:
        """One line per kind, with the count and the command that shows or mends it."""
        found = [one for one in self.findings if one.severity is severity]
        counts = Counter(one.kind for one in found)
        applicable = {one.kind for one in found if one.change is not None}
        command = f"drkit parity --from {self.source} --to {self.target}"
        return [
            f"in {self.target}, {counts[kind]} {HEADLINES[kind]}: {command}{' --apply' if kind in applicable else ''}"
            for kind in Kind
            if counts[kind]
        ]

    def document(self) -> dict[str, Any]:
        """``drkit.parity/1``."""
        return {
            "schema": "drkit.parity/1",
            "from": self.source,
            "to": self.target,
            "problems": len(self.problems),
            "notes": len(self.findings) - len(self.problems),
            "findings": [_finding_to_json(one) for one in self.findings],
            "not_checked": dict(self.not_checked),
        }


def compare(
    rules: AclRules,
    own_groups: frozenset[str],
    source: Inventory,
    target: Inventory,
    missing: Mapping[Part, str] | None = None,
) -> Parity:
    """Compare what both inventories have; a part that either lacks was not looked at, and is not checked.

    ``own_groups``: drkit's own groups. ``missing``: why a part was not read, where that is known.
    """
    findings: list[Finding] = []
    unchecked = dict(_ALWAYS_UNCHECKED)
    for part in PARTS:
        unchecked |= _unseen(part, source, target, missing or {})
    topics = {} if source.topics is None else source.topics
    if source.acls is not None and target.acls is not None:
        findings += compare_acls(rules, list(topics), source.acls, target.acls)
    if source.topics is not None and target.topics is not None:
        findings += compare_topics(rules.names, rules.topics, source.topics, target.topics)
    if source.users is not None and target.users is not None:
        applications = set(rules.source_fence.applications) | {acl.principal for acl in source.acls or ()}
        findings += compare_users(source.users, target.users, applications, rules.left_out)
    if source.groups is not None:
        findings += compare_groups(source.groups, rules.groups, rules.topics, own_groups)
    if source.schemas is not None and target.schemas is not None:
        findings += compare_schemas(source.schemas, target.schemas)
    kinds = list(Kind)
    found = sorted(findings, key=lambda one: kinds.index(one.kind))
    return Parity(source.region, target.region, tuple(found), unchecked)


def _unseen(part: Part, source: Inventory, target: Inventory, missing: Mapping[Part, str]) -> dict[str, str]:
    sides = (source,) if part is Part.GROUPS else (source, target)
    dark = [side.region for side in sides if getattr(side, part.value) is None]
    if part is Part.SCHEMAS and dark == [source.region, target.region] and part not in missing:
        # There is none to compare.
        return {}
    return {part.value: missing.get(part, f"not read in {' and '.join(dark)}")} if dark else {}


def _finding_to_json(finding: Finding) -> dict[str, Any]:
    document = {key: value for key, value in asdict(finding).items() if key != "change"}
    change = finding.change
    return {
        **document,
        "kind": finding.kind.value,
        "severity": finding.severity.value,
        "change": None if change is None else change_to_json(change),
        "does": "" if change is None else change_text(change),
    }
