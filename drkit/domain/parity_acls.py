"""ACLs that applications have on the source and need on the target. Pure.

What MM2 leaves out (``MirrorSourceConnector``: ``shouldReplicateAcl``, ``targetAclBinding``): everything but LITERAL
topic patterns, ALLOW WRITE, and ALL but for READ; it never deletes. A denial counts more than any allowance, and some
operations imply DESCRIBE (``StandardAuthorizer`` of Kafka; KIP-801): what the target allows already is no finding.

Nothing weakens a fence: a fenced application is denied whatever else allows it, and an ACL that lets somebody write
whom the fence does not deny is left to a person while the target is the standby.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from drkit.domain.change_text import acl_text
from drkit.domain.fence import FenceScope, bindings_of_fence
from drkit.domain.kafka import Acl
from drkit.domain.naming import TopicNames
from drkit.domain.parity_finding import Finding, Kind, Severity
from drkit.domain.provisioning import CreateAcl
from drkit.domain.scope import NameFilter

_IMPLIED_BY: Final = {
    "describe": ("describe", "read", "write", "delete", "alter", "all"),
    "describe_configs": ("describe_configs", "alter_configs", "all"),
}
_WRITES: Final = ("write", "all")
_ON_COPIES: Final = ("read", "describe", "describe_configs", "all")
_EVERYBODY: Final = "User:*"
_CARRIED_CLUSTER_OPERATIONS: Final = ("idempotent_write", "describe")
_COMPARED: Final = ("topic", "group", "transactional_id", "cluster")
_MISSING: Final = "missing"

_WHY: Final = {
    Kind.TOPIC_WRITE_ACL: "its producers would be refused; MM2 never copies ALLOW WRITE",
    Kind.TOPIC_ALL_ACL: "its producers would be refused; MM2 turns ALL into READ",
    Kind.TOPIC_ACL: "the application would be refused",
    Kind.PREFIXED_ACL: "the application would be refused; MM2 copies LITERAL patterns only",
    Kind.GROUP_ACL: "its consumers could not join or commit; MM2 copies topic ACLs only",
    Kind.TRANSACTIONAL_ID_ACL: "its transactional producers would be refused; MM2 copies topic ACLs only",
    Kind.CLUSTER_ACL: "the application would be refused; MM2 copies topic ACLs only",
    Kind.DENY_ACL: "what is denied on the source would be allowed",
}


@dataclass(frozen=True, slots=True)
class AclRules:
    """Whose ACLs are compared, and what keeps one from being made.

    ``source_fence``, ``target_fence``: how drkit's fences look on either side. ``operators``: the principals of drkit
    and of the mirror on the target; ``left_out``: theirs on both sides, whose ACLs are not the service's.
    ``withholds_writes``: the target is a standby that ACLs fence.
    """

    names: TopicNames
    topics: NameFilter
    groups: NameFilter
    source_fence: FenceScope
    target_fence: FenceScope
    operators: tuple[str, ...]
    left_out: frozenset[str]
    withholds_writes: bool


def compare_acls(
    rules: AclRules, topics: Collection[str], source: Collection[Acl], target: Collection[Acl]
) -> list[Finding]:
    """What the target lacks, or denies beyond the source. ``topics``: the source's."""
    return _Comparison(rules, topics, source, target).findings()


