"""Topics and what the catalogue says of them, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drkit.cli.render import aligned
from drkit.domain.naming import printable


def topics_text(document: Mapping[str, Any]) -> str:
    """One line per topic: partitions, replicas, state and differences."""
    rows = [("topic", "partitions", "replicas", "state")]
    for topic in document["topics"]:
        shape = topic["found"] or topic["wanted"]
        made = topic["name"] in (document["made"] or ())
        state = "made" if made else "; ".join([topic["state"], *topic["differences"]])
        rows.append((printable(topic["name"]), str(shape["partitions"]), str(shape["replication_factor"]), state))
    lines = [f"{document['environment']} in {document['region']}: {len(document['topics'])} topics"]
    lines += [aligned(rows)] if len(rows) > 1 else []
    return "\n".join([*lines, *(f"note: {printable(note)}" for note in document["notes"])])
