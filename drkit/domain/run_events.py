"""The events of a run as they are journaled, and their strict JSON.

Every entry carries the digest of the one before it, so that an entry which was changed, left out or put in later is
noticed. The digest guards against accidents and unnoticed edits, not against somebody who rewrites a whole journal.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as model

from drkit.domain.lifecycle import Phase
from drkit.domain.mode import FailoverMode
from drkit.errors import RefusedError

FORMAT: Final = 1
"""The newest journal format that this drkit reads, and the one that it writes."""

GENESIS: Final = "0" * 64
"""What the first entry has in place of the digest of the one before."""

_SCHEMA: Final = re.compile(r"drkit\.journal/([1-9][0-9]{0,5})")
_STRICT: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

JsonObject = Mapping[str, JsonValue]


class JournalError(RefusedError):
    """A journal cannot be read as what drkit wrote; nothing is guessed, and nothing was changed."""


@model(frozen=True, slots=True, config=_STRICT)
class StepIdentity:
    """A step as the plan names it; ``is_effect`` is False for one that only reads."""

    name: str
    version: int
    is_effect: bool


@model(frozen=True, slots=True, config=_STRICT)
class RunPlanned:
    """The run begins: what is to be done, by whom, under which configuration. The decision, from which RTO counts.

    ``plan_digest`` and ``settings_digest`` are SHA-256 in hexadecimal; ``options`` what was asked for on the command
    line; ``objectives`` the figures in force; ``undo_on_failure`` whether a failure before the point of no return
    undoes the run by itself.
    """

    procedure: str
    mode: FailoverMode
    source: str
    target: str
    steps: tuple[StepIdentity, ...]
    no_return_after: str
    options: JsonObject
    objectives: JsonObject
    plan_digest: str
    settings_digest: str
    config_path: str | None
    operator: str
    undo_on_failure: bool
    kind: Literal["run_planned"] = "run_planned"


@model(frozen=True, slots=True, config=_STRICT)
class RunTakenOver:
    """Another process goes on with the run; from here on every append of the earlier one fails."""

    by: str
    purpose: Literal["resume", "abort"]
    previous: str
    """Who had the run before; empty if nobody held its lease any more."""
    kind: Literal["run_taken_over"] = "run_taken_over"


@model(frozen=True, slots=True, config=_STRICT)
class StepStarted:
    """The intent: the step's effect may happen from here on. Only steps with an effect have one."""

    step: str
    intent: str
    kind: Literal["step_started"] = "step_started"


@model(frozen=True, slots=True, config=_STRICT)
class StepSucceeded:
    """The step's effect is proved. ``satisfied``: it was there already. ``seconds``: what the step took."""

    step: str
    evidence: JsonObject
    seconds: float
    satisfied: bool
    kind: Literal["step_succeeded"] = "step_succeeded"


@model(frozen=True, slots=True, config=_STRICT)
class StepMissed:
    """A verification after the point of no return found a difference; the run goes on and ends with it on record."""

    step: str
    reason: str
    hint: str
    evidence: JsonObject
    seconds: float
    kind: Literal["step_missed"] = "step_missed"


@model(frozen=True, slots=True, config=_STRICT)
class StepFailed:
    """The step failed, and it is known that it did. ``exit_code`` is the one of its error."""

    step: str
    reason: str
    hint: str
    exit_code: int
    seconds: float
    kind: Literal["step_failed"] = "step_failed"


@model(frozen=True, slots=True, config=_STRICT)
class StepUnknown:
    """Nobody can tell whether the step's effect happened."""

    step: str
    reason: str
    hint: str
    seconds: float
    kind: Literal["step_unknown"] = "step_unknown"


@model(frozen=True, slots=True, config=_STRICT)
class RunInterrupted:
    """A signal stopped the process. ``step`` was under way; None between steps."""

    step: str | None
    signal: str
    kind: Literal["run_interrupted"] = "run_interrupted"


@model(frozen=True, slots=True, config=_STRICT)
class AbortStarted:
    """What the run has changed is going to be undone, in reverse order."""

    reason: str
    kind: Literal["abort_started"] = "abort_started"


@model(frozen=True, slots=True, config=_STRICT)
class AbortWithdrawn:
    """The first step to be undone refused, so nothing was undone: the run can be resumed as before."""

    step: str
    reason: str
    hint: str
    kind: Literal["abort_withdrawn"] = "abort_withdrawn"


@model(frozen=True, slots=True, config=_STRICT)
class CompensationStarted:
    """The intent to undo a step."""

    step: str
    kind: Literal["compensation_started"] = "compensation_started"


@model(frozen=True, slots=True, config=_STRICT)
class CompensationDone:
    """The step is undone."""

    step: str
    evidence: JsonObject
    seconds: float
    kind: Literal["compensation_done"] = "compensation_done"


@model(frozen=True, slots=True, config=_STRICT)
class CompensationFailed:
    """The step could not be undone; an abort that is run again goes on here."""

    step: str
    reason: str
    hint: str
    exit_code: int
    seconds: float
    kind: Literal["compensation_failed"] = "compensation_failed"


@model(frozen=True, slots=True, config=_STRICT)
class RunFinished:
    """The run is over."""

    outcome: Literal[Phase.SUCCEEDED, Phase.VERIFICATION_MISSED, Phase.REFUSED, Phase.UNDONE]
    kind: Literal["run_finished"] = "run_finished"


StepEvent = StepStarted | StepSucceeded | StepMissed | StepFailed | StepUnknown
CompensationEvent = CompensationStarted | CompensationDone | CompensationFailed
Event = (
    RunPlanned
    | RunTakenOver
    | StepEvent
    | CompensationEvent
    | RunInterrupted
    | AbortStarted
    | AbortWithdrawn
    | RunFinished
)


@model(frozen=True, slots=True, config=_STRICT)
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
        place = ".".join(str(part) for part in first["loc"])
        raise JournalError(f"{what} is not an entry that this drkit can read: {place}: {first['msg']}") from error
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
        version = writer if isinstance(writer, str) and re.fullmatch(r"[0-9A-Za-z.+-]{1,40}", writer) else "a newer one"
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

