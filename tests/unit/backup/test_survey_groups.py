"""Which groups of a region a backup has."""

from __future__ import annotations

from drkit.backup.survey import survey
from drkit.domain.inventory import GroupInventory, GroupType, Part
from drkit.domain.kafka import GroupState
from tests.fakes.service import SOURCE, FakeService
from tests.unit.config.sample import settings


def test_groups_that_keep_their_positions_elsewhere_are_named_with_their_type() -> None:
    service = FakeService(settings())
    cluster = service.source.cluster
    at = service.topic()
    cluster.commit("billing", {at: 0})
    cluster.foreign_groups = {"queue": "share", "totals": "streams", "later": "quorum"}
    surveyed = survey(service.world.regions[SOURCE], [Part.GROUPS], cluster_id=cluster.cluster_id)
    found = surveyed.inventory.groups
    assert surveyed.missing == {}
    assert found is not None
    assert list(found) == ["billing", "later", "queue", "totals"]
    assert set(found["billing"].positions) == {at}
    assert found["queue"] == GroupInventory("queue", GroupType.SHARE, GroupState.UNKNOWN)
    assert found["totals"].group_type is GroupType.STREAMS
    assert found["later"].group_type is GroupType.UNKNOWN
