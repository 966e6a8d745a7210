"""The lease object: who has, or last had, the lease."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as model

from drkit.errors import RefusedError

_SCHEMA: Final = "drkit.lease/1"


@model(frozen=True, slots=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
class Holder:
    """Who has, or last had, the lease.

    ``renewals`` counts attempts to write it again, and ``nonce`` is the holder's own, so that no two contents are ever
    alike (S3's ETag is a hash of the content). ``seconds`` of silence are what the holder grants itself; ``since`` is
    shown to people and never compared.
    """

    owner: str
    run_id: str
    generation: int
    renewals: int
    seconds: float
    is_held: bool
    since: str
    nonce: str


def dump_holder(holder: Holder) -> bytes:
    """The object's body."""
    return json.dumps({"schema": _SCHEMA, **asdict(holder)}).encode()


def parse_holder(body: bytes) -> Holder:
    """Read the object's body. Raises ``RefusedError`` for anything that drkit did not write."""
    try:
        document: Any = json.loads(body)
        schema = document.pop("schema", None) if isinstance(document, dict) else None
        if schema != _SCHEMA:
            raise RefusedError(
                f"the lease object has schema {schema!a}; this drkit reads {_SCHEMA}",
                hint="a newer drkit works on this service: install that version here",
            )
        holder = Holder(**document)
        datetime.fromisoformat(holder.since)
    except (ValueError, TypeError) as error:
        raise RefusedError(
            "the lease object cannot be read as drkit's", hint="look at lease.json in the state bucket"
        ) from error
    return holder
