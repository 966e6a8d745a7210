"""``drkit status``: the service at a glance, as ``drkit.status/1`` JSON and as text. Names are untrusted text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from drkit.domain.health import RegionHealth, health_to_json, verdict_word
from drkit.domain.lag import MirrorLag, amount_text, amount_to_json
from drkit.domain.loss import loss_to_json
from drkit.domain.naming import printable
from drkit.domain.partition_tree import to_tree
from drkit.domain.replay import ReplayExposure

SCHEMA: Final = "drkit.status/1"


@dataclass(frozen=True, slots=True)
class NotRead:
    """A value that could not be read, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class RedirectStatus:
    """Where a redirect target points.

    ``values``: the control plane's. ``points_at``: the region that they stand for, None if they stand for none.
    ``answers``: what each name server says.
    """

    name: str
    values: tuple[str, ...]
    points_at: str | None
    answers: Mapping[str, tuple[str, ...]]

    @property
    def agreeing(self) -> int:
        """How many name servers answer with the control plane's values."""
        return sum(tuple(sorted(answer)) == tuple(sorted(self.values)) for answer in self.answers.values())


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run, as its journal has it."""

    run_id: str
    procedure: str
    mode: str
    outcome: str
    at: str


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that ``drkit status`` shows. ``None``: there is none; ``NotRead``: it could not be read."""

    project: str
    environment: str
    taken_at: str
    primary: str
    standby: str
    regions: Mapping[str, RegionHealth]
    lag: MirrorLag | NotRead | None
    replay: ReplayExposure | NotRead | None
    offsets: Mapping[str, Any] | NotRead | None
    """The totals of ``drkit.offsets-forecast/1``: how a planned move would place groups."""
    redirects: Mapping[str, RedirectStatus | NotRead]
    last_run: LastRun | None


def status_to_json(status: Status) -> dict[str, Any]:
    """``drkit.status/1``: stable; keys are only ever added."""
    return {
        "schema": SCHEMA,
        "taken_at": status.taken_at,
        "project": status.project,
        "environment": status.environment,
        "primary": status.primary,
        "standby": status.standby,
        "regions": {name: health_to_json(health) for name, health in status.regions.items()},
        "mirror": _lag_to_json(status),
        "exposure": {"loss": _loss_to_json(status), "replay": _replay_to_json(status.replay)},
        "offsets": {"error": status.offsets.reason} if isinstance(status.offsets, NotRead) else status.offsets,
        "redirects": {name: _redirect_to_json(one) for name, one in status.redirects.items()},
        "last_run": _run_to_json(status.last_run),
    }


def _lag_to_json(status: Status) -> dict[str, Any] | None:
    direction = {"from": status.primary, "to": status.standby}
    match status.lag:
        case None:
            return None
        case NotRead(reason):
            return {**direction, "error": reason}
        case lag:
            partitions = {
                one.partition: {"records": amount_to_json(one.records), "seconds": one.seconds}
                for one in lag.partitions
            }
            records = amount_to_json(lag.records)
            return {
                **direction,
                "lag_records": records,
                "lag_seconds": lag.seconds,
                "partitions": to_tree(partitions),
            }


def _loss_to_json(status: Status) -> dict[str, Any]:
    lag = status.lag
    # What is not mirrored yet is what would be lost.
    if isinstance(lag, MirrorLag):
        return {"records": amount_to_json(lag.records), "seconds": lag.seconds, **_seen(lag, status.taken_at)}
    reason = "no mirror is configured" if lag is None else lag.reason
    return {"records": {"records": None, "certainty": "unknown", "at_least": 0, "reason": reason}, "seconds": None}


def _seen(lag: MirrorLag, taken_at: str) -> Mapping[str, Any]:
    """Of a source that does not answer: who saw it last, and how long ago."""
    if lag.horizon is None:
        return {}
    found = loss_to_json(lag, int(datetime.fromisoformat(taken_at).timestamp() * 1000))
    return {name: found[name] for name in ("seen_by", "seen_seconds_ago", "silent_seconds_ago")}


def _replay_to_json(replay: ReplayExposure | NotRead | None) -> dict[str, Any]:
    if isinstance(replay, ReplayExposure):
        groups = {group: amount_to_json(amount) for group, amount in replay.groups.items()}
        return {"records": amount_to_json(replay.records), "groups": groups}
    reason = "no mirror is configured" if replay is None else replay.reason
    return {"records": {"records": None, "certainty": "unknown", "at_least": 0, "reason": reason}, "groups": {}}


