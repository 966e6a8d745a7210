"""The mirror as configured: make its connectors so, and say how they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drkit.config.mirror_templates import render_connectors
from drkit.domain.mirror_flow import Flow, InternalTopic, internal_topics
from drkit.domain.mirror_lint import Finding, LiveConnector, Severity, lint, topic_findings
from drkit.domain.mirror_plan import ActionKind, Change, ConnectorAction, differences, plan_apply
from drkit.errors import ConfigError, RefusedError
from drkit.ports import ConnectorState, ConnectorStatus, Progress
from drkit.steps.world import Mirror, World

_SETTLED_SECONDS = 1.0
"""Connect goes on showing a task of the old configuration as running for a moment after an update."""
_POLL_SECONDS = 0.2
_IDLE = (ConnectorState.STOPPED, ConnectorState.PAUSED)

Configs = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ConnectorReport:
    """One connector: its state, and how its configuration differs from the template."""

    status: ConnectorStatus
    needs_task: bool
    """Whether it is idle without one; a checkpoint connector has none until there are groups."""
    drift: tuple[Change, ...] = ()

    @property
    def is_running(self) -> bool:
        """Running with all of its tasks."""
        tasks = self.status.task_states
        return self.status.state is ConnectorState.RUNNING and (
            all(task is ConnectorState.RUNNING for task in tasks) and (bool(tasks) or not self.needs_task)
        )

    @property
    def has_failed(self) -> bool:
        """Whether waiting does not help."""
        return ConnectorState.FAILED in (self.status.state, *self.status.task_states)


@dataclass(frozen=True, slots=True)
class TopicReport:
    """One of MM2's topics that is missing or has other configs than it must have."""

    topic: InternalTopic
    is_missing: bool
    live: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """Everything of one flow. ``actions`` and ``topics_changed`` are what was done, if it was applied."""

    flow: Flow
    connectors: tuple[ConnectorReport, ...]
    topics: tuple[TopicReport, ...]
    findings: tuple[Finding, ...]
    actions: tuple[ConnectorAction, ...] = ()
    topics_changed: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Running as rendered, on the right topics, without a trap that loses or repeats records."""
        return (
            all(connector.is_running and not connector.drift for connector in self.connectors)
            and not self.topics
            and all(finding.severity is not Severity.ERROR for finding in self.findings)
        )

    def document(self) -> dict[str, object]:
        """``drkit.mm2/1``."""
        return {
            "schema": "drkit.mm2/1",
            "flow": {"source": self.flow.source, "target": self.flow.target},
            "healthy": self.is_healthy,
            "connectors": [
                {
                    "name": connector.status.name,
                    "state": connector.status.state.value,
                    "tasks": [state.value for state in connector.status.task_states],
                    "trace": connector.status.trace,
                    "running": connector.is_running,
                    "drift": [_change(change) for change in connector.drift],
                }
                for connector in self.connectors
            ],
            "topics": [
                {
                    "region": report.topic.region,
                    "name": report.topic.name,
                    "missing": report.is_missing,
                    "live": dict(report.live),
                    "wanted": dict(report.topic.configs),
                }
                for report in self.topics
            ],
            "findings": [
                {
                    "severity": finding.severity.value,
                    "connector": finding.connector,
                    "key": finding.key,
                    "message": finding.message,
                }
                for finding in self.findings
            ],
            "applied": {
                "connectors": [
                    {
                        "name": action.name,
                        "action": action.kind.value,
                        "changes": [_change(change) for change in action.changes],
                    }
                    for action in self.actions
                ],
                "topics": list(self.topics_changed),
            },
        }


def inspect_mirror(world: World, flow: Flow) -> MirrorReport:
    """The flow's connectors, topics and traps; reads only.

    Raises ``ConfigError`` where the target region has no Connect cluster configured, or a template cannot be rendered.
    """
    wanted = render_connectors(world.settings, flow)
    mirror = world.mirror_into(flow.target)
    connectors = tuple(
        ConnectorReport(status, _needs_task(flow, name), differences(mirror.reader.config(name), config))
        if (status := mirror.reader.status(name)).state is not ConnectorState.ABSENT
        else ConnectorReport(status, _needs_task(flow, name))
        for name, config in wanted.items()
    )
    live = _live(world, flow.target) + _live(world, flow.source)
    findings = lint(live) + _topic_names(world, flow, live)
    return MirrorReport(flow, connectors, _wrong_topics(world, flow), findings)


def apply_mirror(
    world: World, flow: Flow, *, primary: str, resume: bool = False, progress: Progress | None = None
) -> MirrorReport:
    """Make MM2's topics and the flow's three connectors as rendered, and wait until they run; the state they reached.

    Safe to repeat. A connector that is stopped or paused is left so, unless ``resume``. Raises ``RefusedError``, with
    nothing changed, if the flow does not start at the primary, a cluster is not the configured one, or the lint finds
    that records would be lost, repeated or mangled.
    """
    say = progress or (lambda _: None)
    _refuse_wrong_direction(world, flow, primary)
    wanted = render_connectors(world.settings, flow)
    mirror = world.mirror_into(flow.target)
    _refuse_if_unsafe(world, flow, mirror, wanted)
    changed = _put_topics_right(world, flow)
    actions = plan_apply({name: mirror.reader.config(name) for name in wanted}, wanted)
    for action in actions:
        say(f"{action.kind.value} {action.name}")
        if action.kind is not ActionKind.KEEP:
            mirror.writer.put(action.name, wanted[action.name])
        if resume:
            _resume(mirror, action.name)
    _await_running(world, flow, mirror, say)
    report = inspect_mirror(world, flow)
    return MirrorReport(flow, report.connectors, report.topics, report.findings, actions, changed)


def _refuse_wrong_direction(world: World, flow: Flow, primary: str) -> None:
    if world.settings.replication.driver != "connect":
        raise ConfigError(
            f"replication.driver is {world.settings.replication.driver}: drkit has no connectors to put there",
            hint="drkit mm2 render --mode dedicated writes the file for MirrorMaker 2's own process",
        )
    if flow.source != primary:
        raise RefusedError(
            f"{flow.source} is not the primary: mirroring {flow.label} would write into {flow.target}, where the "
            "applications write",
            hint=f"drkit mm2 apply --flow {flow.target}:{flow.source}",
        )


def _refuse_if_unsafe(world: World, flow: Flow, mirror: Mirror, wanted: Configs) -> None:
    for region in (flow.source, flow.target):
        expected = world.settings.regions[region].cluster.cluster_id
        actual = world.regions[region].reader.describe_cluster().cluster_id
        _refuse_other_cluster(f"the cluster of {region}", expected, actual)
    expected = world.settings.regions[flow.target].cluster.cluster_id
    _refuse_other_cluster(
        f"the Connect cluster of {flow.target} writes to a cluster that", expected, mirror.reader.cluster_id()
    )
    others = [c for c in _live(world, flow.target) + _live(world, flow.source) if c.name not in wanted]
    planned = tuple(LiveConnector(name, config, worker_alias=flow.target) for name, config in wanted.items())
    found = lint((*planned, *others)) + _topic_names(world, flow, planned)
    errors = [f for f in found if f.severity is Severity.ERROR and f.connector in wanted]
    if errors:
        lines = "\n".join(f"  {error.connector} {error.key}: {error.message}" for error in errors)
        raise RefusedError(
            f"the mirror would do harm\n{lines}", hint="drkit mm2 status shows what runs in both regions"
        )


def _refuse_other_cluster(what: str, expected: str, actual: str) -> None:
    if actual != expected:
        raise RefusedError(f"{what} has the id {actual}, not {expected}", hint="correct the address, or the cluster_id")


def _live(world: World, region: str) -> tuple[LiveConnector, ...]:
    """Every connector of a region's Connect cluster, drkit's or not; none where no Connect cluster is configured."""
    mirror = world.regions[region].mirror
    if mirror is None:
        return ()
    return tuple(
        LiveConnector(name, mirror.reader.config(name), status.state not in _IDLE, worker_alias=region)
        for name, status in sorted(mirror.reader.connectors().items())
    )


def _topic_names(world: World, flow: Flow, connectors: tuple[LiveConnector, ...]) -> tuple[Finding, ...]:
    names = world.topics.select(world.regions[flow.source].reader.describe_topics())
    source = [connector for connector in connectors if connector.name == flow.source_connector]
    return tuple(finding for connector in source for finding in topic_findings(connector, names))


def _wrong_topics(world: World, flow: Flow) -> tuple[TopicReport, ...]:
    wrong = []
    for region in (flow.source, flow.target):
        existing = world.regions[region].reader.topics()
        for topic in internal_topics(flow):
            if topic.region != region:
                continue
            if topic.name not in existing:
                wrong.append(TopicReport(topic, is_missing=True, live={}))
                continue
            live = {key: existing[topic.name].configs.get(key, "") for key, _ in topic.configs}
            if topic.is_enforced and live != dict(topic.configs):
                wrong.append(TopicReport(topic, is_missing=False, live=live))
    return tuple(wrong)


def _put_topics_right(world: World, flow: Flow) -> tuple[str, ...]:
    """Before the connectors: a client that made one of these by itself would give it the broker's defaults."""
    changed = []
    for report in _wrong_topics(world, flow):
        topic, writer = report.topic, world.regions[report.topic.region].writer
        if report.is_missing:
            writer.create_topic(
                topic.name,
                partitions=topic.partitions,
                replication_factor=world.settings.replication.replication_factor,
                configs=dict(topic.configs),
            )
        else:
            writer.alter_topic_configs(topic.name, dict(topic.configs))
        changed.append(f"{topic.region}/{topic.name}")
    return tuple(changed)


