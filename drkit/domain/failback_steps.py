"""The ordered steps of the way back, each with its reason and the command or request that makes it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drkit.domain.failback import ApiCall, Divergence, FailbackStep, PartitionDivergence, TopicReturn, Way
from drkit.domain.lag import Exactly, NotKnown, amount_text
from drkit.domain.mirror_flow import Flow
from drkit.domain.naming import printable

_CATCH_UP: Final = FailbackStep(
    "Wait until the mirror has caught up", "The switch drains what is left then.", ("drkit status --watch",)
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the steps are made: bootstrap servers of the old side, Connect's URL on both (None: not configured)."""

    old_bootstrap: str
    old_connect_url: str | None
    new_connect_url: str | None


def plan_steps(
    reverse: Flow, topics: Sequence[TopicReturn], places: Places, *, fence_holds: bool, separate_logs: bool
) -> tuple[FailbackStep, ...]:
    """The steps in order; those that nothing calls for are left out.

    ``fence_holds``: the old side's write fence was put and proved. ``separate_logs``: the default replication policy,
    under which mirrored and own records are in topics of different names, so that nothing has to be cut.
    """
    steps = [_fence(reverse, holds=fence_holds), _old_direction(reverse, places)]
    if not separate_logs:
        steps += _orphan_steps(reverse, topics, places)
        steps += _reverse_at_the_cut(reverse, topics, places)
    else:
        steps.append(_reverse_whole(reverse))
    return (*steps, _CATCH_UP, _switch(reverse))


def _fence(reverse: Flow, *, holds: bool) -> FailbackStep:
    old = reverse.target
    reason = f"Whatever applications write in {old} from now on exists only there and makes the way back dirty. " + (
        "Its fence holds; keep it." if holds else f"{old} could not be fenced: do it as soon as it answers."
    )
    command = f"drkit fence {'status' if holds else 'put'} {shlex.quote(old)}"
    return FailbackStep(f"Keep writes out of {old}", reason, (command,))


def _old_direction(reverse: Flow, places: Places) -> FailbackStep:
    forward = Flow(reverse.project, reverse.environment, reverse.target, reverse.source, reverse.separator)
    return FailbackStep(
        f"Keep the mirror {forward.label} stopped, and keep its topics",
        f"Started again it would write orphans into {reverse.source} between live records, and both directions at once "
        f"loop for ever. {forward.offset_syncs_topic} and {forward.checkpoints_topic} on {reverse.source} are the "
        "evidence by which positions are translated: delete them only after the return is verified.",
        calls=tuple(ApiCall("GET", f"/connectors/{name}/status") for name in forward.connectors[:2]),
        connect_url=places.new_connect_url or "",
    )


def _orphan_steps(reverse: Flow, topics: Sequence[TopicReturn], places: Places) -> list[FailbackStep]:
    old, partitions = reverse.target, [one for topic in topics for one in topic.partitions]
    steps = []
    unknown = [one for one in partitions if one.divergence is Divergence.UNKNOWN]
    if unknown:
        steps.append(
            FailbackStep(
                f"Look in {old}, once it answers, for records that never arrived",
                f"It is not known whether {len(unknown)} of {len(partitions)} partitions hold any. Each command shows "
                "those of one partition; a partition without any is clean. With any: keep what is shown, delete the "
                f"topic in {old}, and give all its partitions null as their start below.",
                tuple(_consume(one, places.old_bootstrap) for one in unknown),
            )
        )
    dirty = [one for one in partitions if one.divergence is Divergence.DIRTY]
    if dirty:
        steps.append(
            FailbackStep(
                f"Save the orphans of {old}",
                "They were acknowledged there and exist nowhere else. Their owners decide whether they are produced "
                f"again in {reverse.source}.",
                tuple(f"{_consume(one, places.old_bootstrap)} > {_file_name(one)}" for one in dirty),
            )
        )
    rebuilt = [topic for topic in topics if topic.way is Way.REBUILD and not all(p.is_absent for p in topic.partitions)]
    if rebuilt:
        steps.append(_rebuild(reverse, rebuilt, places))
    return steps


def _rebuild(reverse: Flow, rebuilt: Sequence[TopicReturn], places: Places) -> FailbackStep:
    old = reverse.target
    named = ", ".join(f"{printable(t.topic)} ({len([p for p in t.partitions if _is_dirty(p)])} dirty)" for t in rebuilt)
    return FailbackStep(
        f"Delete the topics with orphans in {old}; the reverse mirror makes them anew, from their beginning",
        f"{named}. Kafka cannot cut off the end of a log, so orphans would stay in front of the difference, and groups "
        "would read them after the return. To keep them there on purpose, skip this step and give these topics start "
        "offsets like the others. Deleting a topic also removes its groups' positions there; they are translated anew.",
        tuple(
            f"kafka-topics.sh --bootstrap-server {shlex.quote(places.old_bootstrap)} --delete --topic {_word(t.topic)}"
            for t in rebuilt
        ),
    )


