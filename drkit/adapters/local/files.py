"""Objects in a directory with S3's conditional writes, and lines that survive a crash.

The object store is for the day when S3 itself cannot be reached. It holds between processes of one machine, on a
local file system; it does not hold on NFS, and it does not hold between machines.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drkit.adapters.object_keys import check_key, check_prefix
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import PreconditionFailed, StoredObject

_HEADER = re.compile(rb"drkit-object/1 ([0-9a-f]{32})\n")
_INCOMING = ".incoming"
_LOCK = ".lock"
_POLL_SECONDS = 0.002


class LocalObjectStore:
    """``drkit.ports.ObjectStore`` in one directory, shared by threads and processes.

    A file is a header line with a nonce, then the body; the ETag is the nonce and the body's hash, so that content
    which comes back (A, B, A) has another one. Writes hold a lock (``flock``, released by the kernel when a process
    dies), and are made durable in a file of their own before a link or a rename makes them visible at once: a reader
    or a crash sees an object whole or not at all.

    S3 allows the key ``a`` beside ``a/b``; a directory does not, and the second is refused.
    """

    def __init__(self, directory: Path, *, request_seconds: float = 10.0) -> None:
        self._directory = directory
        self._request_seconds = request_seconds

    def get(self, key: str) -> StoredObject | None:
        """The object, or None. Raises ``RefusedError`` for a file that this class did not write."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise _refused(f"read {path}", error) from error
        header = _HEADER.match(content)
        if header is None:
            raise RefusedError(f"{path} is not an object of drkit", hint="move it away: nothing else may write there")
        body = content[header.end() :]
        return StoredObject(key, body, _etag(header[1], body))

    def create(self, key: str, body: bytes) -> str:
        """Write a new object; its ETag. Raises ``PreconditionFailed`` if the key exists."""
        path = self._path(key)
        with self._writing(path):
            if path.is_file():
                raise PreconditionFailed(f"{path} exists")
            _make_directories(path.parent)
            incoming, etag = self._write_incoming(body)
            # A link, for unlike a rename it never replaces anything, lock or no lock.
            path.hardlink_to(incoming)
            incoming.unlink()
            self._sync_visible(path)
            return etag

    def replace(self, key: str, body: bytes, etag: str) -> str:
        """Write over the object that has this ETag; the new ETag.

        Raises ``PreconditionFailed`` if it changed or is gone.
        """
        path = self._path(key)
        with self._writing(path):
            current = self.get(key)
            if current is None or current.etag != etag:
                raise PreconditionFailed(f"{path} {'is gone' if current is None else 'has changed'}")
            incoming, new_etag = self._write_incoming(body)
            incoming.replace(path)
            self._sync_visible(path)
            return new_etag

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error."""
        path = self._path(key)
        with self._writing(path):
            if path.is_file():
                path.unlink()
                self._sync_visible(path)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with ``prefix``, sorted."""
        check_prefix(prefix)
        keys = []
        for directory, subdirectories, files in os.walk(self._directory / prefix.rpartition("/")[0]):
            subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
            below = Path(directory).relative_to(self._directory)
            keys += [(below / name).as_posix() for name in files if not name.startswith(".")]
        return iter(sorted(key for key in keys if key.startswith(prefix)))

    def _path(self, key: str) -> Path:
        return self._directory.joinpath(*check_key(key).split("/"))

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            _make_directories(self._directory / _INCOMING)
            with _open_private(self._directory / _LOCK, os.O_RDWR | os.O_CREAT) as lock:
                _lock(lock, self._request_seconds, self._directory)
                # Whoever holds the lock is the only writer: what lies here was left by one that died.
                for debris in (self._directory / _INCOMING).iterdir():
                    debris.unlink()
                yield
        except OSError as error:
            raise _refused(f"write {path}", error) from error

    def _write_incoming(self, body: bytes) -> tuple[Path, str]:
        nonce = secrets.token_hex(16).encode()
        incoming = self._directory / _INCOMING / nonce.decode()
        with _open_private(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
            _write_durably(file, b"drkit-object/1 " + nonce + b"\n" + body)
        return incoming, _etag(nonce, body)

    def _sync_visible(self, path: Path) -> None:
        try:
            _sync_directory(path.parent)
        except OSError as error:
            # Others see the object already, but a crash may take it back.
            raise UnreachableError(f"cannot make {path} durable: {error}") from error


def require_private(directory: Path) -> None:
    """Raise ``RefusedError`` for a directory that others may write to, or that is somebody else's."""
    try:
        status = directory.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refused(f"use {directory}", error) from error
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RefusedError(f"others may write to {directory}", hint=f"chown it to yourself, and chmod 700 {directory}")


def append_line(path: Path, line: str, *, lock_seconds: float = 2.0) -> None:
    """Append one line to a file of mode 0600 and make it durable before returning.

    Directories are made with mode 0700. A line torn by a crash stays a line by itself: this one begins behind it.
    Lines of several threads and processes do not mix. Raises ``RefusedError`` when the line could not be written
    (``UnreachableError`` if somebody else holds the file for ``lock_seconds``), and ``ValueError`` for one that holds
    a line break.
    """
    if "\n" in line or "\r" in line:
        raise ValueError("a line cannot hold a line break")
    try:
        is_new = not path.exists()
        _make_directories(path.parent)
        with _open_private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as file:
            _lock(file, lock_seconds, path)
            size = os.fstat(file.fileno()).st_size
            is_torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
            _write_durably(file, b"\n" * is_torn + line.encode() + b"\n")
        if is_new:
            _sync_directory(path.parent)
    except OSError as error:
        raise _refused(f"append to {path}", error) from error


def _lock(file: io.FileIO, seconds: float, what: Path) -> None:
    """Hold the file's lock until it is closed. Raises ``UnreachableError`` if somebody else goes on holding it."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"another process has been writing to {what} for {seconds:g} s",
                hint="find it with fuser: it may be stopped (SIGSTOP)",
            )
        time.sleep(_POLL_SECONDS)


def _make_directories(directory: Path) -> None:
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        _sync_directory(path.parent)


def _open_private(path: Path, flags: int) -> io.FileIO:
    mode = "r+b" if flags & os.O_RDWR else "wb"
    return io.FileIO(os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), mode)


def _write_durably(file: io.FileIO, content: bytes) -> None:
    while content:
        content = content[file.write(content) :]
    os.fsync(file.fileno())


def _etag(nonce: bytes, body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}-{nonce.decode()}"'


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _refused(what: str, error: OSError) -> RefusedError:
    return RefusedError(f"cannot {what}: {error.strerror or error}", hint="check the disk and the permissions there")
