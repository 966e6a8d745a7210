"""What parity changes, applied to a model of the target: nothing is left for drkit, nothing is lost, no fence opens."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import product

from hypothesis import event, given
from hypothesis import strategies as st

from drkit.domain.fence import consumer_fence, producer_fence
from drkit.domain.inventory import Inventory
from drkit.domain.kafka import Acl, PartitionDescription, TopicDescription
from drkit.domain.parity import Parity, ParityChange, compare
from drkit.domain.parity_acls import AclRules
from drkit.domain.provisioning import AddPartitions, CreateAcl, SetConfig
from tests.unit.domain.parity_samples import APP, CANARY, DRKIT, MIRROR, OTHER, PREFIX, region, rules, scope

TOPICS = (f"{PREFIX}a", f"{PREFIX}b", "q.s.c")
_NAMES = (*TOPICS, PREFIX, "p.", "*", "billing", CANARY)
_KINDS = ("topic", "group", "transactional_id", "cluster")
_OPERATIONS = ("read", "write", "all", "describe", "alter", "idempotent_write")
_PATTERNS = ("literal", "prefixed")
_PERMISSIONS = ("allow", "allow", "deny")
# One draw for each binding: seven would make up most of the time.
_ACLS = st.sampled_from(
    [
        Acl(kind, name, pattern, who, host, operation, permission)
        for kind, name, pattern, who, host, operation, permission in product(
            _KINDS,
            _NAMES,
            _PATTERNS,
            (APP, OTHER, DRKIT, MIRROR, "User:*"),
            ("*", "10.0.0.1"),
            _OPERATIONS,
            _PERMISSIONS,
        )
    ]
)
_RELEVANT_ACLS = st.sampled_from(
    [
        Acl("topic", name, pattern, who, "*", operation, permission)
        for name, pattern, who, operation, permission in product(
            (TOPICS[0], PREFIX, "p.", "*"), _PATTERNS, (APP, OTHER, "User:*"), _OPERATIONS[:3], _PERMISSIONS
        )
    ]
)
"""Those that decide about the service's topics; among all that there can be they are rare."""
_CONFIGS = st.dictionaries(
    st.sampled_from(["min.insync.replicas", "max.message.bytes", "retention.ms", "cleanup.policy", "compression.type"]),
    st.sampled_from(["-1", "1", "2", "3", "compact", "x"]),
    max_size=4,
)


@st.composite
def _topic(draw: st.DrawFn, name: str) -> TopicDescription:
    replicas = tuple(range(draw(st.integers(1, 3))))
    in_sync = replicas[: draw(st.integers(1, len(replicas)))]
    partitions = (PartitionDescription(number, 0, replicas, in_sync) for number in range(draw(st.integers(1, 4))))
    return TopicDescription(name, "", tuple(partitions), draw(_CONFIGS))


