"""Object store and redirect target in memory, with faults on demand."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping

from drkit.adapters.object_keys import check_key, check_prefix
from drkit.errors import RefusedError, StalePlanError, UnknownOutcomeError
from drkit.ports import PreconditionFailed, RecordSet, StoredObject
from tests.fakes.scripted import Fault, Scripted


class FakeObjectStore(Scripted):
    """``drkit.ports.ObjectStore``. As in S3 an ETag is a hash of the content and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> StoredObject | None:
        fault = self._begin("get", check_key(key))
        self._end(fault, "get", key)
        body = self.objects.get(key)
        return None if body is None else StoredObject(key, body, _etag(body))

    def create(self, key: str, body: bytes) -> str:
        fault = self._begin("create", check_key(key))
        with self._lock:
            if key in self.objects:
                raise PreconditionFailed(f"{key} exists")
            self.objects[key] = body
        self._end(fault, "create", key)
        return _etag(body)

    def replace(self, key: str, body: bytes, etag: str) -> str:
        fault = self._begin("replace", check_key(key))
        with self._lock:
            if key not in self.objects or _etag(self.objects[key]) != etag:
                raise PreconditionFailed(f"{key} is gone or has changed")
            self.objects[key] = body
        self._end(fault, "replace", key)
        return _etag(body)

    def delete(self, key: str) -> None:
        fault = self._begin("delete", check_key(key))
        with self._lock:
            self.objects.pop(key, None)
        self._end(fault, "delete", key)

    def list(self, prefix: str) -> Iterator[str]:
        fault = self._begin("list", check_prefix(prefix))
        self._end(fault, "list", prefix)
        return iter(sorted(key for key in self.objects if key.startswith(prefix)))


class FakeRedirect(Scripted):
    """``drkit.ports.RedirectWriter``. Name servers give the old values until the change is in sync.

    ``pending_asks``: how often ``is_in_sync`` says no to a new change. ``not_as_expected``: why ``observe`` refuses.
    ``silent``: name servers that do not answer.
    """

    def __init__(
        self, name: str, values: Mapping[str, tuple[str, ...]], *, at: str | None, ttl_seconds: int = 5
    ) -> None:
        super().__init__()
        self._name = name
        self._values = {region: tuple(sorted(of_region)) for region, of_region in values.items()}
        self._ttl_seconds = ttl_seconds
        self.current = RecordSet((), 0) if at is None else RecordSet(self._values[at], ttl_seconds)
        self.pending_asks = 0
        self.not_as_expected = ""
        self.nameservers = ["ns1", "ns2"]
        self.silent: set[str] = set()
        self._answered = self.current.values
        self._pending: dict[str, int] = {}

    @property
    def name(self) -> str:
        return self._name

    def values_for(self, region: str) -> tuple[str, ...]:
        if region not in self._values:
            raise RefusedError(f"{self._name} has no values for {region}")
        return self._values[region]

    def observe(self) -> RecordSet:
        fault = self._begin("observe", self._name)
        if self.not_as_expected:
            raise RefusedError(f"{self._name} is not as expected: {self.not_as_expected}")
        self._end(fault, "observe", self._name)
        return self.current

    def answers(self) -> Mapping[str, tuple[str, ...]]:
        return {server: () if server in self.silent else self._answered for server in self.nameservers}

    def switch(self, expected: RecordSet, region: str) -> str:
        fault = self._begin("switch", region)
        if self.current != expected:
            raise StalePlanError(f"{self._name} is now {self.current}")
        self.current = RecordSet(self.values_for(region), self._ttl_seconds)
        change_id = f"change-{len(self._pending) + 1}"
        self._pending[change_id] = self.pending_asks
        if not self.pending_asks:
            self._answered = self.current.values
        if fault is Fault.LOST_ANSWER:
            raise UnknownOutcomeError(f"switch {region}: lost answer")
        return change_id

    def is_in_sync(self, change_id: str) -> bool:
        fault = self._begin("is_in_sync", change_id)
        self._end(fault, "is_in_sync", change_id)
        if self._pending[change_id] > 0:
            self._pending[change_id] -= 1
            return False
        self._answered = self.current.values
        return True

    def change_by_another(self, *values: str) -> None:
        """Somebody else sets the record."""
        self.current = RecordSet(tuple(sorted(values)), self._ttl_seconds)
        self._answered = self.current.values


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
