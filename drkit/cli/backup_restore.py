"""``drkit backup restore``: plan, show, ask, run, report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from drkit.cli.options import Records, output_option, require_terminal
from drkit.config.chosen import Chosen
from drkit.errors import ExitCode

if TYPE_CHECKING:
    from drkit.domain.restore_request import RestoreRequest
    from drkit.engine.listener import RunListener
    from drkit.procedures.answers import RunReport
    from drkit.procedures.going_over import Choice as GoingOver


@click.command()
@click.argument("backup_id", metavar="ID")
@click.option("--region", metavar="REGION", help="Only backups of this region; needed with latest.")
@click.option("--to", "target", metavar="REGION", help="Region to restore to [the one that was backed up].")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["topics", "schemas", "groups", "acls"]),
    help="Restore this part; can be given several times.",
)
@click.option("--topic", "topics", multiple=True, metavar="NAME", help="Restore this topic, or positions on it.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="Restore this group's positions.")
@click.option("--replace", is_flag=True, help="Overwrite what is there and differs. Nothing is ever deleted.")
@click.option(
    "--accept-positions",
    is_flag=True,
    help="Commit positions as they stand in the backup, although the logs may be others: right only where the records "
    "are there under the same offsets.",
)
@click.option("--accept-other-cluster", is_flag=True, help="The region was rebuilt: its cluster is another one now.")
@click.option("--skip-active", is_flag=True, help="Leave groups that have members as they are.")
@click.option(
    "--replication-factor", type=click.IntRange(min=1), metavar="N", help="At most N replicas of each topic made."
)
@click.option(
    "--accept-replay",
    type=Records(),
    metavar="N|unknown",
    help="To the other region: go on although groups would read up to N records again.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
@click.pass_obj
def restore(chosen: Chosen, /, **options: Any) -> int:
    """Restore a backup, or a part of it.

    \b
    ID is a backup's id, the beginning of one, or, with --region, latest.
    What is there stays as it is; what is missing is made. With --replace, what differs is set back.
    The run is journaled: drkit resume goes on with it, drkit abort takes ACLs and positions back.

    \b
      drkit backup restore latest --region ap-east-2 --dry-run
      drkit backup restore 20261128t0930 --group orders.billing --replace
      drkit backup restore 20261128t0930 --to ap-northeast-1 --only groups
    """
    from drkit import bootstrap
    from drkit.cli.moves import carry_out, goes_ahead, show_report
    from drkit.cli.restore_text import restore_plan_text

    as_json, dry_run, yes = options["output"] == "json", options["dry_run"], options["yes"]
    if not dry_run and not yes:
        require_terminal("add --yes, or --dry-run to see the plan")
    with bootstrap.open_service(chosen) as service:
        plan = service.restoring.plan(_request(options))
        if not goes_ahead(plan, restore_plan_text(plan.document), dry_run=dry_run, yes=yes, as_json=as_json):
            return int(ExitCode.REFUSED if plan.refusals else ExitCode.DONE)

        def run(view: RunListener, _: GoingOver | None) -> RunReport:
            return service.restoring.run(plan, view)

        report = carry_out(service, plan.budgets, run, "stop", yes=yes, as_json=as_json)
    return show_report(report, as_json=as_json)


def _request(options: dict[str, Any]) -> RestoreRequest:
    from drkit.domain.restoration import Choice
    from drkit.domain.restore_request import RestoreRequest, chosen_parts

    topics, groups = frozenset(options["topics"]), frozenset(options["groups"])
    return RestoreRequest(
        backup_id=options["backup_id"],
        target=options["target"],
        region=options["region"],
        choice=Choice(
            parts=chosen_parts(options["only"], topics, groups),
            topics=topics,
            groups=groups,
            replace=options["replace"],
            accept_positions=options["accept_positions"],
            skip_active=options["skip_active"],
            replication_factor=options["replication_factor"],
        ),
        accept_other_cluster=options["accept_other_cluster"],
        accept_replay=options["accept_replay"],
    )
