"""Two regions of a service, as values, and what their comparison is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from drkit.domain.fence import FenceScope
from drkit.domain.inventory import Inventory
from drkit.domain.kafka import Acl, PartitionDescription, TopicDescription
from drkit.domain.naming import TopicNames
from drkit.domain.parity import Parity, compare
from drkit.domain.parity_acls import AclRules
from drkit.domain.scope import NameFilter

PREFIX = "p.s."
ORDERS = "p.s.orders"
APP, OTHER, DRKIT, MIRROR = "User:app", "User:other", "User:drkit", "User:mirror"
CANARY = f"{PREFIX}drkit.canary"


def acl(resource: str, name: str, who: str, operation: str, permission: str = "allow", pattern: str = "literal") -> Acl:
    return Acl(resource, name, pattern, who, "*", operation, permission)


def scope(*, open_by_default: bool = False, own: str = DRKIT, applications: tuple[str, ...] = (APP,)) -> FenceScope:
    return FenceScope(PREFIX, CANARY, applications, own, open_by_default)


def rules(*, policy: str = "identity", open_by_default: bool = False, withholds_writes: bool = False) -> AclRules:
    fence = scope(open_by_default=open_by_default)
    return AclRules(
        names=TopicNames(policy, "taipei"),
        topics=NameFilter((r"p\.s\..*",), (r".*\.drkit\.canary",)),
        groups=NameFilter((".*",), (r".*\.drkit\.canary", "console-.*")),
        source_fence=fence,
        target_fence=fence,
        operators=(DRKIT, MIRROR),
        left_out=frozenset({DRKIT, MIRROR}),
        withholds_writes=withholds_writes,
    )


def topic(
    name: str = ORDERS, partitions: int = 2, replicas: int = 3, in_sync: int = 3, **configs: str
) -> TopicDescription:
    ids = tuple(range(replicas))
    return TopicDescription(
        name,
        "",
        tuple(PartitionDescription(number, 0, ids, ids[:in_sync]) for number in range(partitions)),
        {key.replace("_", "."): value for key, value in configs.items()},
    )


def region(
    name: str, topics: Collection[TopicDescription] = (), acls: Collection[Acl] = (), **parts: object
) -> Inventory:
    """A region in which everything was read, and where there are no users, groups or schemas but those given."""
    by_name: Mapping[str, TopicDescription] = {one.name: one for one in topics}
    empty = Inventory(name, f"cluster-{name}", topics=by_name, acls=frozenset(acls), users={}, groups={})
    return replace(empty, **parts)  # type: ignore[arg-type]


def compared(source: Inventory, target: Inventory, how: AclRules | None = None) -> Parity:
    return compare(how or rules(), frozenset({CANARY}), source, target)
