"""Prunes: what goes, in which order, and what never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from drkit.backup.manifest import MANIFESTS, OBJECTS, Manifest, manifest_key
from drkit.backup.pruning import Pruned, Pruning
from drkit.backup.storing import Storing
from drkit.backup.survey import Surveyed
from drkit.backup.vault import Replica, Vault
from drkit.domain.inventory import Inventory, Part, ScramUser
from drkit.domain.retention import Keep
from drkit.errors import AuthError, RefusedError, UnreachableError
from tests.fakes.inventories import FULL
from tests.fakes.machine import Machine
from tests.fakes.scripted import Fault
from tests.unit.backup.vault_bench import ALL, VaultBench

HOUR = 3600.0
LAST = Keep(last=1)


def version(number: int) -> Inventory:
    """A region whose users changed."""
    return replace(FULL, users={"u": ScramUser("u", {"SCRAM-SHA-512": number})})


@pytest.fixture(name="bench")
def _bench() -> VaultBench:
    return VaultBench()


def prune(bench: VaultBench, keep: Keep = LAST, **given: object) -> Pruned:
    return Pruning(bench.vault, bench.clock, **given).run(keep)  # type: ignore[arg-type]


def history(bench: VaultBench, count: int = 4, hours: float = 2) -> list[Manifest]:
    """Backups two hours apart, the last one two hours ago."""
    found = [bench.backup(version(number), after_seconds=hours * HOUR) for number in range(count)]
    bench.clock.advance(hours * HOUR)
    return found


def keys(bench: VaultBench, prefix: str) -> set[str]:
    a, b = (set(store.list(prefix)) for store in bench.stores.values())
    assert a == b
    return a


def whole(bench: VaultBench) -> list[str]:
    """The backups that are there; each of them is whole in every bucket."""
    found = bench.vault.manifests()
    for label, store in bench.stores.items():
        vault = Vault([Replica(label, store)])
        for manifest in found:
            vault.load(manifest)
    return [one.backup_id for one in found]


def test_old_backups_go_and_the_objects_that_only_they_named(bench: VaultBench) -> None:
    first, *_, newest = history(bench)
    pruned = prune(bench)
    assert whole(bench) == [newest.backup_id]
    assert pruned.removed[0] == first
    assert keys(bench, MANIFESTS) == {newest.key}
    # The newest shares seven objects with the first.
    assert keys(bench, OBJECTS) == {part.key for part in newest.parts.values()}
    assert bench.vault.load(newest) == version(3)
    assert {label: len(gone) for label, gone in pruned.objects.items()} == {"a": 3, "b": 3}
    assert (pruned.orphans, pruned.not_removed) == (0, {})


def test_a_dry_run_says_the_same_and_removes_nothing(bench: VaultBench) -> None:
    history(bench)
    before = {label: dict(store.objects) for label, store in bench.stores.items()}
    said = prune(bench, dry_run=True)
    assert {label: store.objects for label, store in bench.stores.items()} == before
    assert prune(bench) == said


def test_nothing_is_pruned_unless_it_is_said_what_is_kept(bench: VaultBench) -> None:
    history(bench)
    with pytest.raises(RefusedError, match="nothing says what is to be kept"):
        prune(bench, Keep())
    assert len(whole(bench)) == 4


def test_only_a_region_is_pruned(bench: VaultBench) -> None:
    history(bench)
    for _ in range(2):
        bench.backup(replace(FULL, region="tokyo"), after_seconds=2 * HOUR)
    bench.clock.advance(2 * HOUR)
    Pruning(bench.vault, bench.clock).run(LAST, "tokyo")
    assert [one.region for one in bench.vault.manifests()] == ["taipei"] * 4 + ["tokyo"]
    whole(bench)


def test_what_an_unfinished_run_uses_stays(bench: VaultBench) -> None:
    first, second, *_, newest = history(bench)
    prune(bench, in_use=[second.backup_id])
    assert whole(bench) == [second.backup_id, newest.backup_id]
    assert first.backup_id not in whole(bench)


def test_the_only_whole_one_stays(bench: VaultBench) -> None:
    """The newest lost its groups everywhere: they are kept where they are whole."""
    *_, third, newest = [bench.backup(replace(FULL, groups={}), after_seconds=2 * HOUR), *history(bench)]
    bench.backup(replace(FULL, groups={}), after_seconds=2 * HOUR)
    newest = bench.vault.find("latest")
    bench.clock.advance(2 * HOUR)
    for store in bench.stores.values():
        del store.objects[newest.parts[Part.GROUPS].key]
    pruned = prune(bench)
    assert pruned.kept[third.backup_id] == () or "the only whole one with groups" in pruned.kept[third.backup_id]
    kept = [backup_id for backup_id, why in pruned.kept.items() if why]
    assert len(kept) == 2
    other = bench.vault.manifest(kept[0])
    assert bench.vault.load(other, [Part.GROUPS]).groups == FULL.groups


def test_a_bucket_that_holds_it_whole_is_enough(bench: VaultBench) -> None:
    *_, newest = history(bench)
    del bench.stores["a"].objects[newest.parts[Part.GROUPS].key]
    prune(bench)
    assert [one.backup_id for one in bench.vault.manifests()] == [newest.backup_id]


@pytest.mark.parametrize("dark", ["a", "b"])
def test_nothing_is_pruned_while_a_bucket_is_dark(bench: VaultBench, dark: str) -> None:
    history(bench)
    bench.stores[dark].is_dark = True
    with pytest.raises(UnreachableError):
        prune(bench)
    bench.stores[dark].is_dark = False
    assert len(whole(bench)) == 4


def test_a_bucket_that_vanishes_half_way_leaves_backups_whole(bench: VaultBench) -> None:
    *_, newest = history(bench)
    bench.stores["b"].on_next("delete", lambda: None, Fault.NOT_ARRIVED)
    pruned = prune(bench)
    assert len(pruned.not_removed) == 1
    assert bench.vault.load(newest) == version(3)
    prune(bench)
    assert whole(bench) == [newest.backup_id]
    assert keys(bench, OBJECTS) == {part.key for part in newest.parts.values()}


def test_what_may_not_be_removed_is_said_and_stays_whole(bench: VaultBench) -> None:
    def denied() -> None:
        raise AuthError("access denied")

    first, *_ = history(bench)
    bench.stores["a"].on_next("delete", denied)
    pruned = prune(bench)
    assert pruned.not_removed == {f"{first.key} in a": "access denied"}
    assert bench.vault.load(bench.vault.manifest(first.backup_id)) == version(0)


def test_what_is_locked_is_said_and_left_alone(bench: VaultBench) -> None:
    first, second, *_ = history(bench, hours=24 * 3)
    vault = Vault([Replica("a", bench.stores["a"], locked_days=10), Replica("b", bench.stores["b"], locked_days=10)])
    pruned = Pruning(vault, bench.clock).run(LAST)
    assert [one.backup_id for one in pruned.removed] == [first.backup_id]
    assert pruned.not_removed[f"{second.key} in a"] == "locked until 2026-01-17"
    assert second.backup_id in whole(bench)


def orphan(bench: VaultBench) -> str:
    """A backup that was killed before its manifest; its id."""
    storing = Storing(bench.vault, bench.clock)
    begun = storing.begin("tokyo", "cluster-2", ALL)
    for store in bench.stores.values():
        store.on_next("create", *[lambda: None] * 8, Fault.NOT_ARRIVED)
        store.on_next("get", Fault.NOT_ARRIVED)
    with pytest.raises(Exception, match="unknown"):
        storing.commit(begun, Surveyed(replace(FULL, region="tokyo")))
    return begun.backup_id


def test_objects_without_a_manifest_go_when_they_are_old(bench: VaultBench) -> None:
    bench.backup()
    orphan(bench)
    bench.clock.advance(23 * HOUR)
    newest = bench.backup()
    assert prune(bench).orphans == 0
    bench.clock.advance(24 * HOUR)
    newest = bench.backup()
    assert prune(bench).orphans == 16
    assert keys(bench, OBJECTS) == {part.key for part in newest.parts.values()}


def test_a_clock_that_is_ahead_takes_nothing_of_a_running_backup(bench: VaultBench) -> None:
    bench.backup()
    storing = Storing(bench.vault, bench.clock)
    begun = storing.begin("tokyo", "cluster-2", ALL)
    contents = Surveyed(replace(FULL, region="tokyo", cluster_id="cluster-2"))
    ahead = VaultBench()
    ahead.clock.advance(400 * 24 * HOUR)

    def pruned_by_another() -> None:
        assert Pruning(bench.vault, ahead.clock).run(LAST).orphans == 0

    bench.stores["a"].on_next("create", *[lambda: None] * 8, pruned_by_another)
    stored = storing.commit(begun, contents)
    assert bench.vault.load(stored.manifest) == contents.inventory


def test_a_manifest_that_cannot_be_read_keeps_all_objects(bench: VaultBench) -> None:
    """It may be of a newer drkit, and name any of them."""
    history(bench)
    key = manifest_key("taipei", "20260101t000000000z-00000000")
    for store in bench.stores.values():
        store.create(key, b'{"schema":"drkit.backup/2"}')
    before = keys(bench, OBJECTS)
    pruned = prune(bench)
    assert len(pruned.removed) == 3
    assert keys(bench, OBJECTS) == before
    assert "needs a newer drkit" in "".join(pruned.not_removed.values())


def test_foreign_objects_are_left_alone(bench: VaultBench) -> None:
    *_, newest = history(bench)
    foreign = (f"{OBJECTS}groups/notes.txt", f"{MANIFESTS}taipei/notes.txt", "runs/x/1.json")
    for store in bench.stores.values():
        for key in foreign:
            store.create(key, b"")
    assert prune(bench).foreign == {"a": 2, "b": 2}
    assert set(foreign) <= bench.stores["a"].objects.keys()
    assert whole(bench) == [newest.backup_id]


@pytest.mark.parametrize(("label", "call"), [("a", "create"), ("b", "create"), ("a", "get"), ("b", "get")])
def test_a_prune_in_the_middle_of_a_backup_leaves_what_is_whole(bench: VaultBench, label: str, call: str) -> None:
    """As if the backup had stood still for hours and not noticed, and the prune's clock were ahead for as long."""
    for number in (0, 1):
        bench.backup(version(number), after_seconds=2 * HOUR)
    storing = Storing(bench.vault, bench.clock)
    begun = storing.begin("taipei", "cluster-1", ALL)
    newest = bench.backup(version(2), after_seconds=2 * HOUR)
    ahead = Machine(bench.clock, timedelta(hours=2))
    removed: list[Manifest] = []
    bench.stores[label].on_next(call, lambda: removed.extend(Pruning(bench.vault, ahead).run(LAST).removed))
    with pytest.raises(RefusedError, match="was withdrawn"):
        storing.commit(replace(begun, started=bench.clock.monotonic()), Surveyed(version(1)))
    assert len(removed) == (2 if (label, call) == ("a", "create") else 3)
    assert whole(bench) == [newest.backup_id]
