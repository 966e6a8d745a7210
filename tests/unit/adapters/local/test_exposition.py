"""The metrics, read back by the library's own parser."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drkit.adapters.local.exposition import metrics_page
from drkit.domain.inventory import Part
from drkit.domain.job_records import Covered, Good, JobRecord, Served, health_document
from drkit.domain.schedules import JobSpec

AT = datetime(2026, 1, 1, tzinfo=UTC)
LOOK, ALL, TOPICS = JobSpec(10, (Part.GROUPS,)), JobSpec(3600, None), JobSpec(600, (Part.TOPICS,))


def served(*records: JobRecord, now: float = 100.0) -> Served:
    return Served(records, health_document(records, now), now, 2, 1)


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Name and labels to value, as Prometheus would scrape them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def labelled(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


@pytest.fixture
def scraped() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    look = JobRecord(LOOK, 0.0).begun(60.0)
    look = look.ended(Covered({("positions", "taipei"): Good(AT, 60.0, rows=72)}, 512, 1), AT, 61.0)
    look = look.begun(70.0).ended(Covered(failure=("unreachable", "dark")), AT, 75.0).passed_over("overlap", 3)
    full = JobRecord(ALL, 0.0).begun(10.0)
    covered = Covered({("topics", "taipei"): Good(AT, 10.0, rows=5), ("acls", "taipei"): Good(AT, 10.0)}, 1000, 4)
    full = full.ended(covered, AT, 14.0).begun(99.0)
    topics = JobRecord(TOPICS, 0.0, good={("topics", "taipei"): Good(AT, 90.0, rows=6)})
    return samples(metrics_page(served(look, full, topics)).body)


def test_the_newest_good_backup_of_each_kind_and_region(
    scraped: dict[tuple[str, tuple[tuple[str, str], ...]], float],
) -> None:
    ages = {labels: value for (name, labels), value in scraped.items() if name == "drkit_backup_age_seconds"}
    assert {(dict(one)["kind"], dict(one)["region"]): value for one, value in ages.items()} == {
        ("positions", "taipei"): 40.0,
        ("topics", "taipei"): 10.0,
        ("acls", "taipei"): 90.0,
    }
    made = labelled("drkit_backup_last_success_timestamp_seconds", kind="topics", region="taipei")
    assert scraped[made] == AT.timestamp()
    assert scraped[labelled("drkit_backup_rows", kind="topics", region="taipei")] == 6


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("successes_total", {"job": "groups"}, 1),
        ("failures_total", {"job": "groups", "reason": "unreachable"}, 1),
        ("failures_total", {"job": "all", "reason": "unreachable"}, 0),
        ("skipped_total", {"job": "groups", "reason": "overlap"}, 3),
        ("skipped_total", {"job": "groups", "reason": "late"}, 0),
        ("stored_bytes_total", {"job": "all"}, 1000),
        ("objects_written_total", {"job": "all"}, 4),
        ("duration_seconds_count", {"job": "groups"}, 2),
        ("duration_seconds_sum", {"job": "groups"}, 6),
        ("last_duration_seconds", {"job": "groups"}, 5),
        ("period_seconds", {"job": "all"}, 3600),
        ("running", {"job": "all"}, 1),
        ("running", {"job": "groups"}, 0),
        ("healthy", {}, 1),
        ("alerts_total", {"outcome": "sent"}, 2),
        ("alerts_total", {"outcome": "not_sent"}, 1),
    ],
)
def test_what_is_told(
    scraped: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str, labels: dict[str, str], value: float
) -> None:
    assert scraped[labelled(f"drkit_backup_{name}", **labels)] == value


def test_it_is_prometheus_text_and_every_metric_says_what_it_is() -> None:
    page = metrics_page(served(JobRecord(ALL, 0.0)))
    assert (page.status, page.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = list(text_string_to_metric_families(page.body.decode()))
    assert all(family.documentation and family.type != "unknown" for family in families)
    assert all(family.name.startswith("drkit_") for family in families)


def test_before_the_first_backup_no_age_is_made_up() -> None:
    found = samples(metrics_page(served(JobRecord(ALL, 0.0))).body)
    assert not [name for name, _ in found if name in ("drkit_backup_age_seconds", "drkit_backup_rows")]
