"""The command line: one file per command, no logic. Results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
from collections.abc import Sequence
from typing import Final

import click

from drkit import __version__
from drkit.config.chosen import Chosen
from drkit.errors import EXIT_CODE_MEANINGS, DrkitError, ExitCode

_COMMANDS: Final = {
    "abort": "drkit.cli.runs:abort",
    "backup": "drkit.cli.backup:backup",
    "check": "drkit.cli.check:check",
    "config": "drkit.cli.config:config",
    "demo": "drkit.cli.demo:demo",
    "failover": "drkit.cli.failover:failover",
    "fence": "drkit.cli.fence:fence",
    "init": "drkit.cli.config:init",
    "internals": "drkit.cli.internals:internals",
    "mm2": "drkit.cli.mm2:mm2",
    "offsets": "drkit.cli.offsets:offsets",
    "parity": "drkit.cli.parity:parity",
    "resume": "drkit.cli.runs:resume",
    "runs": "drkit.cli.runs:runs",
    "sandbox": "drkit.cli.sandbox:sandbox",
    "status": "drkit.cli.status:status",
    "switchover": "drkit.cli.failover:switchover",
    "topics": "drkit.cli.topics:topics",
}
"""Command to ``module:attribute``; a module is imported when its command is used. One without a summary is hidden."""

_SUMMARIES: Final = {
    "abort": "Undo an unfinished run.",
    "backup": "Backups of topics, ACLs, users, groups and more, outside both regions.",
    "check": "Say whether a failover would be possible now.",
    "config": "Check, show and describe drkit.yaml.",
    "demo": "A failover under load between two real Kafka regions on this machine.",
    "failover": "Move the service to another region.",
    "fence": "Show, put or lift a region's write fence.",
    "init": "Write a commented drkit.yaml.",
    "mm2": "Render, apply and inspect the MirrorMaker 2 connectors.",
    "offsets": "Where consumer groups continue on the other side, and how sure that is.",
    "parity": "What the mirror leaves different between the regions, and what mends it.",
    "resume": "Go on with an unfinished run.",
    "runs": "List and show runs.",
    "sandbox": "Two real Kafka regions on this machine.",
    "status": "Regions, roles, mirror lag, exposure and the last run.",
    "switchover": "Move the service to another region, drained, nothing lost.",
    "topics": "List, check and create topics by the naming convention.",
}


class _LazyGroup(click.Group):
    """Imports a command's module when it is used, so that ``drkit --help`` needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_SUMMARIES.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in EXIT_CODE_MEANINGS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--config", "config_path", metavar="FILE", help="drkit.yaml to use [DRKIT_CONFIG, else ./drkit.yaml].")
@click.option(
    "--state",
    metavar="local:DIR",
    envvar="DRKIT_STATE",
    help="Break-glass: keep the state in a directory while the state bucket is dark [DRKIT_STATE].",
)
@click.option("--primary", metavar="REGION", help="With an empty --state local:DIR: which region is primary now.")
@click.version_option(__version__, prog_name="drkit")
@click.pass_context
def cli(ctx: click.Context, config_path: str | None, state: str | None, primary: str | None) -> None:
    """Disaster recovery for Apache Kafka and Amazon MSK.

    \b
      drkit check                            would a failover be possible now?
      drkit failover --to ap-northeast-1     move the service
      drkit resume                           go on with an interrupted run
    """
    chosen = Chosen(config_path, state, primary)
    if directory := chosen.state_directory:
        click.echo(
            f"warning: break-glass: the state is kept in local:{directory}, not in the state bucket; every further "
            "command needs the same --state (or DRKIT_STATE)",
            err=True,
        )
    ctx.obj = chosen


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. Errors are printed, never raised (but with DRKIT_DEBUG, bugs are)."""
    try:
        outcome = cli.main(args=list(arguments), prog_name="drkit", standalone_mode=False)
    except click.exceptions.Exit as leave:
        outcome = leave.exit_code
    except click.ClickException as error:
        error.show()
        outcome = ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        outcome = ExitCode.INTERRUPTED
    except DrkitError as error:
        outcome = _show(error, as_json=_wants_json(arguments))
    except BrokenPipeError:
        # The reader of our output went away (a pager, head): nothing is left to say, and nothing to flush it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        outcome = ExitCode.DONE
    except Exception as error:
        if os.environ.get("DRKIT_DEBUG"):
            raise
        bug = DrkitError(
            f"a bug in drkit: {type(error).__name__}: {error}",
            hint="run again with DRKIT_DEBUG=1 for the traceback, and report it",
        )
        outcome = _show(bug, as_json=_wants_json(arguments))
    return int(outcome) if isinstance(outcome, int) else int(ExitCode.DONE)


def _wants_json(arguments: Sequence[str]) -> bool:
    pairs = set(itertools.pairwise(arguments))
    return "--output=json" in arguments or not pairs.isdisjoint({("--output", "json"), ("-o", "json")})


def _show(error: DrkitError, *, as_json: bool) -> ExitCode:
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"  next: {error.hint}", err=True)
    if as_json:
        document = {
            "schema": "drkit.error/1",
            "error": error.message,
            "hint": error.hint,
            "exit_code": int(error.exit_code),
        }
        click.echo(json.dumps(document))
    return error.exit_code
