"""What is stored of a part: round trips, and damage that is noticed wherever it is."""

from __future__ import annotations

import hashlib
import json
import random
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.backup.contents import SCHEMAS, Content, decode, encode
from drkit.domain.inventory import CommittedPosition, GroupInventory, GroupType, Part, ScramUser
from drkit.domain.kafka import GroupState, TopicPartition
from drkit.errors import RefusedError
from tests.fakes.inventories import FULL, PARTS, only


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(Part).flatmap(lambda part: st.tuples(st.just(part), PARTS[part])))
def test_what_is_stored_is_what_is_read(case: tuple[Part, Any]) -> None:
    part, value = case
    content = encode(part, only(part, value))
    assert decode(content, "it") == value
    assert encode(part, only(part, value)) == content


@pytest.mark.parametrize("part", Part)
def test_the_order_in_which_a_cluster_answers_changes_nothing(part: Part) -> None:
    value = getattr(FULL, part.value)
    again = dict(reversed(value.items())) if isinstance(value, dict) else value
    assert encode(part, only(part, again)) == encode(part, FULL)


@pytest.mark.parametrize("part", Part)
@pytest.mark.parametrize("is_known_by_its_hash", [True, False])
def test_a_flipped_bit_is_noticed_everywhere(part: Part, is_known_by_its_hash: bool) -> None:
    """Also where the hash is the damaged body's own, as in a manifest that was made for it: another value at most."""
    content = encode(part, FULL)
    places = (
        range(len(content.body)) if is_known_by_its_hash else random.Random(part).sample(range(len(content.body)), 20)
    )
    for place in places:
        body = bytearray(content.body)
        body[place] ^= 1 << (place % 8)
        damaged = replace(content, body=bytes(body))
        if not is_known_by_its_hash:
            damaged = replace(damaged, sha256=hashlib.sha256(damaged.body).hexdigest())
            with suppress(RefusedError):
                assert encode(part, only(part, decode(damaged, "it"))).rows == content.rows
            continue
        with pytest.raises(RefusedError, match="it is damaged"):
            decode(damaged, "it")


@pytest.mark.parametrize("part", Part)
def test_a_truncated_object_is_noticed(part: Part) -> None:
    content = encode(part, FULL)
    for length in range(len(content.body)):
        body = content.body[:length]
        for known in (content.sha256, hashlib.sha256(body).hexdigest()):
            with pytest.raises(RefusedError):
                decode(replace(content, body=body, sha256=known), "it")


def stored(part: Part, text: str) -> Content:
    """A document in someone else's words, with hashes and sizes that are right."""
    body = pa.compress(text.encode(), codec="zstd", asbytes=True)
    return Content(part, body, hashlib.sha256(body).hexdigest(), len(text.encode()), 1, SCHEMAS[part])


USER = '{"mechanisms":{"SCRAM-SHA-512":4096},"name":"a"}'
HEAD = '{"schema":"drkit.backup-users/1","values":'


def test_a_document_is_read() -> None:
    assert decode(stored(Part.USERS, f"{HEAD}[{USER}]}}"), "it") == {"a": ScramUser("a", {"SCRAM-SHA-512": 4096})}


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}[{USER},{USER}]}}",
        HEAD + '[{"mechanisms":{},"name":"a","name":"a"}]}',
        HEAD + '[{"mechanisms":{},"name":"a","secret":"b"}]}',
        HEAD + '[{"mechanisms":{"SCRAM-SHA-512":"4096"},"name":"a"}]}',
        HEAD + '[{"mechanisms":{},"name":1}]}',
        HEAD + '[{"mechanisms": {},"name":"a"}]}',
        HEAD + '[{"name":"a"}]}',
        HEAD + '{"a":1}}',
        f'{{"schema":"drkit.backup-users/2","values":[{USER}]}}',
        f'{{"values":[{USER}]}}',
        "[" * 100_000,
        "null",
        "",
    ],
)
def test_any_other_document_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match=r"^it "):
        decode(stored(Part.USERS, text), "it")


@pytest.mark.parametrize("said_bytes", [10, 1 << 20, (1 << 30) + 1, 1 << 60, -1])
def test_a_bomb_is_refused_before_it_goes_off(said_bytes: int) -> None:
    """20 MB in a few KB, said to be of another size."""
    bomb = stored(Part.USERS, json.dumps("0" * 20_000_000))
    assert len(bomb.body) < 20_000
    with pytest.raises(RefusedError, match=r"does not open|not opened"):
        decode(replace(bomb, content_bytes=said_bytes), "it")


@pytest.mark.parametrize("part", [Part.GROUPS, Part.LOGS])
def test_a_table_larger_than_said_is_refused(part: Part) -> None:
    content = encode(part, FULL)
    with pytest.raises(RefusedError, match="would take more than"):
        decode(replace(content, content_bytes=content.content_bytes - 1), "it")


@pytest.mark.parametrize("part", Part)
def test_other_rows_or_another_version_than_said_are_refused(part: Part) -> None:
    content = encode(part, FULL)
    with pytest.raises(RefusedError, match="rows and not"):
        decode(replace(content, rows=content.rows + 1), "it")
    with pytest.raises(RefusedError, match="needs a newer drkit"):
        decode(replace(content, schema=content.schema[:-1] + "2"), "it")


def test_thousands_of_positions_are_quick() -> None:
    positions = {TopicPartition(f"topic-{n % 200}", n // 200): CommittedPosition(n) for n in range(100)}
    groups = {
        f"g{n}": GroupInventory(f"g{n}", GroupType.CLASSIC, GroupState.EMPTY, "", (), positions) for n in range(600)
    }
    started = time.process_time()
    content = encode(Part.GROUPS, only(Part.GROUPS, groups))
    assert decode(content, "it") == groups
    assert content.rows == 60_600
    assert time.process_time() - started < 5
