"""Journal entries and their strict JSON.

Every entry carries the digest of the one before it, so that an entry which was changed, left out or put in later is
noticed. The digest guards against accidents and unnoticed edits, not against somebody who rewrites a whole journal.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as model

from drkit.domain.run_events import Event
from drkit.errors import RefusedError

FORMAT: Final = 2
"""The newest journal format that this drkit reads, and the one that it writes.

A new kind of event, or a new field of one, is a new format: an older drkit then says which version is needed.
"""

GENESIS: Final = "0" * 64
"""What the first entry has in place of the digest of the one before."""

_SCHEMA: Final = re.compile(r"drkit\.journal/([1-9][0-9]{0,5})")
_VERSION: Final = re.compile(r"[0-9A-Za-z.+-]{1,40}")


class JournalError(RefusedError):
    """A journal cannot be read as what drkit wrote; nothing is guessed, and nothing was changed."""


@model(frozen=True, slots=True, config=ConfigDict(strict=True, extra="forbid"))
class Entry:
    """One journaled event.

    ``event_id`` is the writer's own: it tells an entry that was accepted before a timeout from somebody else's.
    ``written_by`` is the version of drkit. ``previous`` is the digest of the entry before.
    """

    run_id: str
    seq: Annotated[int, Field(ge=0)]
    event_id: str
    at: AwareDatetime
    written_by: str
    previous: str
    event: Annotated[Event, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """An entry with its digest, and the bytes that are stored: one line of ASCII JSON."""

    entry: Entry
    digest: str
    body: bytes = field(repr=False)


@cache
def _adapter() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


def seal(entry: Entry) -> SealedEntry:
    """The entry as it is stored.

    Raises ``ValueError`` or ``TypeError`` for one that would not be read back as it is.
    """
    document = {"schema": f"drkit.journal/{FORMAT}", **_adapter().dump_python(entry, mode="json")}
    digest = _digest(document)
    body = _canonical({**document, "digest": digest})
    read_back = parse(body)
    if read_back.entry != entry:
        raise ValueError(f"the event {entry.event.kind} would be read back as something else")
    return read_back


def parse(body: bytes, *, what: str = "journal entry") -> SealedEntry:
    """The entry in a stored object; ``what`` names the object in messages.

    Raises ``JournalError`` for anything but an entry as it was written, and names the version of drkit that is needed
    for one in a newer format.
    """
    document = _document(body, what)
    digest = document.pop("digest", None)
    if not isinstance(digest, str) or digest != _digest(document):
        raise JournalError(
            f"{what} was changed after it was written: its digest does not match",
            hint="compare it with the local copy of the journal, and with the bucket's version history",
        )
    del document["schema"]
    try:
        entry = _adapter().validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        # The kind of error alone: its text may repeat what stands there.
        place = ".".join(str(part) for part in first["loc"])[:100]
        raise JournalError(f"{what} is not an entry that this drkit can read: {place!a}: {first['type']}") from error
    return SealedEntry(entry, digest, body)


def _document(body: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(body, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise JournalError(
            f"{what} is torn or is not JSON: {error}",
            hint="compare it with the local copy of the journal, and with the bucket's version history",
        ) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    known = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if not isinstance(document, dict) or known is None:
        raise JournalError(f"{what} was not written by drkit", hint="find out what else writes to the state bucket")
    if int(known[1]) > FORMAT:
        writer = document.get("written_by")
        version = writer if isinstance(writer, str) and _VERSION.fullmatch(writer) else "a newer one"
        raise JournalError(
            f"{what} has format {known[1]}, written by drkit {version}; this drkit reads formats up to {FORMAT}",
            hint=f"install drkit {version} or newer on this machine",
        )
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> Any:  # noqa: ANN401 - the signature that json asks for
    raise ValueError(f"{name} is not JSON")


def _canonical(document: Mapping[str, Any]) -> bytes:
    # ASCII: names come from brokers, and the local copy is looked at in terminals.
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(document)).hexdigest()
