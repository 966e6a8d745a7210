"""What leads clients to a region, and what keeps them from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The observed value of a redirect target: sorted values and TTL; empty values where there is no record."""

    values: tuple[str, ...]
    ttl_seconds: int


class RedirectTarget(Protocol):
    """One thing that tells clients where the service is (a Route 53 record set)."""

    @property
    def name(self) -> str:
        """How reports call it."""

    def values_for(self, region: str) -> tuple[str, ...]:
        """The values that point at a region, as configured; sorted."""

    def observe(self) -> RecordSet:
        """The control plane's value now. Raises ``RefusedError`` if the zone is not the expected one."""

    def answers(self) -> Mapping[str, tuple[str, ...]]:
        """What each name server answers now (server to sorted values); an unreachable one has no values."""


class RedirectWriter(RedirectTarget, Protocol):
    """A redirect target that can be changed."""

    def switch(self, expected: RecordSet, region: str) -> str:
        """Delete exactly ``expected`` and create the region's values in one batch; the change's id.

        Raises ``StalePlanError`` when the record is no longer as expected, and ``UnknownOutcomeError`` when no answer
        came: the change may have been made, or may yet be; asking again by the same expectation finds out.
        """

    def is_in_sync(self, change_id: str) -> bool:
        """Whether every authoritative server has the change (INSYNC)."""


class FenceDriver(Protocol):
    """How writes and commits are stopped on one cluster. Putting and lifting are safe to repeat."""

    def put_producers(self) -> Mapping[str, object]:
        """Stop the applications' writes; what was done, as evidence."""

    def lift_producers(self) -> Mapping[str, object]:
        """Allow them again; removes only what drkit put."""

    def is_put(self) -> bool | None:
        """Whether the producers' fence is there; None if it cannot be told without a probe."""

    def put_consumers(self, groups: Collection[str]) -> Mapping[str, object]:
        """Stop the applications' commits in these groups."""

    def lift_consumers(self) -> Mapping[str, object]:
        """Allow them again."""
