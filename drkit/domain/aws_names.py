"""Names that AWS gives: ARNs and partitions ("Amazon Resource Names (ARNs)", "IAM identifiers")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TOPIC: Final = re.compile(
    r"arn:aws[a-z-]*:sns:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):(?P<name>[A-Za-z0-9_-]{1,256})"
)
_PARTITIONS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}


@dataclass(frozen=True, slots=True)
class TopicArn:
    """The ARN of a standard SNS topic, which says where the topic is."""

    text: str
    region: str

    @classmethod
    def parse(cls, text: str) -> TopicArn | None:
        """None for anything else; a FIFO topic (``.fifo``) takes no e-mail, and is something else."""
        match = _TOPIC.fullmatch(text)
        return None if match is None else cls(text, match["region"])


def partition_of(region: str) -> str:
    """The partition that a region is in: ``aws`` but for China, GovCloud and the isolated ones."""
    return next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")
