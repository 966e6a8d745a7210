"""ACL bindings between drkit and its client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from drkit.adapters.kafka.acl_wire import to_acl, to_binding, to_filter
from drkit.domain.kafka import Acl
from drkit.errors import RefusedError

RESOURCES = ("topic", "group", "cluster", "transactional_id")
OPERATIONS = ("all", "read", "write", "create", "delete", "alter", "describe", "cluster_action", "describe_configs")
ACL = Acl("topic", "orders", "literal", "User:orders", "*", "read", "allow")


@pytest.mark.parametrize("resource", RESOURCES)
def test_what_is_read_can_be_made_again(resource: str) -> None:
    choices = product(OPERATIONS, ("alter_configs", "idempotent_write", "read"), ("literal", "prefixed"))
    for operation, other, pattern in choices:
        for one, permission in ((operation, "allow"), (other, "deny")):
            acl = Acl(resource, "orders", pattern, "User:orders", "*", one, permission)
            assert acl.is_known
            assert to_acl(to_binding(acl)) == acl


def test_what_the_client_has_no_word_for_is_told_as_unknown() -> None:
    """A broker knows users and delegation tokens as resources, and operations on them (KIP-373)."""
    literal, allow = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    about_users = AclBinding(ResourceType.UNKNOWN, "x", literal, "User:x", "*", AclOperation.UNKNOWN, allow)
    found = to_acl(about_users)
    assert (found.resource_type, found.operation) == ("unknown", "unknown")
    assert not found.is_known


@pytest.mark.parametrize("convert", [to_binding, to_filter])
@pytest.mark.parametrize(
    "changes",
    [
        *({name: "unknown"} for name in ("resource_type", "pattern_type", "operation", "permission")),
        {"resource_type": "delegation_token"},
        {"operation": "two_phase_commit"},
        {"pattern_type": "../x"},
    ],
)
def test_it_is_neither_made_nor_taken_back(convert: Callable[[Acl], object], changes: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="no word for a part of this ACL"):
        convert(replace(ACL, **changes))
