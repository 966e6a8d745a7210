"""The state bucket is dark: a move with its state in a directory, and the way back into the bucket."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drkit.adapters.kafka.acl_fence import AclFence
from drkit.adapters.local.files import LocalObjectStore
from drkit.domain.lifecycle import Phase
from drkit.domain.lineage import Epoch, EpochState, Lineage, dump, parse
from drkit.engine.holder import parse_holder
from drkit.errors import LeaseHeldError, RefusedError, StoppedError, UnreachableError, UsageError
from drkit.procedures.answers import ThisProcess
from drkit.procedures.upload import Upload
from drkit.reports.run_report import report, report_text
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.stand_in import KEY, StandIn, stand_in
from tests.fakes.move import FIRST, GROUP, Move, mirrored_service, operator, raising
from tests.fakes.service import SOURCE, TARGET, FakeService


class Glass:
    """A service whose bucket went dark, and whose state is in a directory since."""

    def __init__(self, directory: Path, *, adopts: bool = True, service: FakeService | None = None) -> None:
        self.service = service = service or mirrored_service()
        self.bucket = service.store
        self.bucket.is_dark = True
        self.store = LocalObjectStore(directory)
        self.found = stand_in(service.settings, f"local:{directory}", self.store, self.bucket, primary=SOURCE)
        service.store = self.store  # type: ignore[assignment]
        service.record = LineageRecord(self.store)
        regions = {
            name: replace(ports, fence=replace(_acl_fence(ports.fence), store=self.store, adopts=adopts))
            for name, ports in service.world.regions.items()
        }
        service.world = replace(service.world, store=self.store, regions=regions, stand_in=self.found)

    def upload(self, found: StandIn | None = None) -> dict[str, Any]:
        """Bring it into the bucket."""
        process = ThisProcess("carol", "carol", lambda _: False)
        return Upload(found or self.found, self.service.clock, process, 30.0).run()


def _acl_fence(fence: object) -> AclFence:
    assert isinstance(fence, AclFence)
    return fence


@pytest.fixture
def glass(tmp_path: Path) -> Glass:
    return Glass(tmp_path / "state")


def test_the_standbys_fence_is_lifted_although_its_record_is_in_the_bucket(glass: Glass) -> None:
    assert Move(glass.service).run().phase is Phase.SUCCEEDED
    assert glass.service.world.regions[TARGET].fence.is_put() is False
    assert glass.service.world.regions[SOURCE].fence.is_put() is True
    assert glass.service.target.cluster.committed[GROUP][FIRST] == 10
    assert glass.service.record.read().primary(SOURCE) == TARGET


def test_with_the_bucket_only_what_is_on_record_is_lifted(tmp_path: Path) -> None:
    glass = Glass(tmp_path / "state", adopts=False)
    with pytest.raises(StoppedError, match="stopped at promote: tokyo still refuses"):
        Move(glass.service).run()


def test_a_move_that_is_undone_gives_the_standby_its_fence_back(glass: Glass) -> None:
    glass.service.redirect.on_next("switch", raising(RefusedError("throttled")))
    with pytest.raises(RefusedError, match="everything that had been changed was undone"):
        Move(glass.service, undo_on_failure=True).run()
    assert glass.service.world.regions[TARGET].fence.is_put() is True
    assert glass.service.world.regions[SOURCE].fence.is_put() is False


def test_the_report_says_where_the_state_was(glass: Glass) -> None:
    document = report(Move(glass.service, state=glass.found.label).run())
    assert document["state"] == glass.found.label
    assert f"state              {glass.found.label}, not the state bucket" in report_text(document)
    assert "state" not in report(Move(mirrored_service()).run())


def test_plan_and_check_are_loud(glass: Glass) -> None:
    document = operator(glass.service).check()
    assert document["state"] == glass.found.label
    assert document["plan"]["warnings"][:2] == list(glass.found.warnings)


@pytest.mark.parametrize("command", ["check", "fence_put"])
def test_nothing_is_begun_while_the_bucket_answers(glass: Glass, command: str) -> None:
    glass.bucket.is_dark = False
    if command == "check":
        assert "the state bucket answers" in operator(glass.service).check()["problems"][0]
        return
    with pytest.raises(RefusedError, match="the state bucket answers"):
        operator(glass.service).fence_put(TARGET)


def test_a_run_that_was_begun_goes_on_when_the_bucket_answers_again(glass: Glass) -> None:
    move = Move(glass.service)
    glass.service.redirect.on_next("switch", raising(UnreachableError("no answer")))
    with pytest.raises(StoppedError):
        move.run()
    glass.bucket.is_dark = False
    assert move.resume().phase is Phase.SUCCEEDED


def test_everything_comes_into_the_bucket_once(glass: Glass) -> None:
    move = Move(glass.service)
    move.run()
    glass.bucket.is_dark = False
    put_before = json.loads(glass.bucket.objects[f"fences/{TARGET}.json"])["producers"]
    document = glass.upload()
    assert document["primary"] == TARGET
    assert parse(glass.bucket.objects["lineage.json"]).primary(SOURCE) == TARGET
    for key in glass.store.list(""):
        stored = glass.store.get(key)
        assert stored is not None
        if key not in ("lease.json", "lineage.json", KEY) and not key.startswith("fences/"):
            assert glass.bucket.objects[key] == stored.body, key
    assert KEY not in glass.bucket.objects
    assert parse_holder(glass.bucket.objects["lease.json"]).is_held is False
    assert json.loads(glass.bucket.objects[f"fences/{TARGET}.json"])["producers"] == put_before
    assert json.loads(glass.bucket.objects[f"fences/{SOURCE}.json"])["producers"]
    before = {key: body for key, body in glass.bucket.objects.items() if key != "lease.json"}
    assert glass.upload()["uploaded"] == []
    assert {key: body for key, body in glass.bucket.objects.items() if key != "lease.json"} == before


def _uploaded_nothing(glass: Glass, match: str, before: dict[str, bytes]) -> None:
    with pytest.raises(RefusedError, match=match):
        glass.upload()
    glass.bucket.objects.pop("lease.json", None)
    assert glass.bucket.objects == before


def test_a_lineage_that_went_on_elsewhere_is_not_overwritten(glass: Glass) -> None:
    Move(glass.service).run()
    glass.bucket.is_dark = False
    elsewhere = Epoch("r0", SOURCE, TARGET, "planned", "2026-01-01T00:00:00+00:00", EpochState.IN_FORCE, {})
    glass.bucket.objects["lineage.json"] = dump(Lineage((elsewhere,)))
    _uploaded_nothing(
        glass, "has tokyo as the primary, and that in .* does not continue it", dict(glass.bucket.objects)
    )


def test_earlier_epochs_stay_in_the_lineage(glass: Glass) -> None:
    move = Move(glass.service)
    move.run()
    glass.bucket.is_dark = False
    there = Epoch("r0", SOURCE, TARGET, "planned", "2025-01-01T00:00:00+00:00", EpochState.IN_FORCE, {})
    back = Epoch("r1", TARGET, SOURCE, "planned", "2025-02-01T00:00:00+00:00", EpochState.IN_FORCE, {})
    glass.bucket.objects["lineage.json"] = dump(Lineage((there, back)))
    glass.upload()
    assert [one.run_id for one in parse(glass.bucket.objects["lineage.json"]).epochs] == ["r0", "r1", move.run_id]


def test_another_object_under_the_same_key_is_not_overwritten(glass: Glass) -> None:
    move = Move(glass.service)
    move.run()
    glass.bucket.is_dark = False
    glass.bucket.objects[f"runs/{move.run_id}/00000003.json"] = b"{}"
    _uploaded_nothing(glass, "other objects under 1 keys", dict(glass.bucket.objects))


def test_an_unfinished_run_is_finished_first(glass: Glass) -> None:
    move = Move(glass.service)
    glass.service.redirect.on_next("switch", raising(UnreachableError("no answer")))
    with pytest.raises(StoppedError):
        move.run()
    glass.bucket.is_dark = False
    _uploaded_nothing(glass, f"run {move.run_id} is unfinished", dict(glass.bucket.objects))


def test_somebody_who_works_on_the_service_is_not_disturbed(glass: Glass) -> None:
    Move(glass.service).run()
    glass.bucket.is_dark = False
    other = FakeService(glass.service.settings)
    other.store, other.clock = glass.bucket, glass.service.clock
    lease = Move(other)._lease("dave")
    glass.service.clock.during_sleep.append(lease._renew)
    with pytest.raises(LeaseHeldError, match="dave works on this service"):
        glass.upload()


def test_a_run_that_the_dark_bucket_stopped_is_over_with_the_one_that_came_after_it(tmp_path: Path) -> None:
    """Its abort would open the old primary again."""
    glass = Glass(tmp_path / "state")
    stopped = Move(FakeService(glass.service.settings))
    stopped.service.store = glass.bucket
    stopped.service.clock = glass.service.clock
    glass.bucket.is_dark = False
    stopped._journal(None).append(stopped._planned(stopped.procedure()))
    glass.bucket.is_dark = True
    glass.service.clock.sleep(2)
    move = Move(glass.service)
    move.run()
    glass.bucket.is_dark = False
    glass.upload()
    after = mirrored_service()
    after.world = replace(after.world, store=glass.bucket)
    with pytest.raises(RefusedError, match=f"run {move.run_id} was begun after {stopped.run_id}"):
        operator(after).unfinished_run(stopped.run_id)
    with pytest.raises(RefusedError, match="no run is unfinished"):
        operator(after).unfinished_run(None)


def test_a_run_of_the_bucket_does_not_go_on_in_a_directory(tmp_path: Path) -> None:
    """What undoes it is in the bucket, and somebody else may go on with it there."""
    stopped = Move(mirrored_service())
    stopped.service.redirect.on_next("switch", raising(UnreachableError("no answer")))
    with pytest.raises(StoppedError):
        stopped.run()
    glass = Glass(tmp_path / "state", service=stopped.service)
    for named in (stopped.run_id, None):
        with pytest.raises(RefusedError, match=r"local:.* does not hold .*run.* does not go on without it") as caught:
            operator(glass.service).unfinished_run(named)
        assert "drkit failover --to REGION" in caught.value.hint
    # Begun anew, the move finds done what that run has done. (A run's id has its second.)
    glass.service.clock.sleep(2)
    move = Move(glass.service)
    assert move.run().phase is Phase.SUCCEEDED
    assert glass.service.target.cluster.committed[GROUP][FIRST] == 10
    assert glass.service.redirect.current.values == ("2",)
    with pytest.raises(RefusedError, match="is over"):
        operator(glass.service).unfinished_run(move.run_id)
    glass.bucket.is_dark = False
    glass.upload()
    back = replace(glass.service.world, store=glass.bucket, stand_in=None)
    glass.service.world = back
    with pytest.raises(RefusedError, match=f"run {move.run_id} was begun after {stopped.run_id}"):
        operator(glass.service).unfinished_run(stopped.run_id)


def test_there_is_nothing_to_upload_from_the_bucket() -> None:
    with pytest.raises(UsageError, match="nothing to upload"):
        Upload(None, mirrored_service().clock, ThisProcess("c", "c", lambda _: False), 30.0).run()


def test_an_upload_that_was_cut_off_is_repeated(glass: Glass) -> None:
    Move(glass.service).run()
    glass.bucket.is_dark = False
    glass.bucket.on_next("create", lambda: None, raising(UnreachableError("no answer")))
    with pytest.raises(UnreachableError):
        glass.upload()
    assert glass.upload()["primary"] == TARGET
