"""Inventories: one that has everything, and generated ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from drkit.domain.inventory import (
    CommittedPosition,
    ConnectorInventory,
    GroupInventory,
    GroupMember,
    GroupType,
    Inventory,
    LogInventory,
    Part,
    RedirectInventory,
    RegistryInventory,
    SchemaReference,
    ScramUser,
    SubjectVersion,
)
from drkit.domain.kafka import Acl, GroupState, LogRange, PartitionDescription, TopicDescription, TopicPartition

FULL = Inventory(
    "taipei",
    "cluster-1",
    topics={
        "orders": TopicDescription(
            "orders", "id-1", (PartitionDescription(0, 1, (1, 2), (1,)),), {"cleanup.policy": "compact"}
        )
    },
    acls=frozenset({Acl("topic", "orders", "prefixed", "User:orders", "*", "write", "allow")}),
    users={"orders": ScramUser("orders", {"SCRAM-SHA-512": 8192})},
    groups={
        "billing": GroupInventory(
            "billing",
            GroupType.CONSUMER,
            GroupState.ACTIVE,
            "uniform",
            (GroupMember("app-1", "/10.0.0.1"),),
            {TopicPartition("orders", 0): CommittedPosition(17, 3, "m")},
        ),
        "idle": GroupInventory("idle", GroupType.CLASSIC, GroupState.EMPTY),
    },
    logs={TopicPartition("orders", 0): LogInventory(LogRange(2, 20, 19), 1000, None)},
    connectors={
        "source": ConnectorInventory(
            "source", "RUNNING", {"connector.class": "MirrorSource"}, ({"partition": {"p": 1}, "offset": None},)
        )
    },
    redirects={"kafka.example.internal A": RedirectInventory("kafka.example.internal A", ("1.2.3.4",), 5)},
    schemas=RegistryInventory(
        (SubjectVersion("orders-value", 1, 7, "AVRO", '"string"', (SchemaReference("a", "b", 1),)),),
        "BACKWARD",
        {"orders-value": "FULL"},
    ),
)

_names = st.text(min_size=1, max_size=12)
_counts = st.integers(0, 2**63 - 1)
_small = st.integers(0, 2**31 - 1)
_partitions = st.builds(TopicPartition, _names, _small)
_configs = st.dictionaries(_names, _names, max_size=3)
_topics = st.builds(
    TopicDescription,
    _names,
    _names,
    st.lists(
        st.builds(
            PartitionDescription,
            _small,
            st.none() | _small,
            st.lists(_small, max_size=3).map(tuple),
            st.lists(_small, max_size=3).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    _configs,
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=5,
)
_positions = st.dictionaries(
    _partitions, st.builds(CommittedPosition, _counts, st.none() | _small, st.text(max_size=5)), max_size=5
)
_groups = st.builds(
    GroupInventory,
    _names,
    st.sampled_from(GroupType),
    st.sampled_from(GroupState),
    st.text(max_size=5),
    st.lists(st.builds(GroupMember, _names, _names), max_size=2).map(tuple),
    _positions,
)
_times = st.none() | _counts
_versions = st.builds(
    SubjectVersion,
    _names,
    _small,
    _small,
    _names,
    st.text(max_size=20),
    st.lists(st.builds(SchemaReference, _names, _names, _small), max_size=2).map(tuple),
)


def _named(values: st.SearchStrategy[Any], key: str = "name") -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(values, max_size=4).map(lambda found: {getattr(value, key): value for value in found})


PARTS: dict[Part, st.SearchStrategy[Any]] = {
    Part.TOPICS: _named(_topics),
    Part.ACLS: st.frozensets(st.builds(Acl, *[_names] * 7), max_size=4),
    Part.USERS: _named(st.builds(ScramUser, _names, st.dictionaries(_names, _small, max_size=2))),
    Part.GROUPS: _named(_groups, "group"),
    Part.LOGS: st.dictionaries(
        _partitions,
        st.builds(LogInventory, st.builds(LogRange, _counts, _counts, _counts), _times, _times),
        max_size=5,
    ),
    Part.CONNECTORS: _named(
        st.builds(
            ConnectorInventory,
            _names,
            _names,
            _configs,
            st.lists(st.dictionaries(_names, _json, max_size=2), max_size=2).map(tuple),
        )
    ),
    Part.REDIRECTS: _named(
        st.builds(RedirectInventory, _names, st.lists(_names, max_size=3).map(tuple), st.integers(0, 100))
    ),
    Part.SCHEMAS: st.builds(
        RegistryInventory, st.lists(_versions, max_size=3).map(tuple), _names, st.dictionaries(_names, _names)
    ),
}
"""What each part may hold."""


def only(part: Part, value: object) -> Inventory:
    """A region of which one part was read."""
    found: dict[str, Any] = {part.value: value}
    return Inventory("taipei", "cluster-1", **found)
