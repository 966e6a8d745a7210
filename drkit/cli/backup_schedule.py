"""``drkit backup serve`` and ``drkit backup schedule``: backups that nobody has to think of."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from drkit.cli.options import output_option, write_files
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode

_SHOWN_EVERY_SECONDS = 60.0
_EVERY_HELP = "Comma-separated DURATION:WHAT[+WHAT]; WHAT is all or parts of a backup, DURATION has s, m, h or d."


@click.command()
@click.option("--every", metavar="JOBS", default="10s:groups,1h:all", show_default=True, help=_EVERY_HELP)
@click.option("--jitter", metavar="SHARE", default="10%", show_default=True, help="Share of a period; at most 5 min.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:9464",
    show_default=True,
    help="Where /healthz, /livez and /metrics are; port 0: any.",
)
@click.option(
    "--grace", metavar="DURATION", default="60s", show_default=True, help="Beyond two periods, until /healthz says 503."
)
@output_option
@click.pass_obj
def serve(chosen: Chosen, every: str, jitter: str, listen: str, grace: str, output: str) -> None:
    """Make backups at intervals, until SIGTERM or Ctrl-C.

    groups alone samples the groups' positions on the primary, as `drkit offsets watch` does; everything else is a
    backup of both regions. A job that fails is tried again at its next moment, and stops no other; alerts go to
    alerts.sns_topic_arn. May run on more than one machine.
    """
    from drkit import bootstrap
    from drkit.domain.schedules import parse_duration, parse_jitter, parse_jobs

    left = bootstrap.serve(
        chosen,
        parse_jobs(every),
        listen=listen,
        jitter=parse_jitter(jitter),
        grace_seconds=parse_duration(grace),
        show=_show(output),
        note=lambda text: click.echo(text, err=True),
    )
    if left:
        click.echo(f"ended while {', '.join(left)} was still at work", err=True)
        sys.stdout.flush()
        # Python would wait for what such a job asked for, one call after the other.
        os._exit(ExitCode.DONE)


@click.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice(["cron", "systemd", "kubernetes", "eventbridge", "iam-policy"]),
    required=True,
    help="What to print: units of a scheduler, or the policy of the role that they run under.",
)
@click.option("--every", metavar="JOBS", help=f"{_EVERY_HELP} [10s:groups,1h:all; cron and eventbridge: 1m].")
@click.option(
    "--config-path",
    metavar="PATH",
    default="/etc/drkit/drkit.yaml",
    show_default=True,
    help="Where drkit.yaml will lie when the unit runs.",
)
@click.option(
    "--command",
    metavar="PATH",
    default="/usr/local/bin/drkit",
    show_default=True,
    help="Where drkit will lie then.",
)
@click.option(
    "--role",
    type=click.Choice(["backup", "prune"]),
    default="backup",
    show_default=True,
    help="With iam-policy: which role. The one that makes backups cannot remove any.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write files here, instead of printing.")
@output_option
@click.pass_obj
def schedule(
    chosen: Chosen,
    kind: Any,
    every: str | None,
    config_path: str,
    command: str,
    role: Any,
    out: Path | None,
    output: str,
) -> None:
    """Print units that make backups at intervals.

    With the identity, the least privilege and the hardening that they need; what says REPLACE-ME is yours to fill in.
    Periods below a minute make one service, longer ones a unit each. Asks nothing and installs nothing.
    """
    from drkit.config.load import find_config, load
    from drkit.config.schedule_units import DEFAULT_EVERY, UnitRequest, render_units
    from drkit.domain.schedules import parse_jobs

    path = find_config(chosen.config_path)
    settings = load(path)
    jobs = parse_jobs(DEFAULT_EVERY[kind] if every is None else every)
    files = render_units(settings, UnitRequest(kind, jobs, config_path, command, path.read_text("utf-8-sig"), role))
    if out is not None:
        write_files(out, files)
    elif output == "json":
        click.echo(json.dumps({"schema": "drkit.backup-schedule/1", "format": kind, "files": dict(files)}))
    elif kind == "eventbridge":
        click.echo(json.dumps({name: json.loads(text) for name, text in files.items()}, indent=2))
    else:
        click.echo("\n".join(files.values()), nl=False)


def _show(output: str) -> Callable[[Mapping[str, Any]], None]:
    """As JSON every run is a line on stdout; for people one a minute and job, and when it goes wrong or right again."""
    lock = threading.Lock()
    shown: dict[str, tuple[float, str]] = {}

    def show(run: Mapping[str, Any]) -> None:
        with lock:
            if output == "json":
                click.echo(json.dumps(run))
                return
            from drkit.cli.schedule_text import run_text

            at, problem = shown.get(run["job"], (-_SHOWN_EVERY_SECONDS, ""))
            now = time.monotonic()
            if run["problem"] == problem and now - at < _SHOWN_EVERY_SECONDS:
                return
            shown[run["job"]] = now, run["problem"]
            click.echo(run_text(run), err=True)

    return show
