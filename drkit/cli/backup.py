"""``drkit backup``: what is kept of both regions, outside both of them."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from typing import Any, Final

import click

from drkit.cli.options import output_option
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode

_PARTS: Final = ("topics", "acls", "users", "groups", "logs", "connectors", "redirects", "schemas")

_ELSEWHERE: Final[dict[str, tuple[str, str]]] = {
    "restore": ("drkit.cli.backup_restore:restore", "Restore a backup, or a part of it."),
    "schedule": ("drkit.cli.backup_schedule:schedule", "Print units that make backups at intervals."),
    "serve": ("drkit.cli.backup_schedule:serve", "Make backups at intervals, until SIGTERM or Ctrl-C."),
}
"""Commands in files of their own: ``module:attribute`` and summary. A module is imported when its command is used."""


class _Backup(click.Group):
    """Its own commands, and those of other files."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, attribute = _ELSEWHERE[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        summaries = {name: command.get_short_help_str(90) for name, command in self.commands.items()}
        summaries |= {name: summary for name, (_, summary) in _ELSEWHERE.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(summaries.items()))


class _Parts(click.ParamType[tuple[str, ...]]):
    """Names of parts with commas between, or ``all``."""

    name = "PARTS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names."""
        names = tuple(value) if isinstance(value, tuple) else tuple(name.strip() for name in str(value).split(","))
        for name in names:
            if name not in ("all", *_PARTS):
                self.fail(f"{name!r} is not one of all, {', '.join(_PARTS)}", param, ctx)
        return names


