"""What a restore leaves behind when it is cut off, and what it cannot make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drkit.domain.inventory import RegistryInventory
from drkit.domain.kafka import Acl
from drkit.errors import ExitCode, StoppedError
from tests.fakes.restore import SCHEMA, Shop
from tests.fakes.scripted import Fault


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.NOT_ARRIVED])
def test_a_subject_is_not_left_in_mode_import(fault: Fault) -> None:
    """The version may be there already when the run goes on: registering it again sets the mode back."""
    shop = Shop()
    manifest = shop.back_up()
    backed_up = shop.registry.content
    shop.registry.content = RegistryInventory((), "BACKWARD")
    shop.registry.on_next("register", fault)
    with pytest.raises(StoppedError):
        shop.restore(manifest)
    assert shop.registry.importing == ({SCHEMA.subject} if fault is Fault.LOST_ANSWER else set())
    assert shop.resume().exit_code is ExitCode.DONE
    assert shop.registry.importing == set()
    assert shop.registry.content == backed_up


def test_a_level_that_somebody_sets_meanwhile_stays() -> None:
    shop = Shop()
    manifest = shop.back_up()
    shop.registry.content = RegistryInventory((), "BACKWARD")
    shop.registry.on_next("register", Fault.LOST_ANSWER)
    with pytest.raises(StoppedError):
        shop.restore(manifest)
    shop.registry.content = replace(shop.registry.content, compatibility="FORWARD")
    assert shop.resume().exit_code is ExitCode.VERIFICATION
    assert shop.registry.content.compatibility == "FORWARD"


def test_nothing_is_registered_where_nothing_is_missing() -> None:
    shop = Shop()
    assert shop.restore(shop.back_up()).exit_code is ExitCode.DONE
    assert "register" not in {call for call, _ in shop.registry.calls}


def test_acls_that_the_client_has_no_word_for_are_told_and_left() -> None:
    shop = Shop()
    about_users = Acl("unknown", "orders", "literal", "User:admin", "*", "unknown", "allow")
    shop.cluster.acls.update({about_users, replace(about_users, resource_type="topic")})
    manifest = shop.back_up()
    shop.cluster.acls.clear()
    plan = shop.plan(manifest)
    assert ["no word for" in one["detail"] for one in plan.document["stays"]] == [True, True]
    assert shop.restore(manifest).exit_code is ExitCode.VERIFICATION
    assert shop.cluster.acls
    assert all(acl.is_known for acl in shop.cluster.acls)
