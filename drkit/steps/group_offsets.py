"""Commits positions for many groups at once, and names what was not written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from drkit.domain.kafka import GroupOffsets
from drkit.errors import DrkitError, StoppedError
from drkit.ports import KafkaWriter, PartitionFailure

Positions = TypeVar("Positions")
Commit = Callable[[str, Positions], Sequence[PartitionFailure]]

_AT_ONCE = 32
"""Requests in flight: Kafka takes one group per request, and each waits for a round trip to another region."""
_SHOWN = 5


def commit_groups(writer: KafkaWriter, offsets: GroupOffsets) -> None:
    """Commit every group's offsets; as ``commit_each``."""
    commit_each(writer.alter_group_offsets, offsets)


def commit_each(
    commit: Callable[[str, Positions], Sequence[PartitionFailure]], groups: Mapping[str, Positions]
) -> None:
    """Commit for every group, whatever becomes of the others.

    Raises ``StoppedError`` that names what was not written; the rest was.
    """
    if not groups:
        return

    def attempt(group: str) -> Sequence[PartitionFailure] | DrkitError:
        try:
            return commit(group, groups[group])
        except DrkitError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(groups)), thread_name_prefix="commit") as pool:
        answers = dict(zip(groups, pool.map(attempt, groups), strict=True))
    _raise_for(answers)


def _raise_for(answers: Mapping[str, Sequence[PartitionFailure] | DrkitError]) -> None:
    failed = {group: answer for group, answer in answers.items() if isinstance(answer, DrkitError) or answer}
    if not failed:
        return
    reasons, hint = [], "the others were written; running again writes the rest"
    for group, answer in failed.items():
        if isinstance(answer, DrkitError):
            reasons.append(f"{group}: {answer.message}")
            hint = answer.hint or hint
        else:
            reasons += [f"{group} on {failure.partition}: {failure.reason}" for failure in answer]
    more = f" (and {len(reasons) - _SHOWN} more)" if len(reasons) > _SHOWN else ""
    raise StoppedError(
        f"{len(failed)} of {len(answers)} groups were not written in full: {'; '.join(reasons[:_SHOWN])}{more}",
        hint=hint,
    )