class _Share(click.ParamType[float]):
    """A share, as in ``5%``."""

    name = "N%"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """From 0.0 to 1.0."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3})?)%", str(value))
        if match is None or not 0 < float(match[1]) <= 100:
            self.fail(f"{value!r} is not a share like 5%", param, ctx)
        return float(match[1]) / 100


_what_option = click.option(
    "--what", "what", type=_Parts(), metavar="PARTS", multiple=True, help=f"Which parts: all, {', '.join(_PARTS)}."
)
_region_option = click.option("--region", metavar="REGION", help="Only backups of this region.")


@click.group(cls=_Backup)
def backup() -> None:
    """Backups of topics, ACLs, users, groups and more, outside both regions.

    \b
      drkit backup run --all                 back up both regions
      drkit backup list                      what there is, newest first
      drkit backup verify --read-all         whether all of it can be read back
    """


@backup.command("run")
@_what_option
@click.option("--region", metavar="REGION", help="The region to back up [the primary].")
@click.option("--all", "both", is_flag=True, help="Back up both regions.")
@click.option("--anew", is_flag=True, help="Store also what did not change: after an object was damaged.")
@output_option
@click.pass_obj
def run_backup(
    chosen: Chosen, what: tuple[tuple[str, ...], ...], region: str | None, both: bool, anew: bool, output: str
) -> int:
    """Back up a region, or both.

    What did not change since the newest backup is not stored again. Exit code 6 when the backup covers less than was
    asked for, or is not in every bucket; it says what is missing, and is a backup all the same.
    """
    from drkit import bootstrap
    from drkit.cli.backup_text import run_text

    if both and region is not None:
        raise click.UsageError("--region and --all exclude each other")
    with bootstrap.open_service(chosen) as service:
        regions = list(service.settings.regions) if both else None if region is None else [region]
        found = service.backups.run(_asked(what), regions, lambda line: click.echo(line, err=True), anew=anew)
    document = found.document()
    click.echo(json.dumps(document) if output == "json" else run_text(document))
    return int(ExitCode.DONE if found.is_complete else ExitCode.VERIFICATION)


@backup.command("list")
@_region_option
@output_option
@click.pass_obj
def list_backups(chosen: Chosen, region: str | None, output: str) -> None:
    """List backups, newest first."""
    from drkit import bootstrap
    from drkit.cli.backup_text import list_text

    with bootstrap.open_service(chosen) as service:
        document = service.backups.list(region)
    click.echo(json.dumps(document) if output == "json" else list_text(document))


@backup.command("show")
@click.argument("reference", metavar="ID")
@_what_option
@_region_option
@output_option
@click.pass_obj
def show_backup(
    chosen: Chosen, reference: str, what: tuple[tuple[str, ...], ...], region: str | None, output: str
) -> None:
    """Show a backup: its parts, their objects, what is missing, and which buckets have it.

    ID may be the beginning of one that no other backup has, or `latest`. With --what, what is in these parts as well.
    """
    from drkit import bootstrap
    from drkit.cli.backup_text import show_text

    with bootstrap.open_service(chosen) as service:
        document = service.backups.show(reference, region, _asked(what) if what else ())
    click.echo(json.dumps(document) if output == "json" else show_text(document))


@backup.command("verify")
@click.argument("references", metavar="[ID]...", nargs=-1)
@_region_option
@click.option("--read-all", is_flag=True, help="Read every object, in every bucket.")
@click.option("--sample", "share", type=_Share(), help="Read a part of the objects, chosen at random: 5%.")
@output_option
@click.pass_obj
def verify_backups(
    chosen: Chosen, references: tuple[str, ...], region: str | None, read_all: bool, share: float | None, output: str
) -> int:
    """Verify backups, all of them or those that are named.

    Every manifest is read, and every object looked for, in every bucket; objects are read as asked for. Exit code 6
    when anything is missing or damaged, or a bucket does not answer.
    """
    from drkit import bootstrap
    from drkit.cli.backup_text import verify_text

    if read_all and share is not None:
        raise click.UsageError("--read-all and --sample exclude each other")
    with bootstrap.open_service(chosen) as service:
        document = service.backups.verify(
            references,
            region,
            share=1.0 if read_all else share or 0.0,
            progress=lambda line: click.echo(line, err=True),
        )
    click.echo(json.dumps(document) if output == "json" else verify_text(document))
    return int(ExitCode.DONE if document["ok"] else ExitCode.VERIFICATION)


@backup.command("diff")
@click.argument("first", metavar="ID")
@click.argument("second", metavar="ID|REGION")
@_what_option
@_region_option
@output_option
@click.pass_obj
def diff_backups(
    chosen: Chosen, first: str, second: str, what: tuple[tuple[str, ...], ...], region: str | None, output: str
) -> int:
    """Compare a backup with another one, or with a live region.

    Exit code 6 when they differ. Without --what, all parts but the ends of logs, which always move.
    """
    from drkit import bootstrap
    from drkit.cli.backup_text import diff_text

    with bootstrap.open_service(chosen) as service:
        found = service.backups.diff(first, second, region, _asked(what))
    document = found.document()
    click.echo(json.dumps(document) if output == "json" else diff_text(document))
    return int(ExitCode.DONE if found.is_empty else ExitCode.VERIFICATION)


def _keep_option(period: str, unit: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        f"--keep-{period}", type=click.IntRange(min=0), default=0, metavar="N", help=f"Keep the newest of N {unit}."
    )


@backup.command("prune")
@click.option("--keep-last", type=click.IntRange(min=0), default=0, metavar="N", help="Keep the newest N backups.")
@_keep_option("hourly", "hours")
@_keep_option("daily", "days")
@_keep_option("weekly", "weeks")
@_keep_option("monthly", "months")
@_region_option
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@output_option
@click.pass_obj
def prune_backups(chosen: Chosen, /, region: str | None, dry_run: bool, output: str, **counts: int) -> int:
    """Remove backups that no --keep option keeps, and objects that no backup needs.

    Counts go by region and by part; hours and so on without a backup do not count. Never removed: the newest of any
    part, and the newest in every bucket; what was made or superseded within the hour; what an unfinished run uses; and
    the only one that is whole. Exit code 6 when something could not be removed.
    """
    from drkit import bootstrap
    from drkit.cli.backup_text import prune_text
    from drkit.domain.retention import Keep

    keep = Keep(**{name.removeprefix("keep_"): count for name, count in counts.items()})
    with bootstrap.open_service(chosen) as service:
        document = service.backups.prune(keep, region, dry_run=dry_run)
    click.echo(json.dumps(document) if output == "json" else prune_text(document))
    return int(ExitCode.DONE if document["complete"] else ExitCode.VERIFICATION)


def _asked(what: tuple[tuple[str, ...], ...]) -> list[Any] | None:
    """The parts; None for all of them."""
    from drkit.domain.inventory import Part

    names = [name for one in what for name in one]
    return None if not names or "all" in names else [Part(name) for name in dict.fromkeys(names)]
