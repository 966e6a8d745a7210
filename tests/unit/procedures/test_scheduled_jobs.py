"""What a scheduled backup covers, what it says is missing, and how old the newest one is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drkit.domain.inventory import Part
from drkit.domain.schedules import JobSpec, parse_jobs
from drkit.errors import UnreachableError
from drkit.procedures.backups import Backups
from drkit.procedures.scheduled_jobs import BackupJob, covered_by
from tests.fakes.service import SOURCE, TARGET, FakeService
from tests.unit.config.sample import settings

(ALL,) = parse_jobs("1h:all")
(TOPICS,) = parse_jobs("10m:topics+acls")


@pytest.fixture(name="service")
def _service() -> FakeService:
    service = FakeService(settings())
    service.topic()
    return service


def job(service: FakeService, spec: JobSpec = ALL) -> BackupJob:
    return BackupJob(spec, service.world, Backups(service.world, lambda: SOURCE, lambda: None))


def ages(service: FakeService, spec: JobSpec = ALL) -> tuple[float | None, dict[tuple[str, str], float]]:
    """Of the job as a whole, and by kind."""
    success, good = job(service, spec).newest()
    now = service.clock.monotonic()
    return (None if success is None else success.age_seconds(now)), {
        kind: one.age_seconds(now) for kind, one in good.items()
    }


def test_all_is_every_part_of_both_regions(service: FakeService) -> None:
    covered = job(service).run()
    assert covered.failure is None
    assert {kind for kind, region in covered.good if region == TARGET} == {
        *("topics", "acls", "users", "groups", "logs", "connectors")
    }
    assert ("redirects", SOURCE) in covered.good
    assert covered.good["topics", SOURCE].rows == 2
    assert covered.objects == len(covered.good) + 2, "each part's, and two manifests"
    again = job(service).run()
    assert (again.objects, again.stored_bytes) == (2, 0), "nothing has changed"


def test_parts_alone(service: FakeService) -> None:
    covered = job(service, TOPICS).run()
    assert {kind for kind, _ in covered.good} == {"topics", "acls"}


def test_before_the_first_backup_there_is_no_age(service: FakeService) -> None:
    assert ages(service) == (None, {})


def test_each_part_is_as_old_as_its_newest_backup_and_the_job_as_old_as_the_oldest(service: FakeService) -> None:
    job(service).run()
    service.clock.sleep(1000.0)
    job(service, TOPICS).run()
    service.clock.sleep(10.0)
    success, good = ages(service)
    assert success == 1010.0
    assert (good["topics", TARGET], good["groups", TARGET]) == (10.0, 1010.0)
    assert ages(service, TOPICS) == (10.0, {kind: 10.0 for kind in good if kind[0] in ("topics", "acls")})


def test_a_part_that_could_not_be_read_since_is_as_old_as_when_it_could(service: FakeService) -> None:
    job(service).run()
    service.clock.sleep(100.0)

    def dark() -> None:
        raise UnreachableError("no answer")

    service.source.on_next("acls", dark)
    covered = job(service).run()
    assert covered.failure == ("incomplete", f"acls of {SOURCE} are missing: no answer")
    assert ("acls", SOURCE) not in covered.good
    success, good = ages(service)
    assert success == 100.0
    assert (good["acls", SOURCE], good["acls", TARGET]) == (100.0, 0.0)


def test_a_region_that_is_gone_is_missing_and_the_other_is_covered(service: FakeService) -> None:
    service.source.is_dark = True
    covered = job(service).run()
    assert covered.failure is not None
    reason, text = covered.failure
    assert reason == "incomplete"
    assert text.startswith(f"nothing of {SOURCE} could be backed up: ")
    assert {region for _, region in covered.good} == {TARGET}


def test_with_both_regions_gone_the_first_reason_is_raised(service: FakeService) -> None:
    service.source.is_dark = service.target.is_dark = True
    with pytest.raises(UnreachableError):
        job(service).run()


def test_a_bucket_that_is_dark_is_missing(service: FakeService) -> None:
    service.buckets[TARGET].is_dark = True
    covered = job(service).run()
    assert covered.failure is not None
    assert covered.failure[0] == "incomplete"
    assert f"is not in {TARGET}" in covered.failure[1]
    assert covered.good, "one bucket has it"
    service.clock.sleep(5.0)
    assert ages(service)[0] == 5.0


def test_a_part_that_is_there_and_lacks_something_is_no_good_one(service: FakeService) -> None:
    run = job(service).backups.run(None, [SOURCE])
    (one,) = run.backups
    manifest = replace(one.stored.manifest, missing={Part.TOPICS: "may not see orders"})
    partly = replace(run, backups=[replace(one, stored=replace(one.stored, manifest=manifest))])
    covered = covered_by(partly, 0.0)
    assert covered.failure == ("incomplete", f"topics of {SOURCE} lack something: may not see orders")
    assert ("topics", SOURCE) not in covered.good
    assert ("acls", SOURCE) in covered.good
