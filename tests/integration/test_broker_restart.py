"""drkit's clients outlive the restart of a broker: partitions have another leader epoch behind it."""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka.admin import AdminClient

from drkit import bootstrap
from drkit.domain.kafka import LogRange, TopicPartition
from drkit.ports import ReadRange
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.layout import STANDBY

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(120)]


def test_log_ends_are_told_behind_a_restart(sandbox: Sandbox) -> None:
    name = f"restart-{uuid.uuid4().hex[:8]}"
    partitions = [TopicPartition(name, number) for number in range(6)]
    written = LogRange(0, 3, 3)
    with bootstrap.open_service(str(sandbox.config)) as service:
        ports = service._world.regions[STANDBY]
        ports.writer.create_topic(name, partitions=len(partitions), replication_factor=1, configs={})
        try:
            assert [ports.writer.probe_write(name, b"%d" % number)[1] for number in range(3)] == [0, 1, 2]
            logs = ports.reader.log_ranges(partitions)
            assert logs == dict.fromkeys(partitions, LogRange(0, 0, 0)) | {partitions[0]: written}

            sandbox.fault(Fault.KILL, STANDBY, "broker")
            sandbox.fault(Fault.START, STANDBY, "broker")
            # Asked by the clients of before, which know the partitions' leaders, and nothing of the restart.
            assert ports.reader.log_ranges(partitions) == logs
            found = ports.reader.data_offsets([ReadRange(partitions[0], 0, 3)])
            assert list(found[partitions[0]]) == [0, 1, 2]
        finally:
            sandbox.up()
            admin = AdminClient(sandbox.status().regions[STANDBY].clients["admin"])
            admin.delete_topics([name])[name].result(10)
