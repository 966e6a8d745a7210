"""The topics that a service is to have: names by the convention, and what a cluster has instead. Pure.

The convention: ``{project}.{environment}.{domain}.{event-type}``. Kafka replaces dots by underscores in names of
metrics, so that it makes no topic whose name differs from another one's in those alone (``Topic.hasCollision``), and
no name may be longer than 249 characters (``Topic.MAX_NAME_LENGTH``: a directory of the log is called by it).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from drkit.domain.change_state import Topics, replication_factor
from drkit.domain.kafka import TopicDescription
from drkit.domain.naming import printable
from drkit.domain.provisioning import CreateTopic

MAX_NAME_LENGTH: Final = 249
_SEGMENT: Final = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
_DEFAULT: Final = "the broker's default"


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """A topic as the catalogue has it. ``configs``: those that it names, and no others are compared."""

    name: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str] = field(default_factory=dict)

    @property
    def change(self) -> CreateTopic:
        """What makes it."""
        return CreateTopic(self.name, self.partitions, self.replication_factor, self.configs)


class TopicState(StrEnum):
    """How a topic stands to the catalogue."""

    AS_WANTED = "as wanted"
    MISSING = "missing"
    DIFFERENT = "different"
    UNLISTED = "not in the catalogue"


@dataclass(frozen=True, slots=True)
class TopicFinding:
    """One topic of the environment: what is wanted, what is there, and how the one differs from the other."""

    name: str
    state: TopicState
    wanted: WantedTopic | None
    found: TopicDescription | None
    differences: tuple[str, ...] = ()


def segment_fault(segment: str) -> str:
    """Why a text is no domain and no event type of the convention; empty if it is one."""
    if _SEGMENT.fullmatch(segment):
        return ""
    return "may hold lower-case letters and digits, in words joined by a hyphen or an underscore"


def name_fault(name: str) -> str:
    """Why Kafka would not take the name; empty if it would."""
    if len(name) > MAX_NAME_LENGTH:
        return f"the topic's name would have {len(name)} characters; Kafka takes {MAX_NAME_LENGTH}"
    return ""


def collisions(names: Iterable[str], existing: Collection[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a name and another one, wanted or existing, that Kafka would take for the same. Sorted, each once."""
    alike: defaultdict[str, set[str]] = defaultdict(set)
    wanted = set(names)
    for name in (*wanted, *existing):
        alike[name.replace(".", "_")].add(name)
    for name in sorted(wanted):
        for other in sorted(alike[name.replace(".", "_")] - {name}):
            if other not in wanted or name < other:
                yield name, other


def hold_against(
    wanted: Sequence[WantedTopic], topics: Topics, prefix: str, own: Collection[str]
) -> list[TopicFinding]:
    """Every topic of the catalogue and of the environment, by name. ``own``: drkit's, which are left out."""
    by_name = {topic.name: topic for topic in wanted}
    of_environment = {name for name in topics if name.startswith(prefix) and name not in own}
    return [_finding(name, by_name.get(name), topics.get(name)) for name in sorted(by_name.keys() | of_environment)]


def _finding(name: str, wanted: WantedTopic | None, found: TopicDescription | None) -> TopicFinding:
    if wanted is None:
        return TopicFinding(name, TopicState.UNLISTED, None, found)
    if found is None:
        return TopicFinding(name, TopicState.MISSING, wanted, None)
    differences = tuple(_differences(wanted, found))
    return TopicFinding(name, TopicState.DIFFERENT if differences else TopicState.AS_WANTED, wanted, found, differences)


def _differences(wanted: WantedTopic, found: TopicDescription) -> Iterator[str]:
    if len(found.partitions) != wanted.partitions:
        yield f"{len(found.partitions)} partitions, not {wanted.partitions}"
    if replication_factor(found) != wanted.replication_factor:
        yield f"{replication_factor(found)} replicas, not {wanted.replication_factor}"
    for config, value in sorted(wanted.configs.items()):
        there = found.configs.get(config, _DEFAULT)
        if there != value:
            yield printable(f"{config} is {there}, not {value}")