class _Comparison:
    def __init__(
        self, rules: AclRules, topics: Collection[str], source: Collection[Acl], target: Collection[Acl]
    ) -> None:
        self._rules = rules
        fence = bindings_of_fence(rules.source_fence, source)
        self._pairs = [acl for acl in fence if acl.permission == "allow"]
        self._is_source_fenced = len(fence) > len(self._pairs)
        self._source = sorted(acl for acl in source if acl not in fence and acl.principal not in rules.left_out)
        self._target_fence = bindings_of_fence(rules.target_fence, target)
        self._target = [acl for acl in target if acl not in self._target_fence]
        self._topics = [name for name in topics if rules.topics.matches(name)]
        about = [acl.principal for acl in self._source if self._is_about_topics(acl)]
        self._applications = {*rules.source_fence.applications, *about} - rules.left_out

    def findings(self) -> list[Finding]:
        needed = {need: acl for acl in self._source if self._is_services(acl) for need in self._needed(acl)}
        missing = [self._missing(acl, need) for need, acl in sorted(needed.items()) if not self._has(need)]
        made = [one.change.acl for one in missing if isinstance(one.change, CreateAcl)]
        return [*self._operators(made), *missing, *self._denials(needed), *self._looks_like_a_fence()]

    def _is_about_topics(self, acl: Acl) -> bool:
        prefix = self._rules.source_fence.topic_prefix
        return acl.resource_type == "topic" and (
            acl.resource_name.startswith(prefix)
            or acl.covers("topic", prefix)
            or any(acl.covers("topic", name) for name in self._topics)
        )

    def _is_services(self, acl: Acl) -> bool:
        if acl.resource_type == "topic":
            return self._is_about_topics(acl)
        if acl.resource_type == "group" and acl.pattern_type == "literal" and not _is_wildcard(acl):
            return self._rules.groups.matches(acl.resource_name)
        return acl.principal in self._applications and acl.resource_type in _COMPARED

    def _needed(self, acl: Acl) -> Iterator[Acl]:
        """The same under its own name; where copies are renamed, what reads them as well (ALL as READ, as MM2 does)."""
        yield acl
        if acl.resource_type != "topic" or _is_wildcard(acl):
            return
        copy = self._rules.names.on_target(acl.resource_name)
        if copy != acl.resource_name and (acl.permission == "deny" or acl.operation in _ON_COPIES):
            reads = acl.permission == "allow" and acl.operation == "all"
            yield replace(acl, resource_name=copy, operation="read" if reads else acl.operation)

    def _has(self, need: Acl) -> bool:
        return any(_implies(have, need) for have in self._target)

    def _missing(self, acl: Acl, need: Acl) -> Finding:
        kind = _kind(need)
        downgraded = kind is Kind.TOPIC_ALL_ACL and any(
            _implies(have, replace(need, operation="read")) for have in self._target
        )
        person = self._person(need)
        is_admin = kind is Kind.CLUSTER_ACL and need.operation != "idempotent_write"
        return Finding(
            kind=kind,
            severity=Severity.NOTE if is_admin else Severity.PROBLEM,
            resource=acl_text(need),
            source=acl_text(acl) if acl != need else "there",
            target="READ only" if downgraded else _MISSING,
            why=_WHY[kind],
            change=None if person else CreateAcl(need),
            person=person,
        )

    def _person(self, need: Acl) -> str:
        """Why a person has to decide about it; empty where drkit may make it."""
        if need.permission == "deny" and need.principal in (_EVERYBODY, *self._rules.operators):
            return "it would stop the mirror or drkit as well"
        if need.resource_type == "cluster" and need.operation not in _CARRIED_CLUSTER_OPERATIONS:
            return "powers over the whole cluster are granted by a person"
        if self._shuts_out(need) and (need.resource_type == "cluster" or self._reaches_beyond(need)):
            return "the first ACL on resources beyond the service shuts out whoever it does not name"
        opens = need.permission == "allow" and need.resource_type == "topic" and need.operation in _WRITES
        return self._not_fenced(need.principal) if opens and self._rules.withholds_writes else ""

    def _not_fenced(self, principal: str) -> str:
        denied = {
            acl.principal for acl in self._target_fence if (acl.resource_type, acl.permission) == ("topic", "deny")
        }
        if principal in denied:
            return ""
        if not denied & set(self._rules.target_fence.applications):
            return "the standby is not fenced, and could be written to: drkit fence put it first"
        return f"fence.principals does not list {principal}, which could then write to the standby"

    def _shuts_out(self, need: Acl) -> bool:
        """Whether it would be the first ACL on something that everybody may use as long as there is none."""
        return self._rules.target_fence.open_by_default and not any(
            have.resource_type == need.resource_type and _reaches(have, need) for have in self._target
        )

    def _reaches_beyond(self, need: Acl) -> bool:
        prefix, name = self._rules.target_fence.topic_prefix, need.resource_name
        if need.pattern_type == "prefixed":
            return need.resource_type == "topic" and len(name) < len(prefix) and prefix.startswith(name)
        return _is_wildcard(need)

    def _operators(self, made: Iterable[Acl]) -> Iterator[Finding]:
        """What the mirror and drkit could do before somebody else's first ACL on the same resource."""
        patterns = {(a.resource_type, a.resource_name, a.pattern_type) for a in made if self._shuts_out(a)}
        wanted: list[Acl] = []
        # Prefixes first: what one of them allows already needs no binding of its own.
        for resource_type, name, pattern in sorted(patterns, key=lambda one: (one[2] != "prefixed", one)):
            for principal in sorted(set(self._rules.operators)):
                need = Acl(resource_type, name, pattern, principal, "*", "all", "allow")
                if not self._has(need) and not any(_implies(other, need) for other in wanted):
                    wanted.append(need)
        for need in wanted:
            yield Finding(
                kind=Kind.OPERATOR_ACL,
                severity=Severity.NOTE,
                resource=acl_text(need),
                source="not compared",
                target=_MISSING,
                why="a resource without any ACL is open; its first one shuts out whoever it does not name",
                change=CreateAcl(need),
            )

    def _denials(self, needed: Collection[Acl]) -> Iterator[Finding]:
        """Denials that only the target has: nothing that drkit or the mirror does takes one away."""
        for acl in sorted(self._target):
            here = replace(acl, resource_name=self._rules.names.on_source(acl.resource_name))
            is_services = acl.principal in {*self._applications, _EVERYBODY} and (
                self._is_services(acl) or self._is_services(here)
            )
            if acl.permission == "deny" and is_services and acl not in needed:
                yield Finding(
                    kind=Kind.DENY_ACL,
                    severity=Severity.PROBLEM,
                    resource=acl_text(acl),
                    source=_MISSING,
                    target="there",
                    why="the application would be refused what the source allows; MM2 never deletes an ACL",
                    person="drkit removes no ACL that it did not make",
                )

    def _looks_like_a_fence(self) -> Iterator[Finding]:
        """On a source that is not fenced, what is left out as a part of a fence may be somebody's own."""
        if self._is_source_fenced:
            return
        for acl in sorted(self._pairs):
            if acl.resource_type == "group" or self._is_about_topics(acl):
                yield Finding(
                    kind=_kind(acl),
                    severity=Severity.NOTE,
                    resource=acl_text(acl),
                    source="there",
                    target="there" if acl in self._target_fence else _MISSING,
                    why="whoever is not named otherwise may need it",
                    person="it looks like a part of one of drkit's fences, which are never copied",
                )


