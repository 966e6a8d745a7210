"""Steps of tests that have a workload."""

from __future__ import annotations

from drkit.sandbox.workload.control import Workload
from tests.waiting import eventually


def writes_for(workload: Workload, records: int) -> None:
    before = workload.acknowledged_records()
    eventually(
        lambda: workload.acknowledged_records() > before + records, timeout_seconds=40, because="the workload writes"
    )
