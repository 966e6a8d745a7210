"""Whether two logs end with the same records, although offsets, batches and compression differ between them.

MM2 carries key, value, headers and timestamp over unchanged (``MirrorSourceTask.convertRecord``) and cuts batches anew,
so records are compared one by one, by a digest of those four.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from drkit.domain.kafka import Record

_DIGEST_BYTES = 16
_ABSENT = (1 << 32) - 1


class Fingerprint(NamedTuple):
    """What is kept of a record: enough to compare it, without its contents."""

    offset: int
    digest: bytes
    key_digest: bytes
    is_tombstone: bool
    timestamp_ms: int


def fingerprint(
    record: Record, *, with_timestamp: bool = True, ignored_headers: frozenset[str] = frozenset()
) -> Fingerprint:
    """The fingerprint of one record.

    ``with_timestamp``: False where the target's topic gives records its own time (``LogAppendTime``).
    ``ignored_headers``: names that the mirror adds; stock MM2 adds none.
    """
    timestamp = record.timestamp_ms if with_timestamp else -1
    headers = [(name, value) for name, value in record.headers if name not in ignored_headers]
    parts = [timestamp.to_bytes(8, "big", signed=True), _framed(record.key), _framed(record.value)]
    for name, value in headers:
        parts.append(_framed(name.encode(errors="surrogatepass")))
        parts.append(_framed(value))
    return Fingerprint(
        offset=record.offset,
        digest=hashlib.blake2b(b"".join(parts), digest_size=_DIGEST_BYTES).digest(),
        key_digest=hashlib.blake2b(_framed(record.key), digest_size=_DIGEST_BYTES).digest(),
        is_tombstone=record.value is None,
        timestamp_ms=record.timestamp_ms,
    )


def _framed(field: bytes | None) -> bytes:
    # Length first, so that no two records run together; None and empty are different.
    return _ABSENT.to_bytes(4, "big") if field is None else len(field).to_bytes(4, "big") + field


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two tails laid side by side from their ends.

    ``compared``: records found equal and in order. ``missing``: only in the source. ``unexpected``: only in the
    target. ``duplicated``: in the target more often than in the source. ``reordered``: on both sides, in another place.
    ``first_difference``: the newest pair of offsets (source, target) at which they part.
    """

    compared: int
    missing: int = 0
    unexpected: int = 0
    duplicated: int = 0
    reordered: int = 0
    first_difference: tuple[int, int] | None = None

    @property
    def is_equal(self) -> bool:
        """Whether every record that could be compared is the same, in the same order."""
        return not (self.missing or self.unexpected or self.duplicated or self.reordered)


def align(source: Sequence[Fingerprint], target: Sequence[Fingerprint], *, complete: bool = False) -> Alignment:
    """Compare two tails, oldest first, backwards from their ends to where the shorter one begins.

    ``complete``: both are the whole log, so that what is left over at the beginning of one is a difference too.
    The counts tell a duplicate from a stranger as long as records are distinct; that there is *a* difference is told
    for all records.
    """
    walk = _Walk(source, target)
    i, j = len(source) - 1, len(target) - 1
    while i >= 0 and j >= 0:
        ours, theirs = source[i].digest, target[j].digest
        if ours == theirs:
            walk.match(ours)
            i, j = i - 1, j - 1
            continue
        walk.part_at(source[i].offset, target[j].offset)
        if walk.is_ahead(theirs):
            walk.skip(ours)
            i -= 1
        else:
            walk.add(theirs)
            j -= 1
    if complete:
        for one in reversed(source[: i + 1]):
            walk.skip(one.digest)
        for one in reversed(target[: j + 1]):
            walk.add(one.digest)
        if i != j:
            walk.part_at(source[max(i, 0)].offset if source else -1, target[max(j, 0)].offset if target else -1)
    return walk.result()


class _Walk:
    """The state of one comparison: which digests lie ahead in the source, were matched, or were skipped there."""

    def __init__(self, source: Sequence[Fingerprint], target: Sequence[Fingerprint]) -> None:
        self._ahead = Counter(one.digest for one in source)
        self._seen: set[bytes] = set()
        self._skipped: Counter[bytes] = Counter()
        self._compared = self._unexpected = self._duplicated = self._reordered = 0
        self._parted_at: tuple[int, int] | None = None

    def match(self, digest: bytes) -> None:
        self._ahead[digest] -= 1
        self._seen.add(digest)
        self._compared += 1

    def is_ahead(self, digest: bytes) -> bool:
        # What was matched already is a duplicate, even if the same record occurs again further back.
        return self._ahead[digest] > 0 and digest not in self._seen

    def skip(self, digest: bytes) -> None:
        self._ahead[digest] -= 1
        self._skipped[digest] += 1

    def add(self, digest: bytes) -> None:
        if self._skipped[digest] > 0:
            self._skipped[digest] -= 1
            self._reordered += 1
            self._seen.add(digest)
        elif digest in self._seen:
            self._duplicated += 1
        else:
            self._unexpected += 1

    def part_at(self, source_offset: int, target_offset: int) -> None:
        if self._parted_at is None:
            self._parted_at = (source_offset, target_offset)

    def result(self) -> Alignment:
        missing = sum(self._skipped.values())
        return Alignment(self._compared, missing, self._unexpected, self._duplicated, self._reordered, self._parted_at)


@dataclass(frozen=True, slots=True)
class KeyComparison:
    """Two tails of a compacted topic, compared by the last record of each key.

    ``different``: keys whose last record differs. ``one_sided``: keys that only one tail has, about which nothing can
    be said: each side compacts on its own, and a newer record of the key may have displaced the one compared.
    """

    compared: int
    different: int
    one_sided: int
    first_difference: tuple[int, int] | None = None

    @property
    def is_equal(self) -> bool:
        """Whether no key differs."""
        return not self.different


def compare_keys(source: Sequence[Fingerprint], target: Sequence[Fingerprint]) -> KeyComparison:
    """Compare two tails of a compacted topic: order and number of records mean nothing there, the last per key does."""
    ours, theirs = ({one.key_digest: one for one in tail} for tail in (source, target))
    both = [(ours[key], theirs[key]) for key in ours if key in theirs]
    different = [(one.offset, other.offset) for one, other in both if one.digest != other.digest]
    return KeyComparison(
        compared=len(both),
        different=len(different),
        one_sided=len(ours.keys() ^ theirs.keys()),
        first_difference=max(different, default=None),
    )
