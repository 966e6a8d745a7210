"""Which ACLs make a fence. Pure: from what a cluster has to what is added.

A DENY alone would do more than fence. Where ``allow.everyone.if.no.acl.found`` is true (Amazon MSK's default), the
first ACL on a resource denies everybody whom no ACL allows: a lone DENY WRITE would stop readers and the mirror, too.
So every resource that no ACL covered before also gets an ALLOW ALL for ``User:*``, and loses it with the fence. Where
ACLs did cover a resource nothing is allowed that was not allowed before.

A fence is made in one request, drkit's own denial last. KRaft applies a request's records in order, so that a refused
probe of drkit's proves the denials before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from drkit.domain.kafka import Acl

_ANY_HOST: Final = "*"
_EVERYBODY: Final = "User:*"


@dataclass(frozen=True, slots=True)
class FenceScope:
    """What is fenced for whom.

    ``applications``: their principals. ``own``: drkit's principal, or None where it has none that ACLs bind.
    ``open_by_default``: the broker's ``allow.everyone.if.no.acl.found``.
    """

    topic_prefix: str
    canary_group: str
    applications: tuple[str, ...]
    own: str | None
    open_by_default: bool


def producer_fence(scope: FenceScope, topics: Collection[str], existing: Collection[Acl]) -> list[Acl]:
    """DENY WRITE on every topic under the prefix, existing or not, for the applications and then drkit itself."""
    denials = [_deny("topic", scope.topic_prefix, "prefixed", who, "write") for who in scope.applications]
    if scope.own is not None:
        denials.append(_deny("topic", scope.topic_prefix, "prefixed", scope.own, "write"))
    inside = [name for name in topics if name.startswith(scope.topic_prefix)]
    return _allowances(scope, "topic", inside, existing, denials) + denials


def consumer_fence(scope: FenceScope, groups: Collection[str], existing: Collection[Acl]) -> list[Acl]:
    """DENY READ (joining and committing) on the groups for the applications; drkit denies itself on its canary's alone.

    An administrator who sets a group's offsets needs READ on it: drkit must keep that on every other group.
    """
    outside = sorted(name for name in groups if not name.startswith(scope.topic_prefix))
    denials = [_deny("group", scope.topic_prefix, "prefixed", who, "read") for who in scope.applications]
    denials += [_deny("group", name, "literal", who, "read") for name in outside for who in scope.applications]
    if scope.own is not None:
        denials.append(_deny("group", scope.canary_group, "literal", scope.own, "read"))
    inside = [name for name in groups if name.startswith(scope.topic_prefix)] + [scope.canary_group]
    return _allowances(scope, "group", [*inside, *outside], existing, denials) + denials


def producer_denials(scope: FenceScope, existing: Collection[Acl]) -> list[Acl]:
    """The denials of a producers' fence that are there."""
    return [acl for acl in producer_fence(scope, (), existing) if acl.permission == "deny" and acl in existing]


def consumer_denials(scope: FenceScope, existing: Collection[Acl]) -> list[Acl]:
    """The denials of a consumers' fence that are there; none unless it is there as a whole.

    A group outside the prefix counts only where every application is denied: somebody else's denial may look alike.
    """
    denied = {acl.resource_name for acl in existing if acl.resource_type == "group" and acl.pattern_type == "literal"}

    def denials(groups: Collection[str]) -> list[Acl]:
        return [acl for acl in consumer_fence(scope, groups, existing) if acl.permission == "deny"]

    always = denials(())
    if not all(acl in existing for acl in always):
        return []
    outside = (set(denials([name])) - set(always) for name in sorted(denied))
    return [*always, *(acl for group in outside if all(one in existing for one in group) for acl in sorted(group))]


def bindings_of_fence(scope: FenceScope, existing: Collection[Acl]) -> frozenset[Acl]:
    """Every binding that is a fence's, also where the fence is not whole (an attempt that was cut off), with its pairs.

    An ALLOW ALL for ``User:*`` where a fence would have one counts as a fence's, whoever made it.
    """

    def is_pair(acl: Acl) -> bool:
        of_topic = acl.resource_type == "topic" and acl.resource_name.startswith(scope.topic_prefix)
        of_group = acl.resource_type == "group" and acl.resource_name != "*"
        is_whole = acl.pattern_type == "literal" or acl.resource_name == scope.topic_prefix
        return _is_ours(acl) and is_whole and (of_topic or of_group)

    prefixed = {*producer_fence(scope, (), ()), *consumer_fence(scope, (), ())}
    denials = {acl for acl in prefixed if acl.permission == "deny" and acl in existing}
    pairs = {acl for acl in existing if is_pair(acl)}
    return frozenset(denials | pairs | set(consumer_denials(scope, existing)))


def _allowances(
    scope: FenceScope, resource: str, names: Iterable[str], existing: Collection[Acl], denials: Collection[Acl]
) -> list[Acl]:
    if not scope.open_by_default:
        return []
    # What is already part of the fence (an earlier attempt) does not count as somebody's ACL.
    foreign = [acl for acl in existing if acl.resource_type == resource and acl not in denials and not _is_ours(acl)]
    under_prefix = [
        a for a in foreign if a.resource_name.startswith(scope.topic_prefix) or a.covers(resource, scope.topic_prefix)
    ]
    allowances = []
    if not under_prefix:
        allowances.append(_allow(resource, scope.topic_prefix, "prefixed"))
    for name in sorted(set(names)):
        if name.startswith(scope.topic_prefix) and not under_prefix:
            continue
        if not any(acl.covers(resource, name) for acl in foreign):
            allowances.append(_allow(resource, name, "literal"))
    return allowances


def _is_ours(acl: Acl) -> bool:
    return acl.permission == "allow" and acl.operation == "all" and acl.principal == _EVERYBODY


def _deny(resource: str, name: str, pattern: str, principal: str, operation: str) -> Acl:
    return Acl(resource, name, pattern, principal, _ANY_HOST, operation, "deny")


def _allow(resource: str, name: str, pattern: str) -> Acl:
    return Acl(resource, name, pattern, _EVERYBODY, _ANY_HOST, "all", "allow")