def _reverse_at_the_cut(reverse: Flow, topics: Sequence[TopicReturn], places: Places) -> list[FailbackStep]:
    name, quoted = reverse.source_connector, shlex.quote(f"{reverse.source}:{reverse.target}")
    url = places.old_connect_url or ""
    return [
        FailbackStep(
            f"Create the source connector of {reverse.label}, stopped",
            "Nothing may run before the start is set: a new connector would copy every topic from its beginning, one "
            "that was used before would go on where it ended then. If it exists, stop it instead (PUT .../stop). Its "
            "configuration is the one of this name in what the command prints.",
            (f"drkit mm2 render --flow {quoted}",),
            (
                ApiCall("POST", "/connectors", {"name": name, "initial_state": "STOPPED", "config": "<as printed>"}),
                ApiCall("GET", f"/connectors/{name}/status"),
            ),
            url,
        ),
        FailbackStep(
            "Set where it starts: at the first record that was not mirrored, per partition",
            "The stored offset is the last one that counts as mirrored, so it is one less than the start; null is the "
            "log's beginning. Every partition is named, so that nothing is left of an earlier use. Read it back.",
            calls=(
                ApiCall("PATCH", f"/connectors/{name}/offsets", start_offsets(reverse, topics)),
                ApiCall("GET", f"/connectors/{name}/offsets"),
            ),
            connect_url=url,
        ),
        _apply(reverse, "Connectors that are stopped are resumed from the offsets that were set."),
    ]


def start_offsets(reverse: Flow, topics: Sequence[TopicReturn]) -> Mapping[str, object]:
    """The body of ``PATCH /connectors/{name}/offsets`` (KIP-875, ``MirrorUtils.wrapPartition``)."""
    return {
        "offsets": [
            {
                "partition": {"cluster": reverse.source, "partition": one.partition.partition, "topic": topic.topic},
                "offset": None
                if topic.way is Way.REBUILD or one.reverse_start is None
                else {"offset": one.reverse_start},
            }
            for topic in topics
            for one in topic.partitions
        ]
    }


def _reverse_whole(reverse: Flow) -> FailbackStep:
    return _apply(
        reverse,
        f"Under the default policy what was mirrored into {reverse.source} is in topics of other names, which are not "
        "sent back: nothing has to be cut.",
    )


def _apply(reverse: Flow, reason: str) -> FailbackStep:
    flow = shlex.quote(f"{reverse.source}:{reverse.target}")
    return FailbackStep(
        f"Start the mirror {reverse.label}",
        f"{reason} Do it before retention in {reverse.source} removes what was written there since the cut.",
        (f"drkit mm2 apply --flow {flow} --resume",),
    )


def _switch(reverse: Flow) -> FailbackStep:
    return FailbackStep(
        f"Move the service back to {reverse.target}",
        "Planned, drained, nothing lost; drkit shows its own forecast and asks first.",
        (f"drkit switchover --to {shlex.quote(reverse.target)}",),
    )


def _is_dirty(partition: PartitionDivergence) -> bool:
    return partition.divergence is Divergence.DIRTY


def _consume(one: PartitionDivergence, bootstrap: str) -> str:
    first = 0 if one.last_mirrored is None else one.last_mirrored + 1
    limit = f" --max-messages {one.orphans.records}" if isinstance(one.orphans, Exactly) else ""
    return (
        f"kafka-console-consumer.sh --bootstrap-server {shlex.quote(bootstrap)} --isolation-level read_committed "
        f"--topic {_word(one.partition.topic)} --partition {one.partition.partition} --offset {first}{limit} "
        "--timeout-ms 10000 --property print.offset=true --property print.timestamp=true --property print.headers=true "
        "--property print.key=true"
    )


def _file_name(one: PartitionDivergence) -> str:
    return shlex.quote(f"orphans-{printable(one.partition.topic).replace('/', '_')}-{one.partition.partition}.txt")


def _word(name: str) -> str:
    return shlex.quote(printable(name))


def describe(partition: PartitionDivergence) -> str:
    """``clean``, ``not there``, ``dirty: 12 orphans`` or ``unknown: why``."""
    match partition.divergence:
        case Divergence.CLEAN:
            return "not there" if partition.is_absent else "clean"
        case Divergence.DIRTY:
            return f"dirty: {amount_text(partition.orphans)} orphans"
        case Divergence.UNKNOWN:
            return f"unknown: {partition.orphans.reason}" if isinstance(partition.orphans, NotKnown) else "unknown"
