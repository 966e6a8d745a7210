"""A class-data-sharing archive of Kafka's and Java's classes: a JVM that maps it starts in half the time.

It is made once per Kafka version and Java runtime, from a list of the classes that a broker, a Connect worker with
MirrorMaker 2 and the storage tool load (``java -XX:DumpLoadedClassList``; classes that a version lacks are skipped).
A JVM that finds the archive unfit starts without it (``-Xshare:auto``).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from drkit.sandbox.jars import JavaRuntime, user_cache

CLASSES: Final = "kafka-classes.txt.gz"
"""A line for each package: its path, then its classes."""

_KEPT_SECONDS: Final = 30 * 24 * 3600


def archive_path(runtime: JavaRuntime) -> Path:
    """Where the archive of a runtime belongs: in the user's cache, under a name that changes with what is in it."""
    digest = hashlib.sha256(_packed_classes())
    for part in [runtime.home / "lib" / "modules", *map(Path, runtime.class_path.split(os.pathsep))]:
        # The JVM compares names, sizes and times as well.
        seen = part.stat()
        digest.update(f"{part}|{seen.st_size}|{seen.st_mtime_ns}\n".encode())
    return user_cache() / f"kafka-{digest.hexdigest()[:16]}.jsa"


def write_class_list(path: Path) -> None:
    """Write the class list as the JVM reads it."""
    names = _names(gzip.decompress(_packed_classes()).decode())
    path.write_text("".join(f"{name}\n" for name in names))


def _packed_classes() -> bytes:
    return files("drkit.sandbox").joinpath(CLASSES).read_bytes()


def _names(text: str) -> Iterator[str]:
    for line in text.splitlines():
        package, *classes = line.split(" ")
        yield from (f"{package}/{name}" for name in classes)


def prune(directory: Path) -> None:
    """Remove archives that nobody has used for a month."""
    for path in directory.glob("kafka-*"):
        if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
            path.unlink(missing_ok=True)
