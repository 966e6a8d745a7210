"""A run of the workload as the tests need it."""

from __future__ import annotations

from drkit.sandbox.workload.settings import GroupPlan, WorkloadSettings, WriterPlan

REGIONS = ("ap-east-2", "ap-northeast-1")


def sample_settings(
    *, dns_address: str = "127.0.0.1", dns_port: int = 1, record_type: str = "A", run: int = 1
) -> WorkloadSettings:
    """Two topics, two groups (the second one lags), two writers (the second one transactional)."""
    return WorkloadSettings(
        run=run,
        rate=100,
        topics=("orders", "payments"),
        writers=(WriterPlan(0, "plain", 90, False), WriterPlan(1, "transactional", 10, True)),
        groups=(GroupPlan("quick", ("orders", "payments"), None), GroupPlan("slow", ("orders",), 10)),
        clients={
            region: {"bootstrap.servers": f"127.200.{number}.1:9092"} for number, region in enumerate(REGIONS, start=1)
        },
        dns_address=dns_address,
        dns_port=dns_port,
        bootstrap_name="kafka.test",
        record_type=record_type,
    )