def _redirect_to_json(redirect: RedirectStatus | NotRead) -> dict[str, Any]:
    if isinstance(redirect, NotRead):
        return {"error": redirect.reason}
    return {
        "values": list(redirect.values),
        "points_at": redirect.points_at,
        "answers": {server: list(answer) for server, answer in redirect.answers.items()},
    }


def _run_to_json(run: LastRun | None) -> dict[str, str] | None:
    if run is None:
        return None
    return {
        "run_id": run.run_id,
        "procedure": run.procedure,
        "mode": run.mode,
        "outcome": run.outcome,
        "at": run.at,
    }


def status_text(status: Status) -> str:
    """The same for people: a few aligned lines."""
    rows = [
        ("service", f"{status.project} {status.environment}", f"as of {status.taken_at}"),
        *(_region_row(health) for health in status.regions.values()),
        ("mirror", f"{status.primary} -> {status.standby}", _lag_text(status.lag)),
        ("exposure", "loss now", _loss_text(status)),
        ("exposure", "replay now", _replay_text(status.replay)),
        ("offsets", "moved now", _offsets_text(status.offsets)),
        *(("redirect", name, _redirect_text(one)) for name, one in status.redirects.items()),
        ("last run", *_run_cells(status.last_run)),
    ]
    lines = _aligned([tuple(printable(cell) for cell in row) for row in rows])
    reasons = [
        printable(f"  {health.region}: {finding.detail}")
        for health in status.regions.values()
        for finding in health.verdict.findings
    ]
    return "\n".join([*lines, *reasons])


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() for row in rows]


def _region_row(health: RegionHealth) -> tuple[str, str, str]:
    cluster = health.cluster
    brokers = f", {cluster.brokers} {'broker' if cluster.brokers == 1 else 'brokers'}" if cluster else ""
    fenced = {True: ", fenced", False: ", not fenced", None: ""}[health.is_fenced]
    return health.role.value, health.region, f"{verdict_word(health.verdict)}{brokers}{fenced}"


def _lag_text(lag: MirrorLag | NotRead | None) -> str:
    match lag:
        case None:
            return "not configured"
        case NotRead(reason):
            return f"unknown: {reason}"
        case MirrorLag():
            return f"{amount_text(lag.records)} records behind{_seconds(lag.seconds)}"


def _loss_text(status: Status) -> str:
    lag = status.lag
    if not isinstance(lag, MirrorLag):
        return "unknown"
    seen = _seen(lag, status.taken_at).get("seen_seconds_ago")
    when = "" if seen is None else f"; the source was seen {seen:.0f} s ago"
    return f"{amount_text(lag.records)} records{_seconds(lag.seconds)}{when}"


def _replay_text(replay: ReplayExposure | NotRead | None) -> str:
    if not isinstance(replay, ReplayExposure):
        return "unknown" if replay is None else f"unknown: {replay.reason}"
    return f"{amount_text(replay.records)} records in {len(replay.groups)} groups"


def _offsets_text(offsets: Mapping[str, Any] | NotRead | None) -> str:
    if not isinstance(offsets, Mapping):
        return "unknown" if offsets is None else f"unknown: {offsets.reason}"
    again = {name: offsets[name]["records"] for name in ("replay", "mm2_replay")}
    ours, mm2 = ("unknown" if records is None else str(records) for records in again.values())
    placed = f"{offsets['exact']} of {offsets['partitions']} positions exact"
    return f"{placed}; read again: {ours} records, by MirrorMaker 2 alone {mm2}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f", {seconds:.1f} s"


def _redirect_text(redirect: RedirectStatus | NotRead) -> str:
    if isinstance(redirect, NotRead):
        return f"unknown: {redirect.reason}"
    values = ", ".join(redirect.values) or "no record"
    servers = f"{redirect.agreeing} of {len(redirect.answers)} name servers agree"
    return f"{values} ({redirect.points_at or 'no region'}); {servers}"


def _run_cells(run: LastRun | None) -> tuple[str, str]:
    return ("none", "") if run is None else (run.run_id, f"{run.procedure}, {run.mode}: {run.outcome}, {run.at}")
