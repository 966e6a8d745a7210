"""Manifests: round trips, damage, versions, and names that are no places."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drkit.backup.contents import encode
from drkit.backup.documents import canonical
from drkit.backup.manifest import (
    BACKUP_ID,
    Manifest,
    StoredPart,
    _sha256,
    id_time,
    new_backup_id,
    read_manifest,
    write_manifest,
)
from drkit.domain.inventory import Part
from drkit.errors import RefusedError
from tests.fakes.inventories import FULL

AT = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)
ID = "20260101t123000123z-0123abcd"
PARTS = {part: StoredPart.of(encode(part, FULL), ID) for part in Part if part is not Part.ACLS}
MANIFEST = Manifest(
    ID,
    "taipei",
    "cluster-1",
    AT,
    AT + timedelta(seconds=1),
    {part: PARTS[part] for part in (Part.TOPICS, Part.GROUPS)},
    {Part.ACLS: "access\ndenied"},
    {Part.USERS: "20260101t113000123z-0123abcd"},
)


def forged(**changes: object) -> bytes:
    """A manifest that somebody made, with the right hash of itself."""
    document = {**json.loads(write_manifest(MANIFEST)), **changes}
    del document["sha256"]
    return canonical({**document, "sha256": _sha256(document)})


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert read_manifest(write_manifest(MANIFEST), "taipei", ID) == MANIFEST
    assert read_manifest(forged(), "taipei", ID) == MANIFEST


def test_any_flipped_bit_and_any_truncation_is_noticed() -> None:
    body = write_manifest(MANIFEST)
    for place in range(len(body)):
        flipped = bytearray(body)
        flipped[place] ^= 1 << (place % 7)
        for damaged in (bytes(flipped), body[:place]):
            with pytest.raises(RefusedError, match=f"the manifest of {ID}"):
                read_manifest(damaged, "taipei", ID)


def test_a_newer_version_is_named_as_such() -> None:
    newer = replace(PARTS[Part.TOPICS], schema="drkit.backup-topics/2")
    for body in (
        forged(schema="drkit.backup/2", whatever=1),
        write_manifest(replace(MANIFEST, parts={Part.TOPICS: newer})),
    ):
        with pytest.raises(RefusedError, match="needs a newer drkit"):
            read_manifest(body, "taipei", ID)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "something/1"},
        {"schema": 1},
        {"unknown": 1},
        {"cluster_id": 1},
        {"taken_at": "yesterday"},
        {"parts": {"quotas": {}}},
        {"parts": []},
        {"region": "tokyo"},
        {"earlier": {"acls": "../../lease"}},
        {"taken_at": "2026-01-01T12:30:00.123456+00:00"},
    ],
)
def test_what_drkit_would_not_write_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(RefusedError, match="the manifest of"):
        read_manifest(forged(**changes), "taipei", ID)


@pytest.mark.parametrize(
    "key",
    [
        "lease.json",
        "../lease.json",
        PARTS[Part.GROUPS].key,
        PARTS[Part.TOPICS].key.replace("topics/", "topics/../topics/"),
        PARTS[Part.TOPICS].key + "\n",
        PARTS[Part.TOPICS].key.replace("json.zst", "parquet"),
    ],
)
def test_a_key_that_is_not_its_part_s_is_refused(key: str) -> None:
    body = write_manifest(replace(MANIFEST, parts={Part.TOPICS: replace(PARTS[Part.TOPICS], key=key)}))
    with pytest.raises(RefusedError, match="cannot be its topics"):
        read_manifest(body, "taipei", ID)


def test_ids_sort_by_time_also_where_a_clock_is_late() -> None:
    first = new_backup_id(AT)
    assert BACKUP_ID.fullmatch(first)
    assert id_time(first) == AT.replace(microsecond=123000)
    late = new_backup_id(AT - timedelta(days=400), after=first)
    assert late > first
    assert id_time(late) - id_time(first) == timedelta(milliseconds=1)
    assert new_backup_id(AT + timedelta(hours=1), after=first) > late
    assert new_backup_id(AT) != new_backup_id(AT)


def test_an_object_says_which_backup_stored_it() -> None:
    assert {PARTS[part].written_by for part in PARTS} == {ID}
