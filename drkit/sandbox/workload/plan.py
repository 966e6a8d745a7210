"""Who takes part in a run: the producers, the consumer groups, and what each of them does."""

from __future__ import annotations

from math import ceil
from typing import Final

from drkit.domain.ledger import WRITER_BITS
from drkit.errors import UsageError
from drkit.sandbox.provisioning import PROJECT, service_topics
from drkit.sandbox.sandbox import Sandbox
from drkit.sandbox.workload.settings import GroupPlan, WorkloadSettings, WriterPlan

MOST_GROUPS: Final = 99
MOST_RECORDS_PER_SECOND: Final = 20_000
_TRANSACTIONAL_SHARE: Final = 0.1
_RECORDS_PER_WRITER: Final = 2_000
_LEAST_WRITERS: Final = 2
_SERVICES: Final = ("billing", "shipping", "loyalty", "search", "audit", "fraud-check", "mailer", "forecast", "ledger")
_LAGGING_SHARES: Final = (0.4, 0.5, 0.6, 0.7)
"""Of what is written to its topics, so much does a lagging group process."""
_RUNS: Final = 1 << 12


def plan_run(sandbox: Sandbox, *, rate: float, groups: int, run: int) -> WorkloadSettings:
    """The settings of a run: ``rate`` records per second, ``groups`` groups; ``run`` makes its records' ids unique.

    Raises ``UsageError`` for numbers out of range, ``RefusedError`` where there is no sandbox.
    """
    if not (1 <= rate <= MOST_RECORDS_PER_SECOND and 1 <= groups <= MOST_GROUPS):
        raise UsageError(
            f"a workload of {rate:g} records/s with {groups} groups is out of range",
            hint=f"1 to {MOST_RECORDS_PER_SECOND} records/s, 1 to {MOST_GROUPS} groups",
        )
    status = sandbox.status()
    topics = tuple(sorted(service_topics(sandbox.environment)))
    prefix = f"{PROJECT}.{sandbox.environment}"
    return WorkloadSettings(
        run=run % _RUNS,
        rate=rate,
        topics=topics,
        writers=writers(prefix, rate),
        groups=consumer_groups(prefix, topics, rate, groups),
        clients={name: dict(region.clients["app"]) for name, region in status.regions.items()},
        dns_address=status.dns.host,
        dns_port=status.dns.port,
        bootstrap_name=status.bootstrap_name,
        record_type=status.layout.record_type,
    )


def writers(prefix: str, rate: float) -> tuple[WriterPlan, ...]:
    """The producers: as many as the rate needs, and a transactional one with a tenth of it."""
    plain = max(_LEAST_WRITERS, min(ceil(rate / _RECORDS_PER_WRITER), (1 << WRITER_BITS) - 1))
    each = rate * (1 - _TRANSACTIONAL_SHARE) / plain
    numbered = [WriterPlan(number, f"{prefix}.orders-{number:02}", each, False) for number in range(plain)]
    return (*numbered, WriterPlan(plain, f"{prefix}.payments-{plain:02}", rate * _TRANSACTIONAL_SHARE, True))


def consumer_groups(prefix: str, topics: tuple[str, ...], rate: float, count: int) -> tuple[GroupPlan, ...]:
    """The groups: every second one lags, and one in ten has a name outside the service's prefix, as real ones have.

    A group subscribes to two topics; where there are fewer groups than topics, to as many as it takes for every topic
    to have a group.
    """
    return tuple(_group(prefix, topics, rate, count, number) for number in range(count))


def _group(prefix: str, topics: tuple[str, ...], rate: float, count: int, number: int) -> GroupPlan:
    own = {topics[number % len(topics)], topics[(number + 1) % len(topics)], *topics[number % len(topics) :: count]}
    outside = number % 10 == 7 or (1 < count <= 7 and number == count - 1)
    name = f"reporting-{number:02}" if outside else f"{prefix}.{_SERVICES[number % len(_SERVICES)]}-{number:02}"
    share = _LAGGING_SHARES[number // 2 % len(_LAGGING_SHARES)]
    limit = rate * len(own) / len(topics) * share if number % 2 else None
    return GroupPlan(name, tuple(sorted(own)), limit)
