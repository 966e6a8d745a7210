"""Where a group must continue, by the contents of both logs, and what a translation made of it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from drkit.domain.offsets import Ahead, Bounded, Exact, Floor, Verdict

Log = Sequence[tuple[int, bytes]]
"""Offsets and contents of a partition's committed records, in order. Every content is unique where it was written."""


@dataclass(frozen=True)
class Truth:
    """One partition. ``written``: the source offset of every record that was ever acknowledged there."""

    written: Mapping[bytes, int]
    target: Log
    target_end: int

    def position(self, upstream: int) -> int:
        """``f(u)``: up to where every record that is left at or above ``upstream`` has its last copy at or above it."""
        last = {content: offset for offset, content in self.target}
        copies = [offset for content, offset in last.items() if self.written[content] >= upstream]
        return min(copies, default=self.target_end)

    def place(self, offset: int) -> int:
        """How many records lie below an offset: two positions with no record between them are the same."""
        return bisect_left(self.target, offset, key=lambda record: record[0])

    def replayed(self, upstream: int, downstream: int) -> int:
        """Records read again by a group that continues there; negative: records lost."""
        return self.place(self.position(upstream)) - self.place(downstream)

    @property
    def duplicates(self) -> int:
        """Copies beyond one of each record."""
        return len(self.target) - len({content for _, content in self.target})


@dataclass
class Score:
    """What became of many positions. ``wrong``: certificates that did not hold, ``lost``: positions past the truth."""

    verdicts: Counter[str] = field(default_factory=Counter)
    most_replayed: int = 0
    mm2_most_replayed: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def positions(self) -> int:
        """How many there were."""
        return sum(self.verdicts.values())

    def judge(self, truth: Truth, where: str, upstream: int, verdict: Verdict) -> None:
        """Hold one verdict against the truth."""
        self.verdicts[type(verdict).__name__.lower()] += 1
        what = f"{where} at {upstream}: {verdict}, truth {truth.position(upstream)}"
        if verdict.downstream is None:
            self.wrong.append(what)
            return
        replayed = truth.replayed(upstream, verdict.downstream)
        self.most_replayed = max(self.most_replayed, replayed)
        if replayed < 0:
            self.lost.append(what)
        match verdict:
            case Exact() | Ahead():
                is_right = replayed == 0
            case Bounded(_, at_most, _):
                is_right = replayed <= at_most
            case Floor(_, _, at_most):
                is_right = at_most is None or replayed <= at_most
        if not is_right:
            self.wrong.append(what)


def table(scores: Mapping[tuple[str, ...], Score]) -> str:
    """One line per combination."""
    head = (*("topic", "policy", "source"), *_NUMBERS)
    rows = [head] + [
        (
            *names,
            *(str(score.verdicts[name]) for name in ("exact", "bounded", "floor", "ahead")),
            *(str(score.most_replayed), str(score.mm2_most_replayed), str(len(score.wrong)), str(len(score.lost))),
        )
        for names, score in scores.items()
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


_NUMBERS = ("exact", "bounded", "floor", "ahead", "most read again", "by MM2", "wrong certificates", "losses")


def quantiles(end: int, number: int) -> list[int]:
    """Positions all over a log, the newest and the oldest among them."""
    return sorted({round(end * place / (number - 1)) for place in range(number)})
