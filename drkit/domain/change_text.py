"""Changes in words, for whoever reads a plan, and as JSON, for whoever acts on it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final, assert_never

from drkit.domain.kafka import Acl
from drkit.domain.naming import printable
from drkit.domain.partition_tree import to_tree
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

_VERBS: Final[dict[type[Change], str]] = {
    CreateTopic: "create_topic",
    AddPartitions: "add_partitions",
    SetConfig: "set_config",
    CreateAcl: "create_acl",
    SetPositions: "set_positions",
    RegisterSchema: "register_schema",
    SetCompatibility: "set_compatibility",
}


def acl_text(acl: Acl) -> str:
    """``ALLOW WRITE on topic orders for User:app``; a host and a pattern type where they are not the usual ones."""
    pattern = f" {acl.pattern_type}" if acl.pattern_type != "literal" else ""
    host = f" from {acl.host}" if acl.host != "*" else ""
    words = f"{acl.permission.upper()} {acl.operation.upper()} on{pattern} {acl.resource_type} {acl.resource_name}"
    return printable(f"{words} for {acl.principal}{host}")


def change_text(change: Change) -> str:
    """What is changed, from what to what, in one line."""
    match change:
        case CreateTopic():
            configs = "".join(f", {key}={value}" for key, value in sorted(change.configs.items()))
            size = f"{change.partitions} partitions, {change.replication_factor} replicas"
            text = f"create topic {change.name} ({size}{configs})"
        case AddPartitions():
            text = f"give topic {change.topic} {change.after} partitions instead of {change.before}"
        case SetConfig():
            text = f"set {change.config} of {change.topic} to {change.after} (was {change.before or 'the default'})"
        case CreateAcl():
            text = acl_text(change.acl)
        case SetPositions():
            text = f"set {len(change.after)} positions of group {change.group}"
        case RegisterSchema():
            one = change.version
            text = f"register version {one.version} of subject {one.subject} as schema {one.schema_id}"
        case SetCompatibility():
            of = "the registry" if change.subject is None else f"subject {change.subject}"
            text = f"set the compatibility of {of} to {change.after} (was {change.before or 'not set'})"
        case _:
            assert_never(change)
    return printable(text)


def change_to_json(change: Change) -> dict[str, Any]:
    """The change as a document: ``change`` names its kind, the other keys are its fields."""
    if isinstance(change, SetPositions):
        sides = {
            side: to_tree({partition: asdict(position) for partition, position in positions.items()})
            for side, positions in (("before", change.before), ("after", change.after))
        }
        return {"change": _VERBS[SetPositions], "group": change.group, **sides}
    return {"change": _VERBS[type(change)], **asdict(change)}
