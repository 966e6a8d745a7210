"""The composition root: settings to adapters to procedures. The only importer of adapters."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

from drkit.adapters.aws.objects import Protection, S3ObjectStore
from drkit.adapters.aws.route53 import Route53Record
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.aws.sns import SnsAlerter
from drkit.adapters.connect.rest import ConnectCluster
from drkit.adapters.kafka.acl_fence import AclFence
from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.inventory import ConfluentInventory
from drkit.adapters.kafka.reader import ConfluentReader
from drkit.adapters.kafka.settings import client_settings
from drkit.adapters.kafka.writer import ConfluentWriter
from drkit.adapters.local import host
from drkit.adapters.local.clock import SystemClock
from drkit.adapters.local.exposition import metrics_page
from drkit.adapters.local.files import LocalObjectStore, append_line, require_private
from drkit.adapters.local.hooks import HookFenceDriver
from drkit.adapters.local.page_server import HttpPages
from drkit.adapters.local.probes import HttpHealthProbe
from drkit.adapters.registry.rest import RestRegistry
from drkit.backup.vault import Replica, Vault
from drkit.config import models
from drkit.config.chosen import Chosen
from drkit.config.load import find_config, load
from drkit.config.mirror_templates import flow_of
from drkit.config.models import Settings, resolve_path
from drkit.config.parity_rules import fence_scope
from drkit.config.protection import Backup, SchemaRegistry
from drkit.config.secrets import resolve_secret
from drkit.domain.schedules import JobSpec
from drkit.engine.interrupt import Interrupt, InterruptibleClock
from drkit.errors import DrkitError, UnreachableError
from drkit.ports import Alerter, Clock, FenceDriver, ObjectStore, Progress
from drkit.procedures.answers import ThisProcess
from drkit.procedures.serve import Outside, Show, Terms
from drkit.procedures.service import Service
from drkit.procedures.upload import Upload
from drkit.steps.stand_in import stand_in
from drkit.steps.world import Mirror, RegionPorts, World
from drkit.verification.mirror_evidence import ConnectOffsets


@contextmanager
def open_service(chosen: Chosen | str | None) -> Iterator[Service]:
    """Everything that commands need for the service of one ``drkit.yaml``; connections are made when they are used.

    ``chosen``: what the command line says, or just the file. Raises ``UsageError`` without a file, ``ConfigError`` for
    an invalid one or a secret that cannot be read, ``RefusedError`` for another AWS account than the configured one,
    or a directory that cannot stand in for the state bucket.
    """
    chosen = chosen if isinstance(chosen, Chosen) else Chosen(chosen)
    path = find_config(chosen.config_path)
    wiring = _Wiring(load(path), path.resolve().parent, chosen)
    with closing(wiring), _named(chosen.state_directory):
        service = Service(
            world=wiring.world(),
            interrupt=wiring.interrupt,
            clock=wiring.system_clock,
            local_copy=wiring.append_to_local_copy,
            config_path=str(path),
            process=_this_process(),
        )
        with closing(service):
            yield service


def upload_state(chosen: Chosen, progress: Progress) -> dict[str, Any]:
    """Bring what a directory holds into the state bucket; as ``Upload.run``."""
    path = find_config(chosen.config_path)
    settings = load(path)
    wiring = _Wiring(settings, path.resolve().parent, chosen)
    with closing(wiring), _named(chosen.state_directory):
        found = wiring.world().stand_in
        return Upload(found, wiring.system_clock, _this_process(), settings.timeouts.lease_seconds, progress).run()


def serve(
    chosen: Chosen,
    jobs: Sequence[JobSpec],
    *,
    listen: str,
    jitter: float,
    grace_seconds: float,
    show: Show,
    note: Progress,
) -> tuple[str, ...]:
    """Make scheduled backups until a signal comes; the jobs that were still at work then, and are left.

    ``listen``: ``HOST:PORT`` of the pages about it.

    Raises as ``open_service`` before the service runs, and ``RefusedError`` where it cannot listen.
    """
    server = HttpPages(listen)
    with open_service(chosen) as service:
        terms = Terms(platform.node(), jitter, grace_seconds, service.settings.timeouts.request_seconds)
        return service.serve(jobs, terms, Outside(show, note, server, metrics_page, _alerter(service.settings)))


def _alerter(settings: Settings) -> Alerter | None:
    arn = settings.alerts.sns_topic_arn
    return SnsAlerter(_session(settings, SystemClock()), arn) if arn else None


def _session(settings: Settings, clock: Clock) -> AwsSession:
    return AwsSession(
        clock,
        region=settings.state.region,
        endpoint_url=settings.aws.endpoint_url,
        account_id=settings.aws.account_id,
        request_seconds=settings.timeouts.request_seconds,
        setup_seconds=settings.timeouts.aws_setup_seconds,
    )


def _this_process() -> ThisProcess:
    return ThisProcess(host.owner(), host.operator(), host.is_gone)


@contextmanager
def _named(state_directory: Path | None) -> Iterator[None]:
    """Commands that an error names need the same state."""
    try:
        yield
    except DrkitError as error:
        if state_directory is not None and "drkit " in error.hint and "--state" not in error.hint:
            error.hint += f" (each with --state local:{state_directory})"
        raise


class _Wiring:
    def __init__(self, settings: Settings, base: Path, chosen: Chosen) -> None:
        self._settings = settings
        self._base = base
        self._chosen = chosen
        self._seconds = settings.timeouts.request_seconds
        self.system_clock = SystemClock()
        self.interrupt = Interrupt()
        self._clock = InterruptibleClock(self.system_clock, self.interrupt)
        self._session = _session(settings, self.system_clock)
        self._writers: list[ConfluentWriter] = []

    def world(self) -> World:
        self._check_account()
        bucket = S3ObjectStore(
            self._session,
            self.system_clock,
            bucket=self._settings.state.bucket,
            region=self._settings.state.region,
            prefix=self._settings.state.prefix,
            request_seconds=self._seconds,
        )
        found, store = None, cast("ObjectStore", bucket)
        if directory := self._chosen.state_directory:
            require_private(directory)
            store = LocalObjectStore(directory, request_seconds=self._seconds)
            found = stand_in(self._settings, f"local:{directory}", store, bucket, primary=self._chosen.primary)
            self._settings = self._settings.model_copy(update={"primary": found.primary})
        return World(
            settings=self._settings,
            regions={name: self._region(name, store) for name in self._settings.regions},
            store=store,
            stand_in=found,
            redirects=[
                Route53Record(
                    self._session,
                    self._clock,
                    target,
                    busy_seconds=self._settings.timeouts.redirect_seconds,
                    answer_seconds=self._settings.timeouts.dns_seconds,
                )
                for target in self._settings.redirect
            ],
            clock=self._clock,
            vault=Vault(self._replicas() or [Replica("the state bucket", store)]),
        )

    def _replicas(self) -> list[Replica]:
        return [
            Replica(f"s3://{one.bucket}", self._backup_bucket(one, one.region or name), _locked_days(one))
            for name, region in self._settings.regions.items()
            if (one := region.backup) is not None
        ]

    def _backup_bucket(self, backup: Backup, region: str) -> S3ObjectStore:
        return S3ObjectStore(
            self._session,
            self.system_clock,
            bucket=backup.bucket,
            region=region,
            prefix=backup.prefix,
            request_seconds=self._seconds,
            protection=Protection(backup.kms_key_id, backup.object_lock, backup.object_lock_days),
        )

    def _check_account(self) -> None:
        if self._settings.aws.account_id is None:
            return
        try:
            self._session.check_account()
        except UnreachableError:
            # What darkens the bucket may darken STS; a record is known by its zone's id and name all the same.
            if self._chosen.state_directory is None:
                raise

    def append_to_local_copy(self, run_id: str, line: str) -> None:
        directory = resolve_path(self._base, self._settings.state.local_dir)
        seconds = self._settings.timeouts.local_lock_seconds
        append_line(directory / "runs" / f"{run_id}.jsonl", line, lock_seconds=seconds)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    def _region(self, name: str, store: ObjectStore) -> RegionPorts:
        region = self._settings.regions[name]
        settings = client_settings(region.cluster, self._secret, token_seconds=self._seconds)
        connection = Connection(name, settings, self._seconds)
        reader, writer = ConfluentReader(connection), ConfluentWriter(connection)
        self._writers.append(writer)
        inventory, registry = ConfluentInventory(connection), self._registry(name, region.schema_registry)
        return RegionPorts(
            region=name,
            reader=reader,
            health_reader=ConfluentReader(
                Connection(name, settings, min(self._seconds, self._settings.timeouts.health_seconds))
            ),
            writer=writer,
            inventory=inventory,
            inventory_writer=inventory,
            fence=self._fence(name, reader, writer, store),
            mirror=self._mirror(name, region.connect, reader),
            probes=[HttpHealthProbe(probe.name, probe.url, seconds=self._seconds) for probe in region.health.http],
            registry=registry,
            registry_writer=registry,
        )

    def _fence(self, name: str, reader: ConfluentReader, writer: ConfluentWriter, store: ObjectStore) -> FenceDriver:
        fence, cluster = self._settings.fence, self._settings.regions[name].cluster
        if isinstance(fence, models.HookFence):
            timeouts = self._settings.timeouts
            return HookFenceDriver(
                fence,
                region=name,
                cluster_id=cluster.cluster_id,
                seconds=timeouts.fence_seconds,
                end_seconds=timeouts.hook_end_seconds,
            )
        scope = fence_scope(self._settings, name)
        return AclFence(reader, writer, store, scope, adopts=self._chosen.state_directory is not None)

    def _mirror(self, name: str, connect: models.Connect | None, reader: ConfluentReader) -> Mirror | None:
        if connect is None:
            return None
        cluster = ConnectCluster(
            region=name,
            url=connect.url,
            timeout_seconds=self._seconds,
            username=connect.username,
            password=self._secret(connect.password) if connect.password else None,
        )
        into = flow_of(self._settings, self._settings.other(name))
        offsets = ConnectOffsets(reader, connect.offsets_topic, into.source_connector)
        others = (into.checkpoint_connector, into.heartbeat_connector)
        return Mirror(cluster, cluster, into.source_connector, offsets.read, others)

    def _registry(self, name: str, registry: SchemaRegistry | None) -> RestRegistry | None:
        if registry is None:
            return None
        return RestRegistry(
            region=name,
            url=registry.url,
            timeout_seconds=self._seconds,
            username=registry.username,
            password=self._secret(registry.password) if registry.password else None,
        )

    def _secret(self, reference: str) -> str:
        return resolve_secret(reference, base=self._base)


def _locked_days(backup: Backup) -> int | None:
    return None if backup.object_lock is None else backup.object_lock_days
