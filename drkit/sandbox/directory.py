"""What a sandbox keeps on disk, and what it was made with."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from drkit.errors import RefusedError, UsageError
from drkit.sandbox.layout import (
    REGIONS,
    Layout,
    aliases_answer,
    check_port_base,
    check_subnet,
    default_port_base,
    single_address_layout,
    spread_layout,
)

USERS: Final = ("admin", "mirror", "drkit", "app")
ENVIRONMENTS: Final = ("development", "staging", "production")

DEFAULT_KAFKA: Final = "4.3.1"
_SCHEMA: Final = "drkit.sandbox-identity/1"
# Lists in Kafka, references in Connect, escapes and lines in properties files.
_UNUSABLE: Final = ",:}\\\n"
_LOCK_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks a sandbox to be; None: as it is, or the default for a new one."""

    subnet: str | None = None
    kafka_version: str | None = None
    environment: str | None = None
    single_address: bool | None = None
    port_base: int | None = None
    exactly_once: bool | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What a sandbox was made with; fixed for its life."""

    subnet: str
    kafka_version: str
    environment: str
    single_address: bool
    port_base: int
    cluster_ids: dict[str, str]
    exactly_once: bool = True
    """Whether the mirror's workers run with Connect's exactly-once support."""

    @property
    def layout(self) -> Layout:
        """Where everything listens."""
        return single_address_layout(self.port_base) if self.single_address else spread_layout(self.subnet)


def new_identity(request: Request) -> Identity:
    """Settle what was left open. Raises ``UsageError``."""
    subnet = request.subnet or "127.31"
    check_subnet(subnet)
    environment = request.environment or "staging"
    if environment not in ENVIRONMENTS:
        raise UsageError(f"{environment!r} is no environment", hint=f"choose one of {', '.join(ENVIRONMENTS)}")
    port_base = default_port_base(subnet) if request.port_base is None else request.port_base
    check_port_base(port_base)
    single = request.single_address
    if single is None:
        single = request.port_base is not None or not aliases_answer(subnet)
    return Identity(
        subnet=subnet,
        kafka_version=request.kafka_version or DEFAULT_KAFKA,
        environment=environment,
        single_address=single,
        port_base=port_base,
        cluster_ids={region: _cluster_id() for region in REGIONS},
        exactly_once=request.exactly_once is not False,
    )


def _cluster_id() -> str:
    """A random UUID as Kafka writes one (``org.apache.kafka.common.Uuid``); it never begins with a dash."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return _cluster_id() if text.startswith("-") else text


