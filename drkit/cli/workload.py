"""``drkit sandbox workload``: a service at work, with a ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drkit.cli.options import output_option
from drkit.domain.naming import printable
from drkit.errors import VerificationError

if TYPE_CHECKING:
    from drkit.sandbox.workload.control import Workload

_dir_option = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=".drkit/sandbox",
    show_default=True,
    help="The sandbox's directory.",
)


@click.group()
def workload() -> None:
    """A service at work, with a ledger.

    Producers (idempotent, some transactional) and consumer groups (read_committed, half of them lagging) that find the
    brokers through the sandbox's DNS and start a new client when theirs has failed. The ledger has every acknowledged
    and every processed record, so that lost, replayed and reordered ones are counted.
    """


@workload.command()
@_dir_option
@click.option("--rate", type=click.IntRange(1, 20_000), default=2000, show_default=True, help="Records per second.")
@click.option("--groups", type=click.IntRange(1, 99), default=20, show_default=True, help="Every second one lags.")
def start(directory: Path, rate: int, groups: int) -> None:
    """Start it in the background, with a new ledger."""
    _open(directory).start(rate=rate, groups=groups, progress=_say)


@workload.command()
@_dir_option
@click.option(
    "--drain-seconds",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    help="How long groups may take to read to the end; 0: they end where they are.",
)
def stop(directory: Path, drain_seconds: float) -> None:
    """End the writing, let every group read to the end, end the groups.

    Exit code 6 if a group has not read to the end in that time, or a process had died.
    """
    stopped = _open(directory).stop(drain_seconds=drain_seconds, progress=_say)
    complaints = [f"{name}: {how}" for name, how in stopped.dead.items()]
    if stopped.not_drained and drain_seconds > 0:
        complaints.append(f"groups that did not read to the end: {', '.join(stopped.not_drained)}")
    if complaints:
        raise VerificationError(
            "\n".join(["the workload has stopped, but", *complaints]), hint="drkit sandbox workload report shows more"
        )


@workload.command()
@_dir_option
@click.option(
    "--lost-file", type=click.Path(dir_okay=False, path_type=Path), help="Also write every lost record, as JSON lines."
)
@output_option
def report(directory: Path, lost_file: Path | None, output: str) -> None:
    """Show what the ledger proves, also while the workload runs."""
    from drkit.domain.ledger_report import lost_document

    found = _open(directory).judge()
    document = found.document()
    if lost_file is not None:
        lines = [json.dumps(lost_document(one, groups)) for one, groups in found.lost()]
        lost_file.write_text("".join(f"{line}\n" for line in lines))
    click.echo(json.dumps(document, indent=2) if output == "json" else ledger_text(document))


def ledger_text(document: Mapping[str, Any]) -> str:
    """The ledger's totals, and what went wrong."""
    names = ("lost", "replayed", "duplicates", "out_of_order")
    rows = [
        ("acknowledged", _per_side(document, "acknowledged")),
        ("processed", _per_side(document, "processed")),
        *((name.replace("_", " "), str(document[name])) for name in names),
        ("not read yet", f"{document['pending']}{'' if document['drained'] else ' (not every group is at the end)'}"),
        ("write outage", _outage(document)),
        ("rate", f"{document['rate']['achieved']:g} of {document['rate']['requested']:g} records/s"),
    ]
    lines = [f"{name:<14} {value}" for name, value in rows]
    lines += [f"{'torn':<14} {document['torn']} entries of killed processes"] if document["torn"] else []
    lines += [f"{'DEAD':<14} {printable(line)}" for line in dead_lines(document)]
    # Duplicates are no offence: each is a record whose commit was refused.
    for kind in ("lost", "replayed", "out_of_order"):
        lines += [f"{kind.replace('_', ' ')}: {_offender(one)}" for one in document["offenders"][kind][:3]]
    return "\n".join(lines)


def dead_lines(document: Mapping[str, Any]) -> list[str]:
    """The workload's processes that should live or should have ended by themselves, and what became of them."""
    return [f"{name} {document['processes'][name]}" for name in document["dead"]]


def _per_side(document: Mapping[str, Any], what: str) -> str:
    sides = ", ".join(f"{records} in {region}" for region, records in document[f"{what}_at"].items())
    return f"{document[what]} ({sides})" if sides else str(document[what])


def _outage(document: Mapping[str, Any]) -> str:
    text = f"{document['write_outage_seconds']:.3f} s"
    return text if document["write_outage_ended"] is not False else f"{text}, not ended"


def _offender(one: Mapping[str, Any]) -> str:
    groups = one["groups"] if "groups" in one else [one["group"]]
    place = f"{one['topic']}-{one['partition']} at {one['offset']} in {one['region']}"
    return printable(f"{one['id']} {place}, {', '.join(groups[:3])}{' ...' if len(groups) > 3 else ''}")


def _open(directory: Path) -> Workload:
    from drkit.sandbox import Sandbox
    from drkit.sandbox.workload.control import Workload

    return Workload(Sandbox(directory))


def _say(line: str) -> None:
    click.echo(line, err=True)
