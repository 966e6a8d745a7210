"""Logs that must not move: the fenced source's ends, and the transactions of a mirror that has stopped."""

from __future__ import annotations

from collections.abc import Callable, Collection

from drkit.domain.kafka import TopicPartition
from drkit.domain.partition_tree import from_tree
from drkit.domain.scope import partitions_in_scope
from drkit.engine.step import Mode, NotYetError, RunContext
from drkit.errors import RefusedError
from drkit.ports import KafkaReader
from drkit.steps.world import World

_POLL_SECONDS = 0.05


def require_fence_held(world: World, context: RunContext) -> None:
    """Raise ``RefusedError`` if a log of the old primary has not the end that it had when its fence was proved.

    In a planned move only: what a source that is left behind still takes is lost, whatever drkit sees of it.
    """
    tree = context.of("fence-producers").get("ends")
    if context.mode is not Mode.PLANNED or tree is None:
        return
    fenced: dict[TopicPartition, int] = from_tree(tree)
    reader = world.regions[context.source].reader
    there = partitions_in_scope(reader.describe_topics().values(), world.topics)
    ends = {p: log.end for p, log in reader.log_ranges(there).items()}
    # A partition that was made since the fence is empty, or was written to.
    moved = sorted(p for p in {*fenced, *ends} if ends.get(p) != fenced.get(p, 0))
    if not moved:
        return
    first = moved[0]
    now = f"ends at {ends[first]} now" if first in ends else "is gone now"
    raise RefusedError(
        f"{len(moved)} partitions in {context.source} have changed behind the fence, first {first}: it ended at "
        f"{fenced.get(first, 0)} and {now}",
        hint="find who writes there: a principal that fence.principals does not list, a super user, or somebody who "
        "lifted the fence; drkit resume fences and drains again",
    )


def wait_until_settled(
    world: World, reader: KafkaReader, partitions: Callable[[], Collection[TopicPartition]], context: RunContext
) -> None:
    """Wait until no transaction is open in the partitions, for as long as a mirror may take to stop.

    A mirror that was killed leaves one open, until a worker fences it or the broker aborts it.
    """
    clock, limit = world.clock, world.settings.timeouts.mirror_stop_seconds
    deadline = clock.monotonic() + limit
    while unsettled := sorted(p for p, log in reader.log_ranges(partitions()).items() if not log.is_settled):
        if clock.monotonic() > deadline:
            raise NotYetError(
                f"a transaction is still open in {len(unsettled)} partitions in {reader.region} after {limit:g} s, "
                f"first {unsettled[0]}: how far the mirror came cannot be told",
                hint="the broker aborts it after its producer's transaction.timeout.ms; kafka-transactions.sh "
                "find-hanging and abort end one that hangs; timeouts.mirror_stop_seconds allows more time",
            )
        context.progress(f"transactions are open in {len(unsettled)} partitions")
        clock.sleep(_POLL_SECONDS)
