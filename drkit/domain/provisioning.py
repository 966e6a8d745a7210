"""Changes that make a cluster have what it should have: what a restore, a parity plan and a topic catalogue come to.

None of them removes anything. Each says what it changes and to what, so that a plan can be shown, and whoever applies
it can compare the world with what the plan was made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drkit.domain.inventory import CommittedPosition, SubjectVersion
from drkit.domain.kafka import Acl, TopicPartition


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """Make a topic that is not there."""

    name: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """Give a topic more partitions (``CreatePartitions``); it had ``before``."""

    topic: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class SetConfig:
    """Set one config of a topic; ``before`` is None where it had the default."""

    topic: str
    config: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class CreateAcl:
    """Add a binding that is not there."""

    acl: Acl


@dataclass(frozen=True, slots=True)
class SetPositions:
    """Commit a group's positions; ``before`` holds those that are replaced (a partition without one is left out)."""

    group: str
    before: Mapping[TopicPartition, CommittedPosition]
    after: Mapping[TopicPartition, CommittedPosition]


@dataclass(frozen=True, slots=True)
class RegisterSchema:
    """Register one version of a subject under its own id."""

    version: SubjectVersion


@dataclass(frozen=True, slots=True)
class SetCompatibility:
    """Set the compatibility level of a subject, or of the registry (``subject`` None); ``before`` is None if unset."""

    subject: str | None
    before: str | None
    after: str


Change = CreateTopic | AddPartitions | SetConfig | CreateAcl | SetPositions | RegisterSchema | SetCompatibility