@st.composite
def _region(draw: st.DrawFn, name: str, sizes: tuple[int, ...], prefix: str = "") -> Inventory:
    topics = [draw(_topic(prefix + one)) for one in TOPICS[:2] if draw(st.integers(0, 3))]
    most = draw(st.sampled_from(sizes))
    acls = draw(st.frozensets(st.one_of(_RELEVANT_ACLS, _ACLS), min_size=most // 2, max_size=most))
    if draw(st.integers(0, 2)) == 0:
        fence = scope(open_by_default=draw(st.booleans()))
        acls |= {*producer_fence(fence, TOPICS, acls)}
        acls |= {*consumer_fence(fence, ["billing"], acls)} if draw(st.booleans()) else set()
    return region(name, topics, acls)


@st.composite
def _case(draw: st.DrawFn) -> tuple[AclRules, Inventory, Inventory]:
    policy = draw(st.sampled_from(["identity", "identity", "default"]))
    how = rules(policy=policy, open_by_default=draw(st.booleans()), withholds_writes=draw(st.booleans()))
    # The target has few ACLs, as it has before parity was ever seen to.
    prefix = "" if policy == "identity" else "taipei."
    return how, draw(_region("taipei", (3, 5))), draw(_region("tokyo", (0, 0, 2, 3), prefix))


def _applied(changes: Collection[ParityChange], target: Inventory) -> Inventory:
    """The target as Kafka would have it; a change that it would refuse is an error."""
    topics, acls = dict(target.topics or {}), set(target.acls or ())
    for change in changes:
        match change:
            case CreateAcl():
                acls.add(change.acl)
            case SetConfig():
                before = topics[change.topic]
                assert before.configs.get(change.config) == change.before
                topics[change.topic] = replace(before, configs={**before.configs, change.config: change.after})
            case AddPartitions():
                before = topics[change.topic]
                assert len(before.partitions) == change.before < change.after
                more = tuple(replace(before.partitions[0], partition=n) for n in range(change.before, change.after))
                topics[change.topic] = replace(before, partitions=before.partitions + more)
            case _:
                raise AssertionError(change)
    return replace(target, topics=topics, acls=frozenset(acls))


def _compared(how: AclRules, source: Inventory, target: Inventory) -> Parity:
    return compare(how, frozenset({CANARY}), source, target)


def _is_allowed(
    acls: Collection[Acl], who: str, operation: str, kind: str, name: str, *, open_by_default: bool
) -> bool:
    """``StandardAuthorizer`` of Kafka (KIP-801): a denial, else an allowance, else the default where no ACL is."""
    about = [acl for acl in acls if acl.covers(kind, name)]
    own = [a for a in about if a.principal in (who, "User:*") and a.operation in (operation, "all") and a.host == "*"]
    if any(acl.permission == "deny" for acl in own):
        return False
    return any(acl.permission == "allow" for acl in own) or (open_by_default and not about)


@given(_case())
def test_what_is_left_afterwards_is_for_a_person_and_nothing_new(case: tuple[AclRules, Inventory, Inventory]) -> None:
    how, source, target = case
    found = _compared(how, source, target)
    event("changes" if found.changes else "none")
    left = _compared(how, source, _applied(found.changes, target))
    assert left.changes == ()
    by_person = {(one.kind, one.resource) for one in found.findings if one.change is None}
    assert {(one.kind, one.resource) for one in left.findings} <= by_person


@given(_case())
def test_nothing_is_removed_and_no_number_falls(case: tuple[AclRules, Inventory, Inventory]) -> None:
    how, source, target = case
    after = _applied(_compared(how, source, target).changes, target)
    assert (target.acls or set()) <= (after.acls or set())
    for name, before in (target.topics or {}).items():
        now = (after.topics or {})[name]
        assert len(now.partitions) >= len(before.partitions)
        assert now.configs.keys() >= before.configs.keys()
        for config in ("min.insync.replicas", "max.message.bytes", "retention.ms"):
            assert _rank(config, now.configs) >= _rank(config, before.configs)


def _rank(config: str, configs: Mapping[str, str]) -> float:
    value = configs.get(config, "0")
    if config == "retention.ms" and value == "-1":
        return float("inf")
    return int(value) if value.isdecimal() else 0


@given(_case())
def test_a_fenced_standby_takes_no_write_that_it_did_not_take(case: tuple[AclRules, Inventory, Inventory]) -> None:
    how, source, target = case
    how = replace(how, withholds_writes=True)
    before = target.acls or frozenset()
    after = _applied(_compared(how, source, target).changes, target).acls or frozenset()
    is_open = how.target_fence.open_by_default
    for who in (APP, OTHER, "User:stranger"):
        for name in TOPICS[:2]:
            if _is_allowed(after, who, "write", "topic", name, open_by_default=is_open):
                event("could write before")
                assert _is_allowed(before, who, "write", "topic", name, open_by_default=is_open)


@given(_case())
def test_an_application_that_a_fence_denies_is_denied_whatever_is_allowed(
    case: tuple[AclRules, Inventory, Inventory],
) -> None:
    """Also while writes are not withheld: a denial counts more than any allowance."""
    how, source, target = case
    fence = frozenset(producer_fence(how.target_fence, TOPICS, target.acls or ()))
    target = replace(target, acls=(target.acls or frozenset()) | fence)
    after = _applied(_compared(how, source, target).changes, target).acls or frozenset()
    assert fence <= after
    for name in TOPICS[:2]:
        assert not _is_allowed(after, APP, "write", "topic", name, open_by_default=how.target_fence.open_by_default)


@given(_case())
def test_the_mirror_and_drkit_can_do_what_they_could(case: tuple[AclRules, Inventory, Inventory]) -> None:
    how, source, target = case
    before = target.acls or frozenset()
    after = _applied(_compared(how, source, target).changes, target).acls or frozenset()
    is_open = how.target_fence.open_by_default
    for who in (DRKIT, MIRROR):
        for kind, name in [("topic", one) for one in (*TOPICS, "connect-offsets")] + [
            ("group", "billing"),
            ("cluster", "kafka-cluster"),
            ("transactional_id", "connect-1"),
        ]:
            for operation in ("read", "write", "alter"):
                if _is_allowed(before, who, operation, kind, name, open_by_default=is_open):
                    assert _is_allowed(after, who, operation, kind, name, open_by_default=is_open), (who, kind, name)


@given(_case())
def test_nobody_is_shut_out_of_what_is_not_the_services(case: tuple[AclRules, Inventory, Inventory]) -> None:
    how, source, target = case
    before = target.acls or frozenset()
    after = _applied(_compared(how, source, target).changes, target).acls or frozenset()
    is_open = how.target_fence.open_by_default
    for kind, name in (("topic", "q.s.c"), ("topic", "connect-offsets"), ("cluster", "kafka-cluster")):
        if _is_allowed(before, "User:stranger", "read", kind, name, open_by_default=is_open):
            event("allowed")
            assert _is_allowed(after, "User:stranger", "read", kind, name, open_by_default=is_open), (kind, name)


@given(_case())
def test_applications_can_do_on_the_target_what_they_can_on_the_source(
    case: tuple[AclRules, Inventory, Inventory],
) -> None:
    """But for what is left to a person; under the identity policy, and behind a fence that is lifted."""
    how, source, target = case
    how = replace(how, withholds_writes=False)
    found = _compared(how, source, target)
    left = [one.resource for one in found.findings if one.change is None and "-acl" in one.kind]
    if how.names.policy != "identity" or any(who in resource for resource in left for who in (APP, "User:*")):
        event("left to a person")
        return
    on_target = (_applied(found.changes, target).acls or frozenset()) - _fence(how, target)
    on_source = (source.acls or frozenset()) - _fence(how, source)
    for name in (TOPICS[:2]) if source.topics else ():
        for operation in ("read", "write"):
            # Explicitly allowed: what the source allows as it has no ACL is no ACL to carry over.
            if _is_allowed(on_source, APP, operation, "topic", name, open_by_default=False):
                event("allowed")
                assert _is_allowed(on_target, APP, operation, "topic", name, open_by_default=False)


def _fence(how: AclRules, side: Inventory) -> frozenset[Acl]:
    from drkit.domain.fence import bindings_of_fence

    return bindings_of_fence(how.source_fence, side.acls or ())
