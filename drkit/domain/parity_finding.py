"""One difference between two regions that a mirror does not mend, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from drkit.domain.change_state import ClusterChange
from drkit.domain.provisioning import RegisterSchema

ParityChange = ClusterChange | RegisterSchema
"""What parity changes on the target."""


class Kind(StrEnum):
    """What differs."""

    TOPIC_WRITE_ACL = "topic-write-acl"
    TOPIC_ALL_ACL = "topic-all-acl"
    TOPIC_ACL = "topic-acl"
    PREFIXED_ACL = "prefixed-acl"
    GROUP_ACL = "group-acl"
    TRANSACTIONAL_ID_ACL = "transactional-id-acl"
    CLUSTER_ACL = "cluster-acl"
    DENY_ACL = "deny-acl"
    OPERATOR_ACL = "operator-acl"
    TOPIC = "topic"
    PARTITIONS = "partitions"
    REPLICATION_FACTOR = "replication-factor"
    MIN_INSYNC_REPLICAS = "min-insync-replicas"
    MESSAGE_SIZE = "message-size"
    RETENTION = "retention"
    CONFIG = "config"
    SCRAM_USER = "scram-user"
    GROUP = "group"
    SCHEMA = "schema"


class Severity(StrEnum):
    """A problem stops or harms applications after a move; a note is a difference that they live with."""

    PROBLEM = "problem"
    NOTE = "note"


HEADLINES: Final[Mapping[Kind, str]] = {
    Kind.TOPIC_WRITE_ACL: "ACLs that let applications write to topics are missing",
    Kind.TOPIC_ALL_ACL: "ACLs ALLOW ALL of applications on topics are missing, or READ only",
    Kind.TOPIC_ACL: "topic ACLs of applications are missing",
    Kind.PREFIXED_ACL: "PREFIXED topic ACLs of applications are missing",
    Kind.GROUP_ACL: "group ACLs of applications are missing",
    Kind.TRANSACTIONAL_ID_ACL: "ACLs on transactional ids are missing",
    Kind.CLUSTER_ACL: "cluster ACLs of applications are missing",
    Kind.DENY_ACL: "denials are not the same",
    Kind.OPERATOR_ACL: "ACLs would keep the mirror and drkit from being shut out",
    Kind.TOPIC: "topics are missing",
    Kind.PARTITIONS: "topics have another number of partitions",
    Kind.REPLICATION_FACTOR: "topics have fewer replicas",
    Kind.MIN_INSYNC_REPLICAS: "topics have another min.insync.replicas",
    Kind.MESSAGE_SIZE: "topics take smaller messages",
    Kind.RETENTION: "topics keep records for less",
    Kind.CONFIG: "other topic configs differ",
    Kind.SCRAM_USER: "SCRAM users are missing",
    Kind.GROUP: "groups are not carried over",
    Kind.SCHEMA: "schemas are missing, or have another id",
}
"""What a count of each kind is a count of."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. Either ``change`` mends it, or ``person`` says why only a person can."""

    kind: Kind
    severity: Severity
    resource: str
    source: str
    """What is on the source."""
    target: str
    """What is on the target."""
    why: str
    """What it means after a move, in a clause."""
    change: ParityChange | None = None
    person: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a finding that leaves open what is to be done, or says both."""
        if (self.change is None) == (not self.person):
            raise ValueError(f"{self.resource}: a finding has a change or a reason, and not both")
