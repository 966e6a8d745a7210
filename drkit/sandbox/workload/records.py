"""What a writer writes, and how fast."""

from __future__ import annotations

import random
import time
from typing import Final

from drkit.domain.ledger import KEY_BITS, record_id
from drkit.sandbox.workload.settings import WorkloadSettings, WriterPlan

_KEYS_PER_TICK: Final = 4
_BURST_SECONDS: Final = 0.25
_SEQUENCE_BITS: Final = 28
"""A quarter of a billion records for each process of a writer: hours at the highest rate."""


class TokenBucket:
    """Lets a steady rate through; what was missed for longer than ``_BURST_SECONDS`` is not made good."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._tokens = 0.0
        self._filled_at = time.monotonic()

    def take(self, most: int) -> int:
        """As many whole tokens as there are, but not more than so many."""
        now = time.monotonic()
        grown = self._tokens + (now - self._filled_at) * self._per_second
        self._tokens = min(grown, max(1.0, self._per_second * _BURST_SECONDS))
        self._filled_at = now
        taken = max(0, min(int(self._tokens), most))
        self._tokens -= taken
        return taken


class RecordSource:
    """Makes a writer's records: one topic after the other, a few keys at a time. A key belongs to one topic.

    ``incarnation``: which process of the writer this is, from 1 on. Its ids are above those of the ones before, also of
    records that a killed one wrote and left nothing of in its ledger.
    """

    def __init__(self, settings: WorkloadSettings, plan: WriterPlan, incarnation: int) -> None:
        self._run = settings.run
        self._topics = settings.topics
        self._writer = plan.number
        self._random = random.Random(f"{settings.run} {plan.number}")  # noqa: S311 - a workload, not a secret
        self._sequence = incarnation << _SEQUENCE_BITS
        self._turn = plan.number

    def next(self, count: int) -> tuple[str, list[tuple[int, bytes]]]:
        """A topic, and ids and keys of so many records for it."""
        self._turn = (self._turn + 1) % len(self._topics)
        per_topic = (1 << KEY_BITS) // len(self._topics)
        keys = [self._random.randrange(per_topic) * len(self._topics) + self._turn for _ in range(_KEYS_PER_TICK)]
        records = []
        for _ in range(count):
            self._sequence += 1
            key = keys[self._sequence % _KEYS_PER_TICK]
            records.append((record_id(self._run, self._writer, key, self._sequence), b"%d" % key))
        return self._topics[self._turn], records
