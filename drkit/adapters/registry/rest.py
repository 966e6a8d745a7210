"""``RegistryReader`` and ``RegistryWriter`` over the REST interface of Confluent's Schema Registry.

Registries that speak it differ, and what drkit makes of that:

* Karapace and old releases of Confluent's know no pages; Apicurio gives 1000 subjects unless it is asked for pages.
* Apicurio tells a compatibility level for every subject, also for one without a level of its own (``NONE`` then).
* A version keeps its id in mode IMPORT only. Karapace has no such mode (up to 6.2), and Apicurio takes it and gives ids
  of its own all the same: both are refused.
"""

from __future__ import annotations

import http
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from drkit.adapters.json_http import JsonServer, document
from drkit.adapters.registry import wire
from drkit.domain.inventory import RegistryInventory, SubjectVersion
from drkit.domain.naming import printable
from drkit.errors import DrkitError, RefusedError

_AT_ONCE: Final = 8
"""Subjects that are read side by side: a registry is a small service, and producers use it meanwhile."""
_PAGE: Final = 1000
_MOST_BYTES: Final = 16 * 1024 * 1024
_IMPORT: Final = "IMPORT"
_NO_MODE: Final = (40401, 40409)
"""Codes of Confluent's for a subject without a mode of its own."""
_AGAIN_SECONDS: Final = 0.05

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class RestRegistry:
    """One schema registry. ``region`` names it in messages; a password is never shown."""

    region: str
    url: str
    timeout_seconds: float
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def read(self) -> RegistryInventory:
        """Everything that is not deleted; a subject that is deleted meanwhile may be left out."""
        compatibility = self._expect("GET", "/config", wire.level)
        subjects = self._subjects()
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="registry")
        try:
            found = list(pool.map(self._subject, subjects))
        finally:
            # One that fails has failed all: nothing more is asked.
            pool.shutdown(cancel_futures=True)
        versions = sorted((one for some, _ in found for one in some), key=lambda one: (one.subject, one.version))
        levels = {subject: level for subject, (_, level) in zip(subjects, found, strict=True) if level is not None}
        return RegistryInventory(tuple(versions), compatibility, levels)

    def _subjects(self) -> list[str]:
        found: set[str] = set()
        offset = 0
        while True:
            page = set(self._expect("GET", f"/subjects?offset={offset}&limit={_PAGE}", wire.names))
            if page <= found:
                return sorted(found)
            found |= page
            offset += _PAGE

    def _subject(self, subject: str) -> tuple[list[SubjectVersion], str | None]:
        path = wire.subject_path("/subjects", subject)
        numbers = self._get(f"{path}/versions", wire.numbers) or []
        level = self._get(wire.subject_path("/config", subject), wire.level) if numbers else None
        found = [self._version(subject, number) for number in numbers]
        return [one for one in found if one is not None], level

    def _version(self, subject: str, number: int, query: str = "") -> SubjectVersion | None:
        path = f"{wire.subject_path('/subjects', subject)}/versions/{number}{query}"
        return self._get(path, lambda found: wire.subject_version(found, subject, number))

    def set_compatibility(self, subject: str | None, level: str) -> None:
        """Set the level of a subject, or of the registry."""
        path = "/config" if subject is None else wire.subject_path("/config", subject)
        self._expect("PUT", path, lambda _: None, {"compatibility": level})

    def register(self, version: SubjectVersion) -> None:
        """Register a version under its own id and number, and set the subject's mode back.

        Safe to repeat. A subject that is found in mode IMPORT was left so by a restore that was cut off: it is taken
        back to the registry's mode, also where the version is there already.
        """
        self._require_ids()
        former = self._get(wire.subject_path("/mode", version.subject), wire.mode)
        if self._is_there(version):
            if former == _IMPORT:
                self._leave_import(version.subject, None)
            return
        self._require_free_id(version)
        with self._importing(version.subject, former):
            path = f"{wire.subject_path('/subjects', version.subject)}/versions"
            given = self._expect("POST", path, lambda found: found["id"], wire.to_registration(version))
        if given != version.schema_id:
            raise RefusedError(
                f"{self._server.name} does not keep ids: it has registered {_name(version)} under id {given!r:.40}",
                hint="remove that version there; records that carry the old id cannot be read with this registry",
            )
        self._await(f"{_name(version)} as it was registered", lambda: self._is_there(version))

    def _require_ids(self) -> None:
        if "/ccompat/" in f"{urllib.parse.urlsplit(self.url).path}/":
            raise RefusedError(
                f"{self._server.name} is Apicurio's, which gives schemas ids of its own: none is registered",
                hint="move schemas with Apicurio's own export and import (/apis/registry/v3/admin), which keep the ids",
            )

    def _is_there(self, version: SubjectVersion) -> bool:
        """Whether it is there as it should be. Raises ``RefusedError`` for another one, deleted or not.

        In mode IMPORT a registry would overwrite it without a word.
        """
        found = self._version(version.subject, version.version)
        kept = found or self._version(version.subject, version.version, "?deleted=true")
        if kept is not None and not (kept.schema_id == version.schema_id and wire.is_same_schema(kept, version)):
            state = "is" if found else "was deleted, and is"
            raise RefusedError(
                f"{_name(version)} {state} another schema at {self._server.name} (id {kept.schema_id}, and not "
                f"{version.schema_id})",
                hint="a registry's versions are never replaced: the one that is there stays",
            )
        return found is not None

    def _require_free_id(self, version: SubjectVersion) -> None:
        subject = urllib.parse.quote(version.subject, safe="")
        path = f"/schemas/ids/{version.schema_id}?subject={subject}"
        found = self._get(path, lambda found: _under_id(found, version))
        if found is not None and not wire.is_same_schema(found, version):
            raise RefusedError(f"id {version.schema_id} of {_name(version)} is another schema's at {self._server.name}")

    @contextmanager
    def _importing(self, subject: str, former: str | None) -> Iterator[None]:
        """The subject is in mode IMPORT meanwhile."""
        self._set_mode(subject, _IMPORT)
        try:
            yield
        except DrkitError as error:
            self._try_to_leave(subject, former, error)
            raise
        self._leave_import(subject, former)

    def _try_to_leave(self, subject: str, former: str | None, error: DrkitError) -> None:
        try:
            self._leave_import(subject, former)
        except DrkitError:
            error.hint = f"subject {printable(subject)} was left in mode {_IMPORT}: run again, which sets it back"

    def _set_mode(self, subject: str, mode: str) -> None:
        # Without force, Confluent's removes what is left of deleted versions of the subject for good.
        path = f"{wire.subject_path('/mode', subject)}?force=true"
        try:
            self._expect("PUT", path, lambda _: None, {"mode": mode})
        except RefusedError as error:
            if mode != _IMPORT:
                raise
            raise RefusedError(
                f"{self._server.name} does not take a schema under an id of its own: {error.message}",
                hint="it has to allow mode IMPORT (mode.mutability=true; Confluent's registry from 5.5 on)",
            ) from error

    def _leave_import(self, subject: str, former: str | None) -> None:
        if former not in (None, _IMPORT):
            self._set_mode(subject, former)
            return
        self._await(f"the mode of subject {printable(subject)}, to unset it", lambda: self._unset_mode(subject))

    def _unset_mode(self, subject: str) -> bool:
        path = wire.subject_path("/mode", subject)
        status, text = self._exchange("DELETE", path)
        if status == http.HTTPStatus.NOT_FOUND and document(text).get("error_code") in _NO_MODE:
            return False
        if status in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.METHOD_NOT_ALLOWED):
            # An old release cannot unset a mode: the registry's own is the same for now.
            self._set_mode(subject, self._expect("GET", "/mode", wire.mode))
            return True
        self._server.answer(status, text, f"DELETE {path}")
        return True

    def _await(self, what: str, is_there: Callable[[], bool]) -> None:
        """Wait for what was just written: the instance that is asked may lag behind the one that wrote it."""
        deadline = time.monotonic() + self.timeout_seconds
        while not is_there():
            if time.monotonic() > deadline:
                raise RefusedError(f"{self._server.name} does not show {what}")
            time.sleep(_AGAIN_SECONDS)

    def _get(self, path: str, parse: Callable[[Any], Answer]) -> Answer | None:
        """What is there; None for 404."""
        status, text = self._exchange("GET", path)
        found = self._server.answer(status, text, f"GET {path}")
        return None if found is None else self._server.read(f"GET {path}", lambda: parse(found))

    def _expect(self, method: str, path: str, parse: Callable[[Any], Answer], body: object = None) -> Answer:
        status, text = self._exchange(method, path, body)
        found = self._server.answer(status, text, f"{method} {path}")
        if found is None:
            raise self._server.unreadable(f"{method} {path}", "404")
        return self._server.read(f"{method} {path}", lambda: parse(found))

    def _exchange(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        return self._server.exchange(method, path, body, time.monotonic() + self.timeout_seconds)

    @property
    def _server(self) -> JsonServer:
        return JsonServer(
            name=f"the schema registry at {self.region}",
            kind="a schema registry's REST interface (Apicurio: it ends in /apis/ccompat/v7)",
            setting="schema_registry",
            credentials_hint="check schema_registry.username",
            url=self.url,
            username=self.username,
            password=self.password,
            most_bytes=_MOST_BYTES,
        )


def _under_id(found: Any, version: SubjectVersion) -> SubjectVersion:
    """A schema by its id, which is told without subject and version."""
    named = {**found, "id": version.schema_id, "version": version.version}
    return wire.subject_version(named, version.subject, version.version)


def _name(version: SubjectVersion) -> str:
    return f"version {version.version} of subject {printable(version.subject)}"
