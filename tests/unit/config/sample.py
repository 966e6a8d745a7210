"""A valid ``drkit.yaml`` as a plain value, and ways to change one place of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from drkit.config.models import Settings

MIRROR_SECRET = "connect:${file:/etc/kafka/mirror.properties:password}"


def region(number: int) -> dict[str, Any]:
    return {
        "cluster": {
            "bootstrap": f"127.31.{number}.10:9092",
            "cluster_id": f"cluster-{number}",
            "auth": {"mechanism": "scram-sha-512", "username": "drkit", "password": "env:DRKIT_PASSWORD"},
            "mirror_auth": {"mechanism": "scram-sha-512", "username": "mirror", "password": MIRROR_SECRET},
        },
        "connect": {"url": f"http://127.31.{number}.10:8083"},
        "health": {"http": [{"name": "kafka", "url": f"http://127.31.{number}.10:8080/actuator/health/kafka"}]},
    }


VALID: dict[str, Any] = {
    "project": "shop",
    "environment": "staging",
    "primary": "taipei",
    "state": {"bucket": "shop-drkit", "region": "singapore"},
    "regions": {"taipei": region(1), "tokyo": region(2)},
    "replication": {"topics": [r"shop\.staging\..*"]},
    "fence": {"kind": "acl", "principals": ["User:orders"]},
    "redirect": [
        {
            "kind": "route53",
            "zone_id": "Z1",
            "zone_name": "example.internal.",
            "name": "kafka.example.internal",
            "type": "A",
            "values": {"taipei": ["127.31.1.10"], "tokyo": ["127.31.2.10"]},
        }
    ],
}
MISSING = object()


def changed(path: str, value: object, base: dict[str, Any] | None = None) -> dict[str, Any]:
    """A copy with the value at ``regions.taipei.cluster`` or ``redirect.0.name``; ``MISSING`` removes it."""
    document = copy.deepcopy(VALID if base is None else base)
    node: Any = document
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    for part in parents:
        node = node[part]
    if value is MISSING:
        del node[last]
    else:
        node[last] = value
    return document


def settings(document: dict[str, Any] | None = None) -> Settings:
    return Settings.model_validate_json(json.dumps(VALID if document is None else document))


def write(directory: Path, document: object) -> Path:
    """JSON is YAML: every value on a line of its own."""
    path = directory / "drkit.yaml"
    path.write_text(json.dumps(document, indent=1))
    return path
