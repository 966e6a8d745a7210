"""ACL bindings between confluent-kafka's types and drkit's values."""

from __future__ import annotations

from typing import Any

from drkit.domain.kafka import Acl
from drkit.errors import RefusedError

_RESOURCE_NAMES = {"broker": "cluster"}
"""librdkafka calls the cluster resource BROKER."""


def to_acl(binding: Any) -> Acl:
    """A binding as a value."""
    resource = binding.restype.name.lower()
    return Acl(
        resource_type=_RESOURCE_NAMES.get(resource, resource),
        resource_name=binding.name,
        pattern_type=binding.resource_pattern_type.name.lower(),
        principal=binding.principal,
        host=binding.host,
        operation=binding.operation.name.lower(),
        permission=binding.permission_type.name.lower(),
    )


def _types(acl: Acl) -> tuple[Any, Any, Any, Any]:
    from confluent_kafka.admin import AclOperation, AclPermissionType, ResourcePatternType, ResourceType

    wire_names = {name: wire for wire, name in _RESOURCE_NAMES.items()}
    try:
        if acl.is_known:
            return (
                ResourceType[wire_names.get(acl.resource_type, acl.resource_type).upper()],
                ResourcePatternType[acl.pattern_type.upper()],
                AclOperation[acl.operation.upper()],
                AclPermissionType[acl.permission.upper()],
            )
    except KeyError:
        pass
    raise RefusedError(
        f"drkit's client has no word for a part of this ACL: {acl.principal} {acl.permission} {acl.operation} on "
        f"{acl.resource_type} {acl.resource_name}",
        hint="change it with kafka-acls.sh",
    )


def to_binding(acl: Acl) -> Any:
    """A value as a binding to create."""
    from confluent_kafka.admin import AclBinding

    resource, pattern, operation, permission = _types(acl)
    return AclBinding(resource, acl.resource_name, pattern, acl.principal, acl.host, operation, permission)


def to_filter(acl: Acl) -> Any:
    """A filter that takes exactly this binding."""
    from confluent_kafka.admin import AclBindingFilter

    resource, pattern, operation, permission = _types(acl)
    return AclBindingFilter(resource, acl.resource_name, pattern, acl.principal, acl.host, operation, permission)
