"""``drkit parity``: what the mirror leaves different between the regions, and the changes that mend it."""

from __future__ import annotations

import json

import click

from drkit.cli.options import output_option, require_terminal
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode, RefusedError


@click.command()
@click.option("--from", "source", metavar="REGION", help="The region that has what counts [the primary].")
@click.option("--to", "target", metavar="REGION", help="The region that is to have it, too [the other one].")
@click.option("--apply", "is_applied", is_flag=True, help="Make the changes that are shown, after asking.")
@click.option("--yes", is_flag=True, help="With --apply: do not ask.")
@output_option
@click.pass_obj
def parity(chosen: Chosen, source: str | None, target: str | None, is_applied: bool, yes: bool, output: str) -> int:
    """What the mirror leaves different between the regions, and what mends it.

    \b
    MirrorMaker 2 carries over no WRITE, GROUP, TRANSACTIONAL_ID or PREFIXED ACLs, turns ALL into READ, and leaves
    min.insync.replicas, replicas, users and schema ids as they are. A failover puts ACLs and configs right by itself;
    what is right before need not be done then.

    \b
      drkit parity                                                  compare, write nothing
      drkit parity --from ap-east-2 --to ap-northeast-1 --apply     make the changes that are shown

    Nothing is ever removed or lowered, fences stay as they are, and the primary is never changed. Client quotas cannot
    be read, and are not checked. Exit code 6 while there are problems; notes are none.
    """
    from drkit import bootstrap
    from drkit.cli.parity_text import applied_text, parity_text

    as_json = output == "json"
    if is_applied and not yes:
        require_terminal("add --yes, or leave --apply out to look")
    with bootstrap.open_service(chosen) as service:
        compared = service.parity.compare(source, target)
        document = compared.document
        if not is_applied:
            click.echo(json.dumps(document) if as_json else parity_text(document))
            return _exit_code(document["problems"])
        click.echo(parity_text(document), err=as_json)
        compared.require_applicable()
        changes = len(compared.parity.changes)
        if changes and not yes and not click.confirm(f"Make these {changes} changes in {document['to']}?", err=True):
            raise RefusedError("not confirmed; nothing was changed")
        document = service.parity.apply(compared, lambda text: click.echo(text, err=True))
    click.echo(json.dumps(document) if as_json else applied_text(document))
    return _exit_code(document["problems"] + len(document["applied"]["failed"]))


def _exit_code(problems: int) -> int:
    return int(ExitCode.VERIFICATION if problems else ExitCode.DONE)
