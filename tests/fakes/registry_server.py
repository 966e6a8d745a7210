"""A schema registry that speaks Confluent's REST interface over HTTP, in the dialects of three products."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from socket import socket
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.http_server import Request, reply_json

LEVELS = frozenset({"NONE", "BACKWARD", "FORWARD", "FULL", "BACKWARD_TRANSITIVE", "FORWARD_TRANSITIVE"})
APICURIO_PATH = "/apis/ccompat/v7"


class Dialect(Enum):
    """Whose registry it is (``KafkaSchemaRegistry``; Apicurio's ``ccompat.rest.v7``; Karapace's ``api.routers``)."""

    CONFLUENT = auto()
    OLD_CONFLUENT = auto()
    """It has no pages, and cannot unset a mode."""
    APICURIO = auto()
    """Ids are its own, every subject has a level, a mode is taken and means nothing."""
    KARAPACE = auto()
    """No pages, and no modes but READWRITE."""


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.document = {"error_code": code, "message": message}


@dataclass
class RegistryState:
    """A ``Responder``, and what the registry holds: per subject and version what was registered, and deleted ones."""

    dialect: Dialect = Dialect.CONFLUENT
    versions: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    deleted: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    level: str = "BACKWARD"
    levels: dict[str, str] = field(default_factory=dict)
    mode: str = "READWRITE"
    modes: dict[str, str] = field(default_factory=dict)
    credentials: str | None = None
    page_most: int = 1000
    next_id: int = 1

    def __call__(self, request: Request, connection: socket) -> None:
        try:
            status, document = 200, self._answer(request)
        except Refusal as refusal:
            status, document = refusal.status, refusal.document
        reply_json(status, document)(request, connection)

    def put(self, subject: str, version: int, schema_id: int, schema: str, **more: Any) -> None:
        """What somebody has registered."""
        self.versions[(subject, version)] = {"schema": schema, "id": schema_id, **more}
        self.next_id = max(self.next_id, schema_id + 1)

    def delete(self, subject: str, version: int) -> None:
        """Somebody deletes a version (softly)."""
        self.deleted[(subject, version)] = self.versions.pop((subject, version))

    def _answer(self, request: Request) -> Any:
        if self.credentials is not None and request.headers.get("authorization") != self.credentials:
            raise Refusal(401, 40101, "Unauthorized")
        address = urlsplit(request.target)
        path = address.path.removeprefix(APICURIO_PATH) if self.dialect is Dialect.APICURIO else address.path
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        body = json.loads(request.body) if request.body else {}
        match (request.method, *(unquote(part) for part in path.strip("/").split("/"))):
            case ("GET", "subjects"):
                return self._subjects(query)
            case ("GET", "subjects", subject, "versions"):
                return self._numbers(subject)
            case ("GET", "subjects", subject, "versions", number):
                return self._version(subject, int(number), query)
            case ("POST", "subjects", subject, "versions"):
                return self._register(subject, body)
            case ("GET", "schemas", "ids", number):
                return self._by_id(int(number))
            case (method, "config", *subject):
                return self._config(method, subject[0] if subject else None, body)
            case (method, "mode", *subject):
                return self._mode(method, subject[0] if subject else None, body, query)
        raise Refusal(404, 404, "HTTP 404 Not Found")

    def _subjects(self, query: Mapping[str, str]) -> list[str]:
        subjects = sorted({subject for subject, _ in self.versions})
        if self.dialect in (Dialect.OLD_CONFLUENT, Dialect.KARAPACE):
            return subjects
        offset = int(query.get("offset", 0))
        return subjects[offset : offset + min(self.page_most, int(query.get("limit", self.page_most)))]

    def _numbers(self, subject: str) -> list[int]:
        found = sorted(version for name, version in self.versions if name == subject)
        if not found:
            raise Refusal(404, 40401, f"Subject '{subject}' not found.")
        return found

    def _version(self, subject: str, version: int, query: Mapping[str, str]) -> dict[str, Any]:
        found = self.versions.get((subject, version))
        if found is None and query.get("deleted") == "true":
            found = self.deleted.get((subject, version))
        if found is None:
            raise Refusal(404, 40402, f"Version {version} not found.")
        return {"subject": subject, "version": version, **self._shown(found)}

    def _by_id(self, schema_id: int) -> dict[str, Any]:
        for one in (*self.versions.values(), *self.deleted.values()):
            if one["id"] == schema_id:
                return {name: value for name, value in self._shown(one).items() if name != "id"}
        raise Refusal(404, 40403, "Schema not found")

    def _shown(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Avro is not named; Apicurio shows nulls where others leave out."""
        shown = {name: value for name, value in found.items() if value != "AVRO"}
        return {"references": None, **shown} if self.dialect is Dialect.APICURIO else shown

    def _register(self, subject: str, body: dict[str, Any]) -> dict[str, int]:
        for reference in body.get("references", ()):
            if (reference["subject"], reference["version"]) not in self.versions:
                raise Refusal(422, 42201, f"No schema reference found for subject {reference['subject']}")
        schema = {name: value for name, value in body.items() if name not in ("id", "version")}
        is_import = self.modes.get(subject, self.mode) == "IMPORT" and self.dialect is not Dialect.APICURIO
        if "id" in body and not is_import and self.dialect is not Dialect.APICURIO:
            raise Refusal(422, 42205, f"Subject {subject} is not in import mode")
        if not is_import:
            versions = [version for name, version in (*self.versions, *self.deleted) if name == subject]
            body = {"id": self.next_id, "version": max(versions, default=0) + 1}
        under_id = next((one for one in self.versions.values() if one["id"] == body["id"]), None)
        if under_id is not None and under_id["schema"] != schema["schema"]:
            raise Refusal(422, 42205, f"Overwrite new schema with id {body['id']} is not permitted.")
        # In mode IMPORT it overwrites what is there.
        self.put(subject, body["version"], body["id"], **schema)
        self.deleted.pop((subject, body["version"]), None)
        return {"id": body["id"]}

    def _config(self, method: str, subject: str | None, body: dict[str, Any]) -> dict[str, str]:
        if method == "PUT":
            if body["compatibility"] not in LEVELS:
                raise Refusal(422, 42203, "Invalid compatibility level.")
            if subject is None:
                self.level = body["compatibility"]
            else:
                self.levels[subject] = body["compatibility"]
            return body
        if subject is None:
            return {"compatibilityLevel": self.level}
        if subject not in self.levels and self.dialect is not Dialect.APICURIO:
            raise Refusal(404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return {"compatibilityLevel": self.levels.get(subject, "NONE")}

    def _mode(self, method: str, subject: str | None, body: dict[str, Any], query: Mapping[str, str]) -> dict[str, str]:
        if method != "GET" and (self.dialect is Dialect.KARAPACE or subject is None):
            raise Refusal(405, 405, "Method Not Allowed")
        if subject is None:
            return {"mode": self.mode}
        if method == "PUT":
            if body["mode"] == "IMPORT" and query.get("force") != "true":
                self._empty(subject)
            self.modes[subject] = body["mode"]
            return body
        if subject not in self.modes and self.dialect in (Dialect.APICURIO, Dialect.KARAPACE):
            return {"mode": self.mode}
        if subject not in self.modes:
            raise Refusal(404, 40409, f"Subject '{subject}' does not have subject-level mode configured")
        if method == "GET":
            return {"mode": self.modes[subject]}
        if self.dialect is Dialect.OLD_CONFLUENT:
            raise Refusal(405, 405, "HTTP 405 Method Not Allowed")
        return {"mode": self.modes.pop(subject)}

    def _empty(self, subject: str) -> None:
        """Without force, mode IMPORT is for subjects without versions, and deleted ones are gone for good."""
        if any(name == subject for name, _ in self.versions):
            raise Refusal(422, 42205, "Cannot import since found existing subjects")
        self.deleted = {key: one for key, one in self.deleted.items() if key[0] != subject}