def _resume(mirror: Mirror, name: str) -> None:
    status = mirror.reader.status(name)
    if status.state in _IDLE:
        mirror.writer.resume(name)
    elif ConnectorState.FAILED in (status.state, *status.task_states):
        mirror.writer.restart_failed(name)


def _await_running(world: World, flow: Flow, mirror: Mirror, say: Callable[[str], None]) -> None:
    """Until all run and go on running for a moment, one has failed or is stopped, or the time is over."""
    clock = world.clock
    deadline, running_since, said = clock.monotonic() + world.settings.timeouts.mirror_start_seconds, None, ""
    while clock.monotonic() < deadline:
        reports = [ConnectorReport(mirror.reader.status(name), _needs_task(flow, name)) for name in flow.connectors]
        waiting = [r for r in reports if not r.is_running and not r.has_failed and r.status.state not in _IDLE]
        running_since = None if waiting else running_since if running_since is not None else clock.monotonic()
        if running_since is not None and clock.monotonic() - running_since >= _SETTLED_SECONDS:
            return
        names = ", ".join(report.status.name for report in waiting)
        if names not in ("", said):
            say(f"waiting for {names}")
        said = names
        clock.sleep(_POLL_SECONDS)


def _needs_task(flow: Flow, name: str) -> bool:
    return name != flow.checkpoint_connector


def _change(change: Change) -> dict[str, str | None]:
    return {"key": change.key, "live": change.live, "wanted": change.wanted}
