"""Topics as a restore makes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from drkit.domain.checks import listed
from drkit.domain.inventory import Part
from drkit.domain.kafka import TopicDescription
from drkit.domain.naming import printable
from drkit.domain.provisioning import AddPartitions, Change, CreateTopic, SetConfig
from drkit.domain.restoration import Choice, Difference, Refusal, Restoration, grounded

Topics = Mapping[str, TopicDescription]


def is_internal(name: str) -> bool:
    """Whether a topic is Kafka's, MM2's or Connect's own (``ReplicationPolicy.isInternalTopic``)."""
    return name.startswith(("__", ".", "mm2-offset-syncs.")) or name.endswith((".internal", "-internal"))


def restore_topics(
    backup: Topics, live: Topics, choice: Choice, *, brokers: int, internal: Collection[str] = ()
) -> Restoration:
    """Topics that are missing are made; what differs of the others is set where ``choice.replace`` says so.

    ``internal``: names of topics that belong to the mirror or to Connect, restored only where they are named. The ids
    of topics, their leaders and their assignment to brokers are the cluster's own.
    """
    chosen = {
        name: topic
        for name, topic in sorted(backup.items())
        if (name in choice.topics if choice.topics else not (is_internal(name) or name in internal))
    }
    changes: list[Change] = []
    stays: list[Difference] = []
    for name, topic in chosen.items():
        if name not in live:
            changes.append(CreateTopic(name, len(topic.partitions), _factor(topic, choice), dict(topic.configs)))
            continue
        for found in _differences(topic, live[name], choice):
            if isinstance(found, Difference):
                stays.append(found)
            else:
                changes.append(found)
    return Restoration(
        tuple(changes),
        tuple(stays),
        tuple(_too_many_replicas(changes, brokers)),
        notes=tuple(_notes(changes, backup, live, chosen, choice)),
        ground=grounded(changes),
    )


def _differences(backup: TopicDescription, live: TopicDescription, choice: Choice) -> Iterable[Change | Difference]:
    what, wanted, found = f"topic {backup.name}", len(backup.partitions), len(live.partitions)
    if found > wanted:
        yield Difference(
            Part.TOPICS, what, f"has {found} partitions, the backup {wanted}: partitions cannot be taken away"
        )
    elif found < wanted:
        change = AddPartitions(backup.name, found, wanted)
        yield (
            change
            if choice.replace
            else Difference(Part.TOPICS, what, f"has {found} partitions, the backup {wanted}", "--replace")
        )
    elif (factor := _replicas(live)) != _factor(backup, choice):
        yield Difference(Part.TOPICS, what, f"has {factor} replicas, the backup {_replicas(backup)}: reassign it")
    for key, value in sorted(backup.configs.items()):
        before = live.configs.get(key)
        if before != value:
            yield (
                SetConfig(backup.name, key, before, value)
                if choice.replace
                else Difference(
                    Part.TOPICS, what, f"{key} is {before or 'the default'}, {value} in the backup", "--replace"
                )
            )
    for key, value in sorted(live.configs.items()):
        if key not in backup.configs:
            yield Difference(
                Part.TOPICS, what, f"{key} is {value}, the default in the backup: kafka-configs --delete-config"
            )


def _replicas(topic: TopicDescription) -> int:
    return min((len(partition.replicas) for partition in topic.partitions), default=1)


def _factor(topic: TopicDescription, choice: Choice) -> int:
    factor = max(_replicas(topic), 1)
    return factor if choice.replication_factor is None else min(factor, choice.replication_factor)


def _too_many_replicas(changes: Iterable[Change], brokers: int) -> Iterable[Refusal]:
    above = [c for c in changes if isinstance(c, CreateTopic) and c.replication_factor > brokers]
    if above:
        most = max(change.replication_factor for change in above)
        yield Refusal(
            f"the cluster has {brokers} {'broker' if brokers == 1 else 'brokers'}, and {len(above)} topics have up to "
            f"{most} replicas in the backup: {listed(printable(change.name) for change in above)}",
            f"--replication-factor {brokers}",
        )


def _notes(changes: Iterable[Change], backup: Topics, live: Topics, chosen: Topics, choice: Choice) -> Iterable[str]:
    thin = [
        c.name
        for c in changes
        if isinstance(c, CreateTopic)
        and (least := c.configs.get("min.insync.replicas", "")).isdecimal()
        and int(least) > c.replication_factor
    ]
    if thin:
        yield (
            f"min.insync.replicas is above the number of replicas of {listed(map(printable, thin))}: writes with "
            "acks=all may be refused until there are more"
        )
    left = sorted(backup.keys() - chosen.keys())
    if left and not choice.topics:
        yield f"internal topics are not restored unless they are named: {listed(map(printable, left))}"
    more = live.keys() - backup.keys()
    if more and not choice.topics:
        yield f"{len(more)} topics that the backup does not have stay"
