"""``drkit demo``: the main job on two real Kafka regions, under load, judged by the ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from drkit.cli.demo_promises import disaster_promises, planned_promises
from drkit.cli.options import output_option
from drkit.errors import ExitCode, StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.procedures.service import Service
    from drkit.sandbox import Sandbox
    from drkit.sandbox.workload.control import Workload

_WARM_SECONDS: Final = 12.0
_AFTER_SECONDS: Final = 4.0
_WATCH_SECONDS: Final = 1.0


@click.command()
@click.option("--disaster", is_flag=True, help="Kill the source's broker (-9) under load, then fail over.")
@click.option("--rate", type=click.IntRange(1, 20000), default=2000, show_default=True, help="Records per second.")
@click.option("--groups", type=click.IntRange(2, 100), default=20, show_default=True, help="Half of them lag.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=".drkit/demo",
    show_default=True,
    help="Where its sandbox is kept.",
)
@click.option("--subnet", metavar="127.N", default=None, help="Loopback addresses to use [127.31].")
@click.option("--keep", is_flag=True, help="Leave the sandbox running afterwards.")
@output_option
def demo(disaster: bool, rate: int, groups: int, directory: Path, subnet: str | None, keep: bool, output: str) -> int:
    """A failover under load between two real Kafka regions on this machine.

    \b
    Starts two regions with MirrorMaker 2 and a service at work, moves the service, and lets the ledger decide what was
    lost, read twice or reordered. Exit code 6 if a promise did not hold.
    """
    from drkit.cli.sandbox import open_sandbox
    from drkit.sandbox.watch_process import start_watch
    from drkit.sandbox.workload.control import Workload

    box = open_sandbox(directory, subnet)
    try:
        with _said("two Kafka regions, MirrorMaker 2, AWS and DNS"):
            _start(box)
        workload = Workload(box)
        with _said(f"a service at work: {rate} records/s, {groups} groups, half of them lagging"):
            workload.start(rate=rate, groups=groups)
            if disaster:
                # As a service on the surviving side would: what it sees is what the loss is known from.
                start_watch(box, every_seconds=_WATCH_SECONDS)
            _warm(workload, rate)
        document = _fail_over(box, workload, disaster=disaster)
    finally:
        if not keep:
            with _said("everything is taken down"):
                box.down()
    if output == "json":
        click.echo(json.dumps(document))
    else:
        _show(document)
    return int(ExitCode.DONE if all(document["promises"].values()) else ExitCode.VERIFICATION)


def _start(box: Sandbox) -> None:
    from drkit.cli.sandbox import after_up

    box.up()
    after_up(box.config)


def _warm(workload: Workload, rate: int) -> None:
    deadline = time.monotonic() + 60
    while workload.acknowledged_records() < rate * _WARM_SECONDS * 0.8:
        if time.monotonic() > deadline:
            raise StoppedError("the workload does not reach its rate on this machine", hint="drkit demo --rate 500")
        time.sleep(1)


def _fail_over(box: Sandbox, workload: Workload, *, disaster: bool) -> dict[str, Any]:
    from drkit import bootstrap
    from drkit.cli.live import listener
    from drkit.cli.render import plan_text
    from drkit.procedures.plan import Request
    from drkit.sandbox import Fault

    with bootstrap.open_service(str(box.config)) as service:
        source = service.settings.primary
        target = service.settings.other(source)
        if disaster:
            with _said("MirrorMaker 2 emits checkpoints of the groups"):
                _await_checkpoints(service, workload)
            with _said(f"kill -9 of the broker in {source}"):
                box.fault(Fault.KILL, source, "broker")
        accepted = Request("failover", target, accept_loss="unknown", accept_replay="unknown")
        plan = service.plan(accepted if disaster else Request("failover", target))
        click.echo(plan_text(plan), err=True)
        plan.require_allowed()
        with listener(plan.budgets) as view:
            run = service.run(plan, view, undo_on_failure=True).document
        known = service.positions_without(source) if disaster else {}
    time.sleep(_AFTER_SECONDS)
    with _said("the service drains, and the ledger is read"):
        workload.stop(drain_seconds=60)
        judgement = workload.judge()
        ledger = judgement.document()
    promises = disaster_promises(run, ledger, judgement, known) if disaster else planned_promises(run, ledger)
    return {
        "schema": "drkit.demo/1",
        "run": run,
        "ledger": ledger,
        "promises": promises,
        "records_lost": ledger["lost"],
    }


def _await_checkpoints(service: Service, workload: Workload) -> None:
    deadline = time.monotonic() + 90
    while missing := workload.groups() - service.checkpointed_groups():
        if time.monotonic() > deadline:
            raise StoppedError(f"{len(missing)} groups have no checkpoint yet, first {min(missing)}")
        time.sleep(1)


def _show(document: Mapping[str, Any]) -> None:
    from drkit.cli.render import report_text
    from drkit.cli.workload import ledger_text

    click.echo(report_text(document["run"]))
    click.echo("\nthe ledger")
    click.echo(ledger_text(document["ledger"]))
    click.echo("\npromises")
    for promise, holds in document["promises"].items():
        click.echo(f"  {'held   ' if holds else 'BROKEN '} {promise}")


@contextmanager
def _said(what: str) -> Iterator[None]:
    begun = time.monotonic()
    click.echo(f"… {what}", err=True)
    yield
    click.echo(f"✔ {what} ({time.monotonic() - begun:.1f} s)", err=True)
