"""What a fence of ACLs is about, by the configuration."""

from __future__ import annotations

from drkit.config.models import AclFence, Settings
from drkit.config.rules import principal_of
from drkit.domain.fence import FenceScope


def fence_scope(settings: Settings, region: str) -> FenceScope | None:
    """The scope in a region; None where it is not ACLs that fence."""
    if not isinstance(settings.fence, AclFence):
        return None
    return FenceScope(
        topic_prefix=settings.topic_prefix,
        canary_group=settings.canary_group,
        applications=settings.fence.principals,
        own=principal_of(settings.regions[region].cluster.auth),
        open_by_default=settings.fence.allow_everyone_if_no_acl_found,
    )
