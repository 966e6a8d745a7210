"""Metrics of scheduled backups in the text format of Prometheus.

Names and units: Prometheus documentation, "Metric and label naming". Times are given as timestamps, so that an age goes
on growing where nobody is left to compute it; the age itself is given as well, for who reads without Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import drkit
from drkit.domain.job_records import Good, JobRecord, Kind, Served
from drkit.ports import Page

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_COUNTERS: Final[Mapping[str, tuple[str, Callable[[JobRecord], float]]]] = {
    "successes": ("Runs that covered everything that was asked for.", lambda record: record.successes),
    "stored_bytes": ("Bytes that were stored, as they were sent.", lambda record: record.stored_bytes),
    "objects_written": ("Objects that were written.", lambda record: record.objects),
}
_GAUGES: Final[Mapping[str, tuple[str, Callable[[JobRecord], float]]]] = {
    "period_seconds": ("How often the job was asked for.", lambda record: record.spec.period_seconds),
    "last_duration_seconds": ("How long the last run took.", lambda record: record.last_seconds),
    "running": ("1 while a run is under way.", lambda record: record.running_since is not None),
}


def metrics_page(served: Served) -> Page:
    """Everything that is known of the service now."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collected(served))
    return Page(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry))


class _Collected:
    """A collector of what there is already: nothing is counted twice, in two places."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        yield from self._of_kinds()
        yield from self._of_jobs()
        served = self._served
        healthy = GaugeMetricFamily("drkit_backup_healthy", "1 while /healthz answers 200.")
        healthy.add_metric([], served.health["healthy"])
        alerts = CounterMetricFamily(
            "drkit_backup_alerts", "Messages about jobs that fail or work again.", labels=["outcome"]
        )
        alerts.add_metric(["sent"], served.alerts_sent)
        alerts.add_metric(["not_sent"], served.alerts_not_sent)
        build = InfoMetricFamily("drkit_build", "The version that runs.")
        build.add_metric([], {"version": drkit.__version__})
        yield from (healthy, alerts, build)

    def _of_kinds(self) -> Iterator[Metric]:
        """The newest good backup of each kind and region, whichever job made it."""
        from prometheus_client.core import GaugeMetricFamily

        labels = ["kind", "region"]
        made = GaugeMetricFamily(
            "drkit_backup_last_success_timestamp_seconds", "When the newest good backup was begun.", labels=labels
        )
        age = GaugeMetricFamily("drkit_backup_age_seconds", "How old the newest good backup is.", labels=labels)
        rows = GaugeMetricFamily(
            "drkit_backup_rows", "Topics, groups and so on in the newest good backup.", labels=labels
        )
        for kind, good in sorted(_newest(self._served).items()):
            made.add_metric(kind, good.taken_at.timestamp())
            age.add_metric(kind, good.age_seconds(self._served.now))
            rows.add_metric(kind, good.rows)
        yield from (made, age, rows)

    def _of_jobs(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

        records = self._served.records
        for name, (text, value) in _COUNTERS.items():
            counter = CounterMetricFamily(f"drkit_backup_{name}", text, labels=["job"])
            for record in records:
                counter.add_metric([record.spec.name], value(record))
            yield counter
        for name, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"drkit_backup_{name}", text, labels=["job"])
            for record in records:
                gauge.add_metric([record.spec.name], value(record))
            yield gauge
        durations = SummaryMetricFamily("drkit_backup_duration_seconds", "How long runs took.", labels=["job"])
        failures = CounterMetricFamily(
            "drkit_backup_failures", "Runs that failed, or covered less than was asked for.", labels=["job", "reason"]
        )
        skipped = CounterMetricFamily(
            "drkit_backup_skipped", "Moments at which nothing was done, and why.", labels=["job", "reason"]
        )
        for record in records:
            durations.add_metric([record.spec.name], record.runs, record.total_seconds)
            for reason in sorted({"unreachable", "incomplete", *record.failures}):
                failures.add_metric([record.spec.name, reason], record.failures.get(reason, 0))
            for reason in ("late", "overlap"):
                skipped.add_metric([record.spec.name, reason], record.skipped.get(reason, 0))
        yield from (durations, failures, skipped)


def _newest(served: Served) -> dict[Kind, Good]:
    found: dict[Kind, Good] = {}
    for record in served.records:
        for kind, good in record.good.items():
            if kind not in found or good.age_seconds(served.now) < found[kind].age_seconds(served.now):
                found[kind] = good
    return found
