"""What a mirror leaves different, how much it matters, and whether drkit may mend it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from drkit.domain.fence import consumer_fence, producer_fence
from drkit.domain.inventory import (
    CommittedPosition,
    GroupInventory,
    GroupType,
    RegistryInventory,
    ScramUser,
    SubjectVersion,
)
from drkit.domain.kafka import Acl, GroupState, TopicPartition
from drkit.domain.parity import Kind, Parity, Severity
from drkit.domain.provisioning import AddPartitions, CreateAcl, RegisterSchema, SetConfig
from tests.unit.domain.parity_samples import (
    APP,
    CANARY,
    DRKIT,
    MIRROR,
    ORDERS,
    OTHER,
    PREFIX,
    acl,
    compared,
    region,
    rules,
    scope,
    topic,
)

WRITE = acl("topic", ORDERS, APP, "write")
APPLY = "drkit parity --from taipei --to tokyo --apply"


def _acls(source: list[Acl], target: list[Acl] | None = None, **how: object) -> Parity:
    return compared(
        region("taipei", [topic()], source),
        region("tokyo", [topic()], target or []),
        rules(**how),  # type: ignore[arg-type]
    )


def _made(parity: Parity) -> list[Acl]:
    return [change.acl for change in parity.changes if isinstance(change, CreateAcl)]


@pytest.mark.parametrize(
    ("needed", "kind"),
    [
        (WRITE, Kind.TOPIC_WRITE_ACL),
        (acl("topic", ORDERS, APP, "all"), Kind.TOPIC_ALL_ACL),
        (acl("topic", ORDERS, APP, "read"), Kind.TOPIC_ACL),
        (acl("topic", PREFIX, APP, "read", pattern="prefixed"), Kind.PREFIXED_ACL),
        (acl("group", "billing", OTHER, "read"), Kind.GROUP_ACL),
        (acl("group", "bill", APP, "read", pattern="prefixed"), Kind.GROUP_ACL),
        (acl("transactional_id", "orders-", APP, "write", pattern="prefixed"), Kind.TRANSACTIONAL_ID_ACL),
        (acl("cluster", "kafka-cluster", APP, "idempotent_write"), Kind.CLUSTER_ACL),
        (acl("topic", ORDERS, OTHER, "read", "deny"), Kind.DENY_ACL),
        (acl("topic", "*", OTHER, "read"), Kind.TOPIC_ACL),
    ],
)
def test_an_acl_that_applications_need_is_a_problem_that_drkit_mends(needed: Acl, kind: Kind) -> None:
    found = _acls([needed])
    assert [(one.kind, one.severity, one.change) for one in found.findings] == [
        (kind, Severity.PROBLEM, CreateAcl(needed))
    ]
    assert _acls([needed], [needed]).findings == ()


def test_all_that_the_mirror_turned_into_read_is_called_so() -> None:
    found = _acls([acl("topic", ORDERS, APP, "all")], [acl("topic", ORDERS, APP, "read")])
    assert [(one.target, _made(found)) for one in found.findings] == [("READ only", [acl("topic", ORDERS, APP, "all")])]


@pytest.mark.parametrize(
    "of_nobody",
    [
        acl("topic", ORDERS, DRKIT, "all"),
        acl("topic", ORDERS, MIRROR, "read"),
        acl("topic", "q.s.orders", OTHER, "write"),
        acl("transactional_id", "x", OTHER, "write"),
        acl("cluster", "kafka-cluster", OTHER, "idempotent_write"),
        acl("group", "console-1", APP, "read"),
    ],
)
def test_the_mirrors_drkits_and_other_services_acls_are_left_out(of_nobody: Acl) -> None:
    assert _acls([of_nobody]).findings == ()


@pytest.mark.parametrize(
    "broader",
    [
        acl("topic", ORDERS, APP, "all"),
        acl("topic", PREFIX, APP, "write", pattern="prefixed"),
        acl("topic", "*", "User:*", "all"),
    ],
)
def test_what_is_allowed_already_is_no_finding(broader: Acl) -> None:
    assert _acls([acl("topic", ORDERS, APP, "write"), acl("topic", ORDERS, APP, "describe")], [broader]).findings == ()


@pytest.mark.parametrize(
    "narrower",
    [
        acl("topic", ORDERS, OTHER, "write"),
        acl("topic", f"{ORDERS}.x", APP, "write"),
        acl("topic", ORDERS, APP, "read"),
        Acl("topic", ORDERS, "literal", APP, "10.0.0.1", "write", "allow"),
        acl("group", ORDERS, APP, "write"),
    ],
)
def test_what_allows_less_does_not_stand_in_for_it(narrower: Acl) -> None:
    assert WRITE in _made(_acls([WRITE], [narrower]))


def test_fences_of_either_side_are_neither_compared_nor_copied() -> None:
    fence = [*producer_fence(scope(open_by_default=True), [ORDERS], []), *consumer_fence(scope(), ["billing"], [])]
    assert _acls([WRITE, *fence], [WRITE]).findings == ()
    assert _acls([WRITE], [WRITE, *fence]).findings == ()
    # An attempt that was cut off in the middle.
    assert _acls([WRITE, *fence[:2]], [WRITE]).findings == ()


def test_the_pair_of_a_fence_stands_in_for_nothing() -> None:
    """It goes with the fence."""
    pair = acl("topic", PREFIX, "User:*", "all", pattern="prefixed")
    assert WRITE in _made(_acls([WRITE], [pair]))


def test_what_looks_like_a_fence_on_an_open_source_is_said() -> None:
    found = _acls([acl("topic", ORDERS, "User:*", "all")])
    assert [(one.severity, one.change) for one in found.findings] == [(Severity.NOTE, None)]
    assert "looks like a part of one of drkit's fences" in found.findings[0].person


def test_a_denial_that_only_the_target_has_is_for_a_person() -> None:
    found = _acls([WRITE], [WRITE, acl("topic", ORDERS, APP, "read", "deny")])
    assert [(one.kind, one.severity, one.change) for one in found.findings] == [(Kind.DENY_ACL, Severity.PROBLEM, None)]


@pytest.mark.parametrize("who", ["User:*", MIRROR])
def test_a_denial_that_would_stop_the_mirror_is_for_a_person(who: str) -> None:
    found = _acls([WRITE, acl("topic", ORDERS, who, "write", "deny")], [WRITE])
    assert _made(found) == []
    # The mirror's own ACLs are not compared at all.
    assert [one.person for one in found.findings] == (
        ["it would stop the mirror or drkit as well"] if who == "User:*" else []
    )


def test_powers_over_the_cluster_are_for_a_person() -> None:
    found = _acls([WRITE, acl("cluster", "kafka-cluster", APP, "alter")], [WRITE])
    assert [(one.severity, one.change) for one in found.findings] == [(Severity.NOTE, None)]


def test_a_standby_is_not_opened_for_somebody_whom_its_fence_does_not_deny() -> None:
    by_other = acl("topic", ORDERS, OTHER, "write")
    fence = producer_fence(scope(), [], [])
    found = _acls([WRITE, by_other], fence, withholds_writes=True)
    assert _made(found) == [WRITE]
    assert [one.person for one in found.findings if one.change is None] == [
        "fence.principals does not list User:other, which could then write to the standby"
    ]
    assert _made(_acls([WRITE, by_other], fence)) == [WRITE, by_other]


def test_nobody_may_write_to_a_standby_without_a_fence() -> None:
    found = _acls([WRITE, acl("topic", ORDERS, APP, "read")], withholds_writes=True)
    assert _made(found) == [acl("topic", ORDERS, APP, "read")]
    assert "the standby is not fenced" in next(one.person for one in found.findings if one.person)


def test_the_first_acl_of_an_open_resource_comes_with_the_mirrors_and_drkits() -> None:
    """The first one shuts out whoever it does not name."""
    found = _acls([WRITE], open_by_default=True)
    assert _made(found) == [acl("topic", ORDERS, DRKIT, "all"), acl("topic", ORDERS, MIRROR, "all"), WRITE]
    somebodys = acl("topic", ORDERS, OTHER, "read")
    assert _made(_acls([WRITE, somebodys], [somebodys], open_by_default=True)) == [WRITE]
    both = _acls([WRITE, acl("topic", PREFIX, APP, "read", pattern="prefixed")], open_by_default=True)
    assert [one.resource_name for one in _made(both)] == [PREFIX, PREFIX, ORDERS, PREFIX]
    by_prefix = acl("topic", PREFIX, MIRROR, "all", pattern="prefixed")
    assert _made(_acls([WRITE], [by_prefix], open_by_default=True)) == [WRITE]


@pytest.mark.parametrize(
    "far",
    [
        acl("topic", "*", OTHER, "read"),
        acl("topic", "p.", OTHER, "read", pattern="prefixed"),
        acl("group", "*", APP, "read"),
        acl("cluster", "kafka-cluster", APP, "idempotent_write"),
    ],
)
def test_the_first_acl_beyond_the_service_is_for_a_person_on_an_open_cluster(far: Acl) -> None:
    found = _acls([far], open_by_default=True)
    assert _made(found) == []
    assert "beyond the service" in found.findings[0].person


def test_renamed_copies_are_read_and_originals_written() -> None:
    source = [WRITE, acl("topic", ORDERS, OTHER, "read"), acl("topic", PREFIX, APP, "all", pattern="prefixed")]
    found = compared(
        region("taipei", [topic()], source), region("tokyo", [topic(f"taipei.{ORDERS}")]), rules(policy="default")
    )
    copies = {(one.resource_name, one.operation) for one in _made(found) if one.resource_name.startswith("taipei.")}
    assert copies == {(f"taipei.{ORDERS}", "read"), (f"taipei.{PREFIX}", "read")}
    assert set(source) < set(_made(found))


def _topics(source: dict[str, str], target: dict[str, str], **copy: int) -> list[tuple[Kind, Severity, object, str]]:
    found = compared(region("taipei", [topic(**source)]), region("tokyo", [topic(**copy, **target)]))  # type: ignore[arg-type]
    return [(one.kind, one.severity, one.change, one.person) for one in found.findings]


def _set(config: str, before: str | None, after: str) -> SetConfig:
    return SetConfig(ORDERS, config, before, after)


@pytest.mark.parametrize(
    ("config", "here", "there", "kind", "severity"),
    [
        ("min.insync.replicas", "2", None, Kind.MIN_INSYNC_REPLICAS, Severity.PROBLEM),
        ("min.insync.replicas", "2", "1", Kind.MIN_INSYNC_REPLICAS, Severity.PROBLEM),
        ("max.message.bytes", "9", "8", Kind.MESSAGE_SIZE, Severity.PROBLEM),
        ("retention.ms", "-1", "9", Kind.RETENTION, Severity.NOTE),
        ("retention.ms", "10", "9", Kind.RETENTION, Severity.NOTE),
        ("compression.type", "snappy", None, Kind.CONFIG, Severity.NOTE),
        ("unclean.leader.election.enable", "false", "true", Kind.CONFIG, Severity.NOTE),
    ],
)
def test_a_config_that_gives_less_is_set_as_on_the_source(
    config: str, here: str, there: str | None, kind: Kind, severity: Severity
) -> None:
    key = config.replace(".", "_")
    found = _topics({key: here}, {} if there is None else {key: there})
    assert found == [(kind, severity, _set(config, there, here), "")]


@pytest.mark.parametrize(
    ("config", "here", "there"),
    [
        ("max.message.bytes", "8", "9"),
        ("retention.ms", "9", "10"),
        ("retention.ms", "9", "-1"),
        ("leader.replication.throttled.replicas", "0:1", "1:2"),
    ],
)
def test_more_than_on_the_source_is_left_alone(config: str, here: str, there: str) -> None:
    key = config.replace(".", "_")
    assert _topics({key: here}, {key: there}) == []


@pytest.mark.parametrize(
    ("config", "here", "there", "why"),
    [
        ("cleanup.policy", "compact", "delete", "decides which records are removed"),
        ("compression.type", "snappy", "gzip", "the target has a value of its own"),
        ("message.timestamp.type", "LogAppendTime", None, "replaces the records' own timestamps"),
        ("unclean.leader.election.enable", "true", "false", "trades acknowledged records"),
        ("retention.ms", None, "9", "the source has its broker's default"),
        ("min.insync.replicas", "1", "2", "it is set higher here"),
        ("min.insync.replicas", "many", "1", "it is no number"),
    ],
)
def test_what_may_be_meant_is_left_to_a_person(config: str, here: str | None, there: str | None, why: str) -> None:
    key = config.replace(".", "_")
    found = _topics({key: here} if here else {}, {key: there} if there else {})
    assert [(change, why in person) for _, _, change, person in found] == [(None, True)]


@pytest.mark.parametrize(
    ("replicas", "in_sync", "why"),
    [(1, 1, "the loss of one broker would stop writes"), (2, 2, "the loss of one broker"), (3, 1, "only 1 replicas")],
)
def test_min_insync_replicas_is_not_set_where_writes_would_stop(replicas: int, in_sync: int, why: str) -> None:
    found = _topics({"min_insync_replicas": "2"}, {}, replicas=replicas, in_sync=in_sync)
    (at,) = [one for one in found if one[0] is Kind.MIN_INSYNC_REPLICAS]
    assert at[2] is None
    assert why in at[3]
    assert (Kind.REPLICATION_FACTOR in [kind for kind, *_ in found]) == (replicas < 3)


def test_partitions_are_added_and_never_taken_away() -> None:
    assert _topics({}, {}, partitions=1) == [
        (Kind.PARTITIONS, Severity.PROBLEM, AddPartitions(ORDERS, 1, 2), ""),
    ]
    more = _topics({}, {}, partitions=3)
    assert [(kind, severity, change) for kind, severity, change, _ in more] == [(Kind.PARTITIONS, Severity.NOTE, None)]


def test_a_topic_that_is_missing_is_the_mirrors_to_make() -> None:
    found = compared(region("taipei", [topic(), topic(CANARY)]), region("tokyo"))
    assert [(one.kind, one.severity, one.change) for one in found.findings] == [(Kind.TOPIC, Severity.PROBLEM, None)]


def test_users_have_secrets_and_are_for_a_person() -> None:
    users = {name: ScramUser(name, {"SCRAM-SHA-512": 4096}) for name in ("app", "else", "drkit", "mirror", "both")}
    found = compared(
        region("taipei", users=users),
        region("tokyo", users={"both": users["both"], "else": ScramUser("else", {"SCRAM-SHA-256": 4096})}),
    )
    assert [(one.resource, one.severity, one.target, one.change) for one in found.findings] == [
        ("user app", Severity.PROBLEM, "missing", None),
        ("user else", Severity.NOTE, "SCRAM-SHA-256", None),
    ]


def test_groups_that_the_filters_drop_are_named() -> None:
    def group(name: str, on: str) -> GroupInventory:
        positions = {TopicPartition(on, 0): CommittedPosition(1)}
        return GroupInventory(name, GroupType.CLASSIC, GroupState.EMPTY, positions=positions)

    groups = {
        one.group: one
        for one in (group("console-1", ORDERS), group("console-2", "q.x"), group(CANARY, ORDERS), group("kept", ORDERS))
    }
    found = compared(region("taipei", [topic()], groups=groups), region("tokyo", [topic()]))
    assert [(one.resource, one.severity, one.change) for one in found.findings] == [
        ("group console-1", Severity.NOTE, None)
    ]


def _version(number: int, schema_id: int, schema: str = "s") -> SubjectVersion:
    return SubjectVersion("orders-value", number, schema_id, "AVRO", f"{schema}{number}")


def test_schemas_are_registered_under_their_own_ids_or_left_to_a_person() -> None:
    source = RegistryInventory((_version(2, 7), _version(1, 3), _version(3, 9), _version(4, 10)), "BACKWARD")
    target = RegistryInventory((_version(3, 4), SubjectVersion("x", 1, 10, "AVRO", "else")), "BACKWARD")
    found = compared(region("taipei", schemas=source), region("tokyo", schemas=target))
    assert [(one.source, one.target, one.change) for one in found.findings] == [
        ("id 3", "missing", RegisterSchema(_version(1, 3))),
        ("id 7", "missing", RegisterSchema(_version(2, 7))),
        ("id 9", "id 4", None),
        ("id 10", "missing", None),
    ]
    assert compared(region("a", schemas=source), region("b", schemas=source)).findings == ()


def test_what_was_not_looked_at_is_no_success() -> None:
    source, target = replace(region("taipei"), acls=None, groups=None), replace(region("tokyo"), users=None)
    found = compared(source, target)
    assert found.not_checked.keys() == {"quotas", "broker-defaults", "acls", "groups", "users"}
    assert found.not_checked["users"] == "not read in tokyo"
    one_registry = RegistryInventory((), "NONE")
    assert "schemas" in compared(region("taipei", schemas=one_registry), region("tokyo")).not_checked


def test_a_line_per_kind_says_how_many_and_what_to_type() -> None:
    found = _acls([WRITE, acl("topic", f"{PREFIX}b", APP, "write"), acl("group", "g", APP, "read")])
    assert found.headlines(Severity.PROBLEM) == [
        f"in tokyo, 2 ACLs that let applications write to topics are missing: {APPLY}",
        f"in tokyo, 1 group ACLs of applications are missing: {APPLY}",
    ]
    assert found.headlines(Severity.NOTE) == []
    document = json.loads(json.dumps(found.document()))
    assert (document["schema"], document["problems"], len(document["findings"])) == ("drkit.parity/1", 3, 3)
    assert document["findings"][0]["change"]["change"] == "create_acl"


def test_names_with_control_characters_are_shown_and_not_obeyed() -> None:
    found = _acls([acl("group", "a\x1b[2J", APP, "read")])
    assert found.findings[0].resource == r"ALLOW READ on group a\x1b[2J for User:app"
