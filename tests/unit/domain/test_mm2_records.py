"""MM2's wire formats: bytes as MM2 4.3.1 wrote them, and nothing else."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.domain.mm2_records import Checkpoint, ForeignRecordError, OffsetSync, parse_checkpoint, parse_offset_sync

SYNC_KEY = bytes.fromhex("00067a2e7769646500000007")
SYNC = bytes.fromhex("00000000000014b300000000000014b3")
CHECKPOINT_KEY = bytes.fromhex("000267310008412e7a2e7769646500000001")
CHECKPOINT = bytes.fromhex("00000000000000001450000000000000111f0000")


def test_an_offset_sync_as_mm2_wrote_it() -> None:
    assert parse_offset_sync(SYNC_KEY, SYNC) == OffsetSync(TopicPartition("z.wide", 7), 5299, 5299)


def test_a_checkpoint_as_mm2_wrote_it() -> None:
    assert parse_checkpoint(CHECKPOINT_KEY, CHECKPOINT) == Checkpoint("g1", TopicPartition("A.z.wide", 1), 5200, 4383)


@pytest.mark.parametrize("length", range(len(SYNC_KEY)))
def test_a_torn_key_is_refused(length: int) -> None:
    with pytest.raises(ForeignRecordError):
        parse_offset_sync(SYNC_KEY[:length], SYNC)


@pytest.mark.parametrize("value", [None, b"", SYNC[:-1], SYNC + b"\0"], ids=["none", "empty", "short", "long"])
def test_another_value_is_refused(value: bytes | None) -> None:
    with pytest.raises(ForeignRecordError):
        parse_offset_sync(SYNC_KEY, value)


def test_another_version_of_checkpoints_is_refused() -> None:
    with pytest.raises(ForeignRecordError, match="version 1"):
        parse_checkpoint(CHECKPOINT_KEY, b"\0\1" + CHECKPOINT[2:])
