"""Names: how MM2's replication policies rename topics, and how untrusted names are shown."""

from __future__ import annotations

from dataclasses import dataclass


def printable(text: str) -> str:
    """The text with control characters, line breaks and invisible characters escaped: made visible, not removed."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Topic names on both sides of a flow (``IdentityReplicationPolicy``, ``DefaultReplicationPolicy``)."""

    policy: str
    source: str
    separator: str = "."

    def on_target(self, topic: str) -> str:
        """The name of a source topic's copy."""
        return topic if self.policy == "identity" else f"{self.source}{self.separator}{topic}"

    def on_source(self, topic: str) -> str:
        """The name of a copy's original; a topic that is no copy keeps its name."""
        prefix = f"{self.source}{self.separator}"
        return topic if self.policy == "identity" else topic.removeprefix(prefix)
