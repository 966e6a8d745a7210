"""Fixtures of the port contracts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from drkit.adapters.connect.rest import ConnectCluster
from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.inventory import ConfluentInventory
from drkit.adapters.kafka.reader import ConfluentReader
from drkit.adapters.kafka.settings import client_settings
from drkit.adapters.kafka.writer import ConfluentWriter
from drkit.config.load import load
from drkit.config.mirror_templates import flow_of, render_connectors
from drkit.config.secrets import resolve_secret
from drkit.sandbox import Fault, Sandbox
from tests.contracts.connect_bench import ConnectBench, FakeConnectBench, RealConnectBench
from tests.contracts.kafka_bench import FakeBench, KafkaBench, RealBench
from tests.fakes.moto import moto_endpoint, no_aws_identity

__all__ = ["moto_endpoint", "no_aws_identity"]

REGION = "ap-east-2"


@pytest.fixture(scope="session")
def drkit_settings(sandbox: Sandbox) -> dict[str, Any]:
    """How drkit connects to the sandbox's primary."""
    cluster = load(sandbox.config).regions[REGION].cluster
    return client_settings(cluster, lambda reference: resolve_secret(reference, base=sandbox.config.parent))


@pytest.fixture(scope="session")
def drkit_clients(
    drkit_settings: dict[str, Any],
) -> Iterator[tuple[ConfluentReader, ConfluentWriter, ConfluentInventory]]:
    """Drkit's reader and writer of the sandbox's primary."""
    connection = Connection(REGION, drkit_settings, 5.0)
    writer = ConfluentWriter(connection)
    yield ConfluentReader(connection), writer, ConfluentInventory(connection)
    writer.close()


@pytest.fixture(scope="session")
def administrator(sandbox: Sandbox) -> tuple[dict[str, Any], AdminClient]:
    """Settings and an admin client of the sandbox's primary's super user."""
    settings = dict(sandbox.status().regions[REGION].clients["admin"])
    return settings, AdminClient({**settings, "log_level": 0})


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.sandbox)])
def kafka(request: pytest.FixtureRequest) -> Iterator[KafkaBench]:
    """A cluster, drkit's reader and writer of it, and others who use it."""
    if request.param == "fake":
        yield FakeBench()
        return
    bench = RealBench(*request.getfixturevalue("drkit_clients"), *request.getfixturevalue("administrator"))
    try:
        yield bench
    finally:
        bench.close()


def _fault_of_mirror(box: Sandbox, fault: Fault) -> None:
    box.fault(fault, REGION, "mirror")


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.sandbox)])
def connect(request: pytest.FixtureRequest) -> Iterator[ConnectBench]:
    """A Kafka Connect cluster, connectors for it, and a cluster upstream."""
    if request.param == "fake":
        yield FakeConnectBench()
        return
    box: Sandbox = request.getfixturevalue("sandbox")
    settings = load(box.config)
    flow = flow_of(settings, settings.other(REGION))
    regions = box.status().regions
    admins = [AdminClient({**regions[r].clients["admin"], "log_level": 0}) for r in (flow.source, flow.target)]
    cluster = settings.regions[REGION].cluster
    worker = ConnectCluster(REGION, regions[REGION].connect_url, 15.0)
    template = render_connectors(settings, flow)[flow.source_connector]
    upstream = regions[flow.source].clients["admin"]
    fault = partial(_fault_of_mirror, box)
    bench = RealConnectBench(worker, cluster.cluster_id, worker.url, template, upstream, admins, fault)
    try:
        yield bench
    finally:
        bench.close()
