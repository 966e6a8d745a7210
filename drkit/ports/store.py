"""The state bucket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class PreconditionFailed(Exception):
    """A conditional write lost: the object was there, was gone, or had changed (HTTP 412)."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and its ETag."""

    key: str
    body: bytes
    etag: str


class ObjectStore(Protocol):
    """S3's conditional writes; keys are relative to the service's prefix in the state bucket."""

    def get(self, key: str) -> StoredObject | None:
        """The object, or None."""

    def create(self, key: str, body: bytes) -> str:
        """Write with ``If-None-Match: *``; the ETag. Raises ``PreconditionFailed`` if the key exists."""

    def replace(self, key: str, body: bytes, etag: str) -> str:
        """Write with ``If-Match``; the new ETag. Raises ``PreconditionFailed`` if it changed or is gone."""

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error."""

    def list(self, prefix: str) -> Iterable[str]:
        """Keys below a prefix, sorted."""