def _kind(acl: Acl) -> Kind:
    if acl.permission == "deny":
        return Kind.DENY_ACL
    if acl.resource_type == "topic":
        if acl.pattern_type == "prefixed":
            return Kind.PREFIXED_ACL
        return {"write": Kind.TOPIC_WRITE_ACL, "all": Kind.TOPIC_ALL_ACL}.get(acl.operation, Kind.TOPIC_ACL)
    return {
        "group": Kind.GROUP_ACL,
        "transactional_id": Kind.TRANSACTIONAL_ID_ACL,
    }.get(acl.resource_type, Kind.CLUSTER_ACL)


def _is_wildcard(acl: Acl) -> bool:
    """``*`` is every name in a LITERAL pattern alone (``ResourcePattern.WILDCARD_RESOURCE``)."""
    return acl.pattern_type == "literal" and acl.resource_name == "*"


def _reaches(have: Acl, need: Acl) -> bool:
    """Whether ``have`` is about everything that ``need`` is about, on resources of one type."""
    if have.pattern_type == "prefixed":
        return not _is_wildcard(need) and need.resource_name.startswith(have.resource_name)
    if _is_wildcard(have):
        return True
    return (have.resource_name, have.pattern_type) == (need.resource_name, need.pattern_type)


def _implies(have: Acl, need: Acl) -> bool:
    implied_by = _IMPLIED_BY.get(need.operation, ()) if need.permission == "allow" else ()
    return (
        (have.resource_type, have.permission) == (need.resource_type, need.permission)
        and have.principal in (need.principal, _EVERYBODY)
        and have.host in (need.host, "*")
        and have.operation in (need.operation, "all", *implied_by)
        and _reaches(have, need)
    )