class Directory:
    """The files of one sandbox. Everything in it is made, and removed, by drkit."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.config = self.root / "drkit.yaml"
        self.secrets = self.root / "secrets"
        self.logs = self.root / "logs"
        self.aws = self.root / "aws"
        self.state = self.root / "state"
        self.temporary = self.root / "tmp"
        self._identity = self.root / "sandbox.json"
        self._lock = self.root / ".lock"

    def region(self, name: str) -> Path:
        """Broker data and properties files of a region."""
        return self.root / "regions" / name

    def log(self, process: str) -> Path:
        """The log of a process."""
        return self.logs / f"{process.replace('/', '-')}.log"

    def password_file(self, user: str) -> Path:
        """The file whose first line is a user's password."""
        return self.secrets / f"{user}.password"

    @property
    def mirror_properties(self) -> Path:
        """The mirror's password as Kafka Connect's ``file`` provider reads it (key ``mirror.password``)."""
        return self.secrets / "mirror.properties"

    @property
    def mirror_password(self) -> str:
        """The reference that Connect workers resolve to the mirror's password."""
        return f"connect:${{file:{self.mirror_properties}:mirror.password}}"

    def password(self, user: str) -> str:
        """A user's password."""
        return self.password_file(user).read_text().strip()

    def identity(self) -> Identity | None:
        """What the sandbox was made with; None where there is no sandbox."""
        try:
            document = json.loads(self._identity.read_text())
        except FileNotFoundError:
            return None
        if document.pop("schema") != _SCHEMA:
            raise RefusedError(
                f"the sandbox in {self.root} was made by another version of drkit",
                hint=f"remove it with that version, or delete {self.root}",
            )
        return Identity(**document)

    def create(self, identity: Identity) -> None:
        """Write passwords and properties, then the identity: with it the sandbox exists."""
        for directory in (self.secrets, self.logs, self.aws):
            directory.mkdir(parents=True, exist_ok=True)
        # Logs and broker storage speak of credentials too.
        self.root.chmod(0o700)
        for user in USERS:
            write_atomically(self.password_file(user), secrets.token_urlsafe(24) + "\n")
        write_atomically(self.mirror_properties, f"mirror.password={self.password('mirror')}\n")
        self._write(identity)

    def lose_cluster(self, identity: Identity, region: str) -> None:
        """Remove all that a region's cluster holds; the one that starts there next is another one, and empty."""
        shutil.rmtree(self.region(region), ignore_errors=True)
        self._write(replace(identity, cluster_ids={**identity.cluster_ids, region: _cluster_id()}))

    def _write(self, identity: Identity) -> None:
        write_atomically(self._identity, json.dumps({"schema": _SCHEMA, **asdict(identity)}, indent=2) + "\n")

    def check_path(self) -> None:
        """Raise ``UsageError`` where the path cannot stand in Kafka's and Connect's configuration."""
        unusable = sorted(set(str(self.root)) & set(_UNUSABLE))
        if unusable:
            raise UsageError(
                f"{str(self.root)!r} cannot hold a sandbox: {unusable[0]!r} has a meaning in Kafka's configuration",
                hint="choose another directory with --dir",
            )

    def refuse_foreign(self) -> None:
        """Raise ``RefusedError`` where the directory holds files that no sandbox has left there."""
        if self.root.exists() and not self.root.is_dir():
            raise RefusedError(f"{self.root} is no directory", hint="choose another one with --dir")
        if not self._identity.exists() and any(not self._is_ours(entry) for entry in self._entries()):
            raise RefusedError(
                f"{self.root} is not empty and no sandbox: drkit would remove its contents with the sandbox",
                hint="choose an empty or a new directory with --dir",
            )

    def clear(self) -> None:
        """Remove everything that belongs to the sandbox, its identity last."""
        for entry in self._entries():
            if self._is_ours(entry) and entry not in (self._identity, self._lock):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        self._identity.unlink(missing_ok=True)

    def _entries(self) -> list[Path]:
        return list(self.root.iterdir()) if self.root.is_dir() else []

    def _is_ours(self, entry: Path) -> bool:
        known = re.compile(
            r"drkit\.yaml|sandbox\.json|secrets|logs|aws|regions|state|tmp|workload|classes\.txt|\.lock|\..*\.partial"
        )
        return known.fullmatch(entry.name) is not None

    @contextmanager
    def exclusive(self, progress: Callable[[str], None]) -> Iterator[None]:
        """Keep every other drkit off this sandbox meanwhile; the lock dies with the process, however it dies.

        Where there is no sandbox afterwards, nothing is left of the directory if it is empty.
        """
        descriptor = self._acquire(progress)
        try:
            yield
        finally:
            if not self._identity.exists():
                self._lock.unlink(missing_ok=True)
                with suppress(OSError):
                    self.root.rmdir()
            os.close(descriptor)

    def _acquire(self, progress: Callable[[str], None]) -> int:
        deadline = time.monotonic() + _LOCK_SECONDS
        announced = False
        while time.monotonic() < deadline:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:
                # Whoever held the lock removes the sandbox, and has just removed its directory.
                continue
            if self._try_lock(descriptor):
                return descriptor
            os.close(descriptor)
            if not announced:
                progress("waiting for another drkit that works on this sandbox")
                announced = True
            time.sleep(0.1)
        raise RefusedError(
            f"another drkit has worked on {self.root} for {_LOCK_SECONDS:.0f} s", hint="wait for it, or end it"
        )

    def _try_lock(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held the lock may have removed the file with the sandbox: then this lock is of no use.
            return os.fstat(descriptor).st_ino == self._lock.stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            return False


def write_atomically(path: Path, text: str) -> None:
    """Write a file that only its owner can read; nobody ever sees half of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    partial.replace(path)
