"""How drkit fences a region, and what a comparison of two regions has to know, by the configuration."""

from __future__ import annotations

from typing import Final

from drkit.config.models import AclFence, Auth, Settings
from drkit.config.rules import principal_of
from drkit.domain.fence import FenceScope
from drkit.domain.naming import TopicNames
from drkit.domain.parity_acls import AclRules
from drkit.domain.scope import NameFilter

_MSK_DEFAULT: Final = True
"""``allow.everyone.if.no.acl.found`` of Amazon MSK, where the configuration does not say (a fence of hooks)."""


def fence_scope(settings: Settings, region: str) -> FenceScope:
    """What is fenced for whom in a region. Where hooks fence it, no application is one that ACLs deny."""
    fence, cluster = settings.fence, settings.regions[region].cluster
    acls = fence if isinstance(fence, AclFence) else None
    return FenceScope(
        topic_prefix=settings.topic_prefix,
        canary_group=settings.canary_group,
        applications=acls.principals if acls else (),
        own=principal_of(cluster.auth),
        open_by_default=acls.allow_everyone_if_no_acl_found if acls else _MSK_DEFAULT,
    )


def acl_rules(settings: Settings, source: str, target: str, *, is_standby: bool) -> AclRules:
    """What a comparison of two regions has to know. ``is_standby``: nobody may become able to write to the target."""
    replication = settings.replication
    sides = {name: _operators(settings, name) for name in (source, target)}
    return AclRules(
        names=TopicNames(replication.policy, source, replication.separator),
        topics=NameFilter(replication.topics, replication.topics_exclude),
        groups=NameFilter(replication.groups, replication.groups_exclude),
        source_fence=fence_scope(settings, source),
        target_fence=fence_scope(settings, target),
        operators=sides[target],
        left_out=frozenset(sides[source] + sides[target]),
        withholds_writes=is_standby and isinstance(settings.fence, AclFence),
    )


def _operators(settings: Settings, region: str) -> tuple[str, ...]:
    """The principals of drkit and of the mirror; identities that ACLs know nothing of have none."""
    cluster = settings.regions[region].cluster
    identities: tuple[Auth, ...] = (cluster.auth, cluster.mirror_auth or cluster.auth)
    found = (principal_of(identity) for identity in identities)
    return tuple(dict.fromkeys(principal for principal in found if principal is not None))
