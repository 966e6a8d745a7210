"""Which ACLs make a fence: nobody is let in by it, and nobody but the applications is kept out."""

from __future__ import annotations

from drkit.domain.fence import (
    FenceScope,
    bindings_of_fence,
    consumer_denials,
    consumer_fence,
    producer_denials,
    producer_fence,
)
from drkit.domain.kafka import Acl

SCOPE = FenceScope("p.s.", "p.s.drkit.canary", ("User:app",), "User:drkit", open_by_default=True)
CLOSED = FenceScope("p.s.", "p.s.drkit.canary", ("User:app",), "User:drkit", open_by_default=False)

TWO = FenceScope("p.s.", "p.s.drkit.canary", ("User:app", "User:app2"), "User:drkit", open_by_default=True)
APP = ("User:app", "write", "deny")


def acl(resource: str, name: str, pattern: str, who: str, operation: str, permission: str) -> Acl:
    return Acl(resource, name, pattern, who, "*", operation, permission)


def test_on_a_bare_cluster_everybody_else_keeps_access() -> None:
    assert producer_fence(SCOPE, ["p.s.a", "other"], []) == [
        acl("topic", "p.s.", "prefixed", "User:*", "all", "allow"),
        acl("topic", "p.s.", "prefixed", "User:app", "write", "deny"),
        acl("topic", "p.s.", "prefixed", "User:drkit", "write", "deny"),
    ]


def test_access_is_not_widened_where_acls_covered_a_topic() -> None:
    existing = [acl("topic", "p.s.secret", "literal", "User:app", "read", "allow")]
    fence = producer_fence(SCOPE, ["p.s.secret", "p.s.open"], existing)
    allowed = [one for one in fence if one.permission == "allow"]
    assert allowed == [acl("topic", "p.s.open", "literal", "User:*", "all", "allow")]


def test_a_closed_cluster_gets_denials_alone() -> None:
    assert {one.permission for one in producer_fence(CLOSED, ["p.s.a"], [])} == {"deny"}


def test_the_own_denial_comes_last() -> None:
    assert producer_fence(SCOPE, [], [])[-1].principal == "User:drkit"
    assert consumer_fence(SCOPE, ["g", "p.s.g"], [])[-1].principal == "User:drkit"


def test_making_the_fence_twice_gives_the_same_fence() -> None:
    first = producer_fence(SCOPE, ["p.s.a"], [])
    assert producer_fence(SCOPE, ["p.s.a"], first) == first


def test_groups_outside_the_prefix_are_denied_by_name() -> None:
    fence = consumer_fence(SCOPE, ["billing", "p.s.billing"], [])
    denied = {(one.resource_name, one.pattern_type, one.principal) for one in fence if one.permission == "deny"}
    assert denied == {
        ("billing", "literal", "User:app"),
        ("p.s.", "prefixed", "User:app"),
        ("p.s.drkit.canary", "literal", "User:drkit"),
    }


def test_drkit_denies_itself_on_its_canary_group_alone() -> None:
    own = [one for one in consumer_fence(SCOPE, ["billing"], []) if one.principal == "User:drkit"]
    assert [one.resource_name for one in own] == ["p.s.drkit.canary"]


def test_denials_that_are_there_are_known_again() -> None:
    fence = producer_fence(SCOPE, ["p.s.a"], [])
    foreign = [acl("topic", "p.s.", "prefixed", "User:app", "read", "deny"), acl("topic", "p.s.a", "literal", *APP)]
    assert producer_denials(SCOPE, []) == []
    assert set(producer_denials(SCOPE, [*fence, *foreign])) == {one for one in fence if one.permission == "deny"}


def test_denials_of_commits_are_known_again_with_the_groups_outside_the_prefix() -> None:
    fence = [one for one in consumer_fence(TWO, ["billing", "p.s.billing"], []) if one.permission == "deny"]
    half = acl("group", "shipping", "literal", "User:app", "read", "deny")
    assert set(consumer_denials(TWO, [*fence, half])) == set(fence)
    assert consumer_denials(TWO, [one for one in fence if one.pattern_type == "literal"]) == []
    assert consumer_denials(TWO, []) == []


def test_what_a_fence_left_behind_is_known_also_where_it_is_not_whole() -> None:
    fence = [*producer_fence(TWO, ["p.s.a"], []), *consumer_fence(TWO, ["billing"], [])]
    assert bindings_of_fence(TWO, fence) == set(fence)
    assert bindings_of_fence(TWO, fence[1:2]) == set(fence[1:2])
    others = [
        acl("topic", "*", "literal", "User:*", "all", "allow"),
        acl("topic", "p.", "prefixed", "User:*", "all", "allow"),
        acl("topic", "q.s.a", "literal", "User:*", "all", "allow"),
        acl("topic", "p.s.a", "literal", "User:app", "write", "deny"),
        acl("group", "billing", "literal", "User:app", "read", "deny"),
    ]
    assert bindings_of_fence(TWO, others) == frozenset()
