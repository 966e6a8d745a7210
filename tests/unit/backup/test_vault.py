"""Storing backups in two buckets, and reading them back when one is dark, behind, or damaged."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from drkit.backup.manifest import MANIFESTS, OBJECTS, id_time
from drkit.backup.storing import Storing
from drkit.backup.survey import Surveyed
from drkit.backup.vault import Replica, Vault
from drkit.domain.inventory import Inventory, Part, ScramUser
from drkit.errors import AuthError, RefusedError, UnknownOutcomeError, UnreachableError, UsageError
from tests.fakes.aws import FakeObjectStore
from tests.fakes.inventories import FULL
from tests.fakes.scripted import Fault
from tests.unit.backup.vault_bench import ALL, VaultBench

CHANGED = replace(FULL, users={"billing": ScramUser("billing", {"SCRAM-SHA-256": 4096})})


@pytest.fixture(name="bench")
def _bench() -> VaultBench:
    return VaultBench()


def test_a_backup_is_read_back_whole_from_either_bucket(bench: VaultBench) -> None:
    stored = bench.store()
    assert stored.copies == ("a", "b")
    assert bench.stores["a"].objects == bench.stores["b"].objects
    for store in bench.stores.values():
        vault = Vault([Replica("only", store)])
        assert vault.load(vault.manifest(stored.manifest.backup_id)) == FULL
    assert bench.vault.manifests("taipei") == [stored.manifest]
    assert bench.vault.manifests("tokyo") == []


def test_parts_that_are_not_asked_for_stay_none(bench: VaultBench) -> None:
    manifest = bench.backup()
    assert bench.vault.load(manifest, [Part.USERS]) == Inventory("taipei", "cluster-1", users=FULL.users)


def test_what_did_not_change_is_not_stored_again(bench: VaultBench) -> None:
    first = bench.backup()
    assert bench.writes() == 2 * (8 + 1)
    again = bench.store()
    assert bench.writes() == 2
    assert (again.unchanged, again.written_bytes) == (frozenset(Part), 0)
    changed = bench.store(CHANGED)
    assert bench.writes() == 4
    assert changed.unchanged == frozenset(Part) - {Part.USERS}
    assert {part.written_by for part in changed.manifest.parts.values()} == {
        first.backup_id,
        changed.manifest.backup_id,
    }
    assert bench.vault.load(changed.manifest) == CHANGED


def test_an_unchanged_repeat_asks_little(bench: VaultBench) -> None:
    bench.backup()
    bench.writes()
    bench.backup()
    calls = [call for call, _ in bench.stores["a"].calls]
    assert calls == ["list", "get", "create", "get"]
    assert [call for call, _ in bench.stores["b"].calls] == ["list", "create", "get"]


def test_parts_that_the_newest_does_not_have_are_found_in_an_earlier_one(bench: VaultBench) -> None:
    first = bench.backup()
    for _ in range(3):
        bench.backup(parts=[Part.GROUPS])
    bench.writes()
    again = bench.store()
    assert bench.writes() == 2
    assert again.unchanged == frozenset(Part)
    assert again.manifest.earlier == {}
    groups = bench.backup(parts=[Part.GROUPS])
    assert set(groups.earlier.values()) == {again.manifest.backup_id}
    assert first.backup_id != again.manifest.backup_id


def test_another_cluster_s_objects_are_not_shared(bench: VaultBench) -> None:
    bench.backup()
    bench.writes()
    bench.backup(replace(FULL, cluster_id="cluster-2"))
    assert bench.writes() == 2 * (8 + 1)


def test_a_part_that_could_not_be_read_is_missing_with_its_reason(bench: VaultBench) -> None:
    stored = bench.store(errors={Part.ACLS: AuthError("not allowed")})
    assert stored.manifest.missing == {Part.ACLS: "not allowed"}
    assert not stored.manifest.is_complete
    assert bench.vault.load(stored.manifest) == replace(FULL, acls=None)


def test_where_nothing_could_be_read_its_error_is_raised_and_nothing_stored(bench: VaultBench) -> None:
    with pytest.raises(AuthError, match="not allowed"):
        bench.store(parts=[Part.ACLS], errors={Part.ACLS: AuthError("not allowed")})
    assert bench.writes() == 0


@pytest.mark.parametrize("dark", ["a", "b"])
def test_a_dark_bucket_is_named_and_the_other_one_has_the_backup(bench: VaultBench, dark: str) -> None:
    bench.backup()
    bench.stores[dark].is_dark = True
    stored = bench.store(CHANGED)
    (light,) = {"a", "b"} - {dark}
    assert (stored.copies, set(stored.not_copied)) == ((light,), {dark})
    assert bench.vault.load(stored.manifest) == CHANGED
    bench.stores[dark].is_dark = False
    assert bench.vault.load(bench.vault.find("latest")) == CHANGED
    # The bucket that was dark lacks the new object: it is stored anew, in both.
    bench.writes()
    again = bench.store(CHANGED)
    assert again.copies == ("a", "b")
    assert again.written_bytes > 0
    assert Vault([Replica(dark, bench.stores[dark])]).load(again.manifest) == CHANGED


def test_a_bucket_that_vanishes_half_way_is_left_out(bench: VaultBench) -> None:
    bench.stores["a"].on_next("create", *[lambda: None] * 3, Fault.NOT_ARRIVED)
    bench.stores["a"].on_next("get", Fault.NOT_ARRIVED)
    stored = bench.store()
    assert stored.copies == ("b",)
    assert isinstance(stored.not_copied["a"], UnreachableError)
    assert not list(bench.stores["a"].list(MANIFESTS))
    assert bench.vault.load(stored.manifest) == FULL


def test_where_every_bucket_is_dark_its_error_is_raised(bench: VaultBench) -> None:
    for store in bench.stores.values():
        store.is_dark = True
    with pytest.raises(UnreachableError):
        bench.store()
    with pytest.raises(UnreachableError):
        bench.vault.manifests()


def test_an_answer_that_was_lost_is_found_out(bench: VaultBench) -> None:
    for store in bench.stores.values():
        store.on_next("create", *[Fault.LOST_ANSWER] * 9)
    stored = bench.store()
    assert stored.copies == ("a", "b")
    assert bench.vault.load(stored.manifest) == FULL


def test_nobody_knows_whether_the_manifest_arrived(bench: VaultBench) -> None:
    for store in bench.stores.values():
        store.on_next("create", *[lambda: None] * 8, Fault.LOST_ANSWER)
        store.on_next("get", Fault.NOT_ARRIVED)
    with pytest.raises(UnknownOutcomeError, match="unknown"):
        bench.store()


def test_reading_goes_on_in_the_other_bucket(bench: VaultBench) -> None:
    manifest = bench.backup()
    first, second = (bench.stores[label].objects for label in "ab")
    for number, part in enumerate(manifest.parts.values()):
        damaged = first if number % 2 else second
        if number % 3:
            damaged[part.key] = damaged[part.key][:-1]
        else:
            del damaged[part.key]
    first[manifest.key] = first[manifest.key][:-1]
    assert bench.vault.load(bench.vault.manifest(manifest.backup_id)) == FULL


def test_what_is_whole_nowhere_is_said_of_each_bucket(bench: VaultBench) -> None:
    manifest = bench.backup()
    key = manifest.parts[Part.USERS].key
    del bench.stores["a"].objects[key]
    bench.stores["b"].objects[key] += b"!"
    with pytest.raises(RefusedError, match=r"a: a does not have .*; b: .* is damaged"):
        bench.vault.load(manifest)
    assert bench.vault.load(manifest, [Part.ACLS]).acls == FULL.acls


def test_a_backup_is_found_by_its_beginning(bench: VaultBench) -> None:
    first = bench.backup()
    newest = bench.backup(replace(FULL, region="tokyo"))
    assert bench.vault.find("latest") == newest
    assert bench.vault.find("latest", "taipei") == first
    assert bench.vault.find(first.backup_id[:-3]) == first
    assert bench.vault.newest("taipei", Part.ACLS) == first
    with pytest.raises(RefusedError, match="the beginning of 2 backups"):
        bench.vault.find("2026")
    with pytest.raises(RefusedError, match=r"no backup 1999\\n"):
        bench.vault.find("1999\n")
    with pytest.raises(RefusedError, match="there is no backup of osaka"):
        bench.vault.find("latest", "osaka")
    with pytest.raises(UsageError):
        bench.vault.manifest("../lease")


def test_foreign_objects_are_counted_and_left_alone(bench: VaultBench) -> None:
    manifest = bench.backup()
    store = bench.stores["a"]
    for key in ("taipei/notes.txt", "taipei/20260101t000000000z-zzzzzzzz.json", "readme", "x/y/" + manifest.backup_id):
        store.create(MANIFESTS + key, b"")
    listing = bench.vault.listing()
    assert listing.backups == [("taipei", manifest.backup_id)]
    assert listing.foreign == {"a": 4, "b": 0}
    assert bench.vault.manifests() == [manifest]


def test_a_manifest_that_cannot_be_read_hides_no_other(bench: VaultBench) -> None:
    good, bad = bench.backup(), bench.backup()
    for store in bench.stores.values():
        store.objects[bad.key] = b"{}"
    vault = bench.vault
    assert vault.manifests() == [good]
    found = vault.read_all(vault.listing())
    assert isinstance(found["taipei", bad.backup_id], RefusedError)
    assert vault.newest("taipei") == good
    with pytest.raises(RefusedError, match=bad.backup_id):
        vault.find("latest")
    # Nothing is shared with what cannot be read.
    assert bench.store().unchanged == frozenset()


def test_a_clock_that_was_ahead_hides_nothing(bench: VaultBench) -> None:
    ahead = bench.backup(after_seconds=400 * 86400)
    bench.clock._passed_seconds = 0
    late = bench.backup(CHANGED)
    assert late.backup_id > ahead.backup_id
    assert late.taken_at < ahead.taken_at
    assert bench.vault.find("latest") == late


def test_two_backups_of_the_same_moment_do_not_meet(bench: VaultBench) -> None:
    first, second = (Storing(bench.vault, bench.clock) for _ in range(2))
    begun = [one.begin("taipei", "cluster-1", ALL) for one in (first, second)]
    stored = [one.commit(what, Surveyed(FULL)) for one, what in zip((first, second), begun, strict=True)]
    assert len({one.manifest.backup_id for one in stored}) == 2
    for one in stored:
        assert bench.vault.load(one.manifest) == FULL
    keys = [key for key in bench.stores["a"].objects if key.startswith(OBJECTS)]
    assert len(keys) == 16


def test_a_backup_that_took_too_long_is_given_up(bench: VaultBench) -> None:
    storing = Storing(bench.vault, bench.clock)
    begun = storing.begin("taipei", "cluster-1", ALL)
    bench.clock.advance(30 * 60 + 1)
    with pytest.raises(RefusedError, match="more than 1800 s"):
        storing.commit(begun, Surveyed(FULL))
    assert bench.vault.manifests() == []


def test_a_backup_whose_objects_are_pruned_under_it_is_withdrawn(bench: VaultBench) -> None:
    first = bench.backup()
    storing = Storing(bench.vault, bench.clock)
    begun = storing.begin("taipei", "cluster-1", ALL)
    for store in bench.stores.values():
        store.delete(first.key)
    with pytest.raises(RefusedError, match="was withdrawn"):
        storing.commit(begun, Surveyed(FULL))
    assert bench.vault.manifests() == []


@pytest.mark.parametrize(("age_days", "is_shared"), [(14, True), (16, False)])
def test_a_locked_object_is_stored_again_before_its_lock_ends(age_days: int, is_shared: bool) -> None:
    bench, store = VaultBench(), FakeObjectStore()
    storing = Storing(Vault([Replica("locked", store, locked_days=30)]), bench.clock)
    first = storing.commit(storing.begin("taipei", "cluster-1", ALL), Surveyed(FULL)).manifest
    bench.clock.advance(timedelta(days=age_days).total_seconds())
    again = storing.commit(storing.begin("taipei", "cluster-1", ALL), Surveyed(FULL))
    assert again.unchanged == (frozenset(Part) if is_shared else frozenset())
    assert id_time(first.backup_id) < id_time(again.manifest.backup_id)


def test_a_process_that_goes_on_for_months_remembers_no_more_and_more(
    bench: VaultBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drkit.backup.vault._REMEMBERED", 3)
    vault = bench.vault
    for _ in range(8):
        made = bench.backup(parts=[Part.USERS])
        assert vault.find("latest") == made
    assert len(vault.manifests()) == 8
    assert len(vault._read) <= 3
