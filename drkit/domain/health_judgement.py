"""From samples to a verdict. What could not be read counts as a problem; contradictory samples are ``Unknown``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from drkit.domain.health import (
    CanaryConsumed,
    CanaryRefused,
    ClusterAnswered,
    ConnectorHealth,
    Degraded,
    Expectation,
    Finding,
    Healthy,
    MirrorState,
    PartitionStates,
    Problem,
    Role,
    Sample,
    Silent,
    Undetermined,
    Unknown,
    Unreachable,
    Verdict,
)


def judge(sample: Sample, expected: Expectation) -> Verdict:
    """The verdict of one sample.

    A silent cluster whose own HTTP probe says UP is ``Unknown``: perhaps only drkit is cut off from it.
    """
    probes = tuple(_probe_findings(sample))
    match sample.cluster:
        case Silent(reason):
            silent = Finding(Problem.NO_ANSWER, f"the cluster does not answer: {reason}")
            up = [probe.name for probe in sample.probes if probe.status == "up"]
            if not up:
                return Unreachable((silent, *probes))
            detail = f"the cluster is silent, yet the probe {up[0]} says UP: perhaps only drkit is cut off"
            return Unknown((silent, Finding(Problem.CONTRADICTION, detail), *probes))
        case Undetermined(reason):
            return Unknown((Finding(Problem.CREDENTIALS, f"the cluster answers and tells nothing: {reason}"), *probes))
        case ClusterAnswered(found) if found != expected.cluster_id:
            detail = f"a cluster with id {found} answers, {expected.cluster_id} is configured"
            return Unknown((Finding(Problem.OTHER_CLUSTER, detail), *probes))
        case ClusterAnswered():
            findings = (
                *_partition_findings(sample.partitions),
                *_canary_findings(sample.canary, expected),
                *_mirror_findings(sample.mirror, expected),
                *probes,
            )
            return Degraded(findings) if findings else Healthy()


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict over all samples of one region.

    ============================================  ===========
    samples                                       verdict
    ============================================  ===========
    none                                          Unknown
    all Healthy                                   Healthy
    all answered, some Degraded                   Degraded
    fewer than half did not answer                Degraded (flapping)
    all Unreachable                               Unreachable
    anything else                                 Unknown
    ============================================  ===========

    "Did not answer" is Unreachable or Unknown. Each finding says in how many samples it was made.
    """
    if not verdicts:
        return Unknown((Finding(Problem.NO_ANSWER, "no sample was taken"),))
    findings = _merged(verdicts)
    bad = sum(isinstance(verdict, Unreachable | Unknown) for verdict in verdicts)
    if bad == 0:
        return Degraded(findings) if findings else Healthy()
    if all(isinstance(verdict, Unreachable) for verdict in verdicts):
        return Unreachable(findings)
    flapping = Finding(Problem.FLAPPING, f"the cluster did not answer properly in {bad} of {len(verdicts)} samples")
    # Another cluster or refused credentials are no flapping: one such sample makes the region unknown.
    strange = {Problem.OTHER_CLUSTER, Problem.CREDENTIALS} & {finding.problem for finding in findings}
    verdict = Degraded if 2 * bad < len(verdicts) and not strange else Unknown
    return verdict((flapping, *findings))


def _merged(verdicts: Sequence[Verdict]) -> tuple[Finding, ...]:
    latest: dict[tuple[Problem, str], Finding] = {}
    seen: Counter[tuple[Problem, str]] = Counter()
    for verdict in verdicts:
        for finding in verdict.findings:
            key = (finding.problem, finding.subject)
            latest[key] = finding
            seen[key] += 1
    total = len(verdicts)
    return tuple(
        finding
        if seen[key] == total
        else Finding(finding.problem, f"{finding.detail} (in {seen[key]} of {total} samples)", finding.subject)
        for key, finding in latest.items()
    )


def _partition_findings(states: PartitionStates | Undetermined | None) -> list[Finding]:
    if states is None:
        return []
    if isinstance(states, Undetermined):
        return [Finding(Problem.PARTITIONS_UNREADABLE, f"partition states could not be read: {states.reason}")]
    kinds = (
        (Problem.LEADERLESS, "have no leader", states.leaderless),
        (Problem.BELOW_MIN_ISR, "have fewer in-sync replicas than min.insync.replicas", states.below_min_isr),
        (Problem.UNDER_REPLICATED, "are under-replicated", states.under_replicated),
    )
    return [
        Finding(problem, f"{len(found)} of {states.total} partitions {words}, first {found[0]}")
        for problem, words, found in kinds
        if found
    ]


def _canary_findings(
    canary: CanaryConsumed | CanaryRefused | Undetermined | None, expected: Expectation
) -> list[Finding]:
    standby = expected.role is Role.STANDBY
    match canary:
        case None:
            return []
        case Undetermined(reason):
            return [Finding(Problem.CANARY_FAILED, f"a canary could not be written and consumed: {reason}")]
        case CanaryRefused():
            detail = "the primary refuses writes: a fence is put there"
            return [] if standby else [Finding(Problem.PRIMARY_FENCED, detail)]
        case CanaryConsumed(seconds):
            found = []
            if standby:
                detail = "the standby accepts writes: it is not fenced (drkit fence put fences it)"
                found.append(Finding(Problem.STANDBY_OPEN, detail))
            if seconds > expected.canary_seconds:
                found.append(Finding(Problem.CANARY_SLOW, f"a canary took {seconds:.1f} s to come back"))
            return found


def _mirror_findings(mirror: MirrorState | Undetermined | None, expected: Expectation) -> list[Finding]:
    if mirror is None:
        return []
    if isinstance(mirror, Undetermined):
        return [Finding(Problem.MIRROR_UNREADABLE, f"the mirror's state could not be read: {mirror.reason}")]
    found = [finding for connector in mirror.connectors for finding in _connector_findings(connector)]
    age = mirror.heartbeat_age_seconds
    if age is not None and age > expected.heartbeat_seconds:
        found.append(Finding(Problem.HEARTBEAT_OLD, f"the newest mirrored heartbeat is {age:.0f} s old"))
    return found


def _connector_findings(connector: ConnectorHealth) -> list[Finding]:
    # A failed task leaves its connector RUNNING: both are looked at.
    name, why = connector.name, f": {connector.failure}" if connector.failure else ""
    problems: list[tuple[Problem, str]] = []
    if connector.is_absent:
        problems.append((Problem.CONNECTOR_MISSING, f"the connector {name} does not exist"))
    elif not connector.is_running:
        problems.append((Problem.CONNECTOR_NOT_RUNNING, f"the connector {name} is {connector.state}{why}"))
    elif not connector.tasks and connector.carries_records:
        # A checkpoint connector has no task until there are groups.
        problems.append((Problem.NO_TASK, f"the connector {name} has no task"))
    if connector.failed_tasks:
        failed = f"{connector.failed_tasks} of {connector.tasks} tasks of {name} have failed{why}"
        problems.append((Problem.TASK_FAILED, failed))
    return [
        Finding(problem if connector.carries_records else Problem.SIDE_CONNECTOR, detail, name)
        for problem, detail in problems
    ]


def _probe_findings(sample: Sample) -> list[Finding]:
    problems = {"down": Problem.PROBE_DOWN, "unreachable": Problem.PROBE_SILENT}
    return [
        Finding(problems[probe.status], f"the probe {probe.name} is {probe.status}: {probe.detail}", probe.name)
        for probe in sample.probes
        if probe.status in problems
    ]
