"""The composition root: settings to adapters to procedures. The only importer of adapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from drkit.adapters.aws.objects import S3ObjectStore
from drkit.adapters.aws.route53 import Route53Record
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.connect.rest import ConnectCluster
from drkit.adapters.kafka.acl_fence import AclFence
from drkit.adapters.kafka.client import Connection, client_settings
from drkit.adapters.kafka.reader import ConfluentReader
from drkit.adapters.kafka.writer import ConfluentWriter
from drkit.adapters.local import host
from drkit.adapters.local.clock import SystemClock
from drkit.adapters.local.files import append_line
from drkit.adapters.local.hooks import HookFenceDriver
from drkit.adapters.local.probes import HttpHealthProbe
from drkit.config import models
from drkit.config.load import find_config, load
from drkit.config.mirror_templates import flow_of
from drkit.config.models import Settings, resolve_path
from drkit.config.rules import principal_of
from drkit.config.secrets import resolve_secret
from drkit.domain.fence import FenceScope
from drkit.engine.interrupt import Interrupt, InterruptibleClock
from drkit.ports import FenceDriver, ObjectStore
from drkit.procedures.answers import ThisProcess
from drkit.procedures.service import Service
from drkit.steps.world import Mirror, RegionPorts, World
from drkit.verification.mirror_evidence import ConnectOffsets

_HEALTH_SECONDS: Final = 3.0


@contextmanager
def open_service(config_path: str | None) -> Iterator[Service]:
    """Everything that commands need for the service of one ``drkit.yaml``; connections are made when they are used.

    Raises ``UsageError`` without a file, ``ConfigError`` for an invalid one or a secret that cannot be read,
    ``RefusedError`` for another AWS account than the configured one.
    """
    path = find_config(config_path)
    settings = load(path)
    wiring = _Wiring(settings, path.resolve().parent)
    with closing(wiring):
        service = Service(
            world=wiring.world(),
            interrupt=wiring.interrupt,
            clock=wiring.system_clock,
            local_copy=wiring.append_to_local_copy,
            config_path=str(path),
            process=ThisProcess(host.owner(), host.operator(), host.is_gone),
        )
        with closing(service):
            yield service


class _Wiring:
    def __init__(self, settings: Settings, base: Path) -> None:
        self._settings = settings
        self._base = base
        self._seconds = settings.timeouts.request_seconds
        self.system_clock = SystemClock()
        self.interrupt = Interrupt()
        self._clock = InterruptibleClock(self.system_clock, self.interrupt)
        self._session = AwsSession(
            self.system_clock,
            region=settings.state.region,
            endpoint_url=settings.aws.endpoint_url,
            account_id=settings.aws.account_id,
            request_seconds=self._seconds,
        )
        self._writers: list[ConfluentWriter] = []

    def world(self) -> World:
        if self._settings.aws.account_id is not None:
            self._session.check_account()
        store = S3ObjectStore(
            self._session,
            self.system_clock,
            bucket=self._settings.state.bucket,
            region=self._settings.state.region,
            prefix=self._settings.state.prefix,
            request_seconds=self._seconds,
        )
        return World(
            settings=self._settings,
            regions={name: self._region(name, store) for name in self._settings.regions},
            store=store,
            redirects=[Route53Record(self._session, self._clock, target) for target in self._settings.redirect],
            clock=self._clock,
        )

    def append_to_local_copy(self, run_id: str, line: str) -> None:
        directory = resolve_path(self._base, self._settings.state.local_dir)
        append_line(directory / "runs" / f"{run_id}.jsonl", line)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    def _region(self, name: str, store: ObjectStore) -> RegionPorts:
        region = self._settings.regions[name]
        settings = client_settings(region.cluster, self._secret)
        connection = Connection(name, settings, self._seconds)
        reader, writer = ConfluentReader(connection), ConfluentWriter(connection)
        self._writers.append(writer)
        return RegionPorts(
            region=name,
            reader=reader,
            health_reader=ConfluentReader(Connection(name, settings, min(self._seconds, _HEALTH_SECONDS))),
            writer=writer,
            fence=self._fence(name, reader, writer, store),
            mirror=self._mirror(name, region.connect, reader),
            probes=[HttpHealthProbe(probe.name, probe.url, seconds=self._seconds) for probe in region.health.http],
        )

    def _fence(self, name: str, reader: ConfluentReader, writer: ConfluentWriter, store: ObjectStore) -> FenceDriver:
        fence, cluster = self._settings.fence, self._settings.regions[name].cluster
        if isinstance(fence, models.HookFence):
            seconds = self._settings.timeouts.fence_seconds
            return HookFenceDriver(fence, region=name, cluster_id=cluster.cluster_id, seconds=seconds)
        scope = FenceScope(
            topic_prefix=self._settings.topic_prefix,
            canary_group=self._settings.canary_group,
            applications=fence.principals,
            own=principal_of(cluster.auth),
            open_by_default=fence.allow_everyone_if_no_acl_found,
        )
        return AclFence(reader, writer, store, scope)

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

    def _secret(self, reference: str) -> str:
        return resolve_secret(reference, base=self._base)
