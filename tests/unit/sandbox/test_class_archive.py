from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from drkit.sandbox.class_archive import archive_path, prune, write_class_list
from drkit.sandbox.jars import JavaRuntime


def test_the_class_list_names_kafka_and_java(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    write_class_list(path)
    names = path.read_text().splitlines()
    assert len(names) == len(set(names))
    assert {"kafka/Kafka", "java/lang/String", "org/apache/kafka/connect/cli/ConnectDistributed"} <= set(names)
    assert all(" " not in name for name in names)


def test_an_archive_is_of_one_runtime_and_one_set_of_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    modules, jar = tmp_path / "lib" / "modules", tmp_path / "kafka.jar"
    modules.parent.mkdir()
    modules.write_bytes(b"java")
    jar.write_bytes(b"kafka")
    runtime = JavaRuntime(tmp_path / "bin" / "java", tmp_path, str(jar))
    first = archive_path(runtime)
    assert first.parent == tmp_path / "cache" / "drkit"
    assert archive_path(runtime) == first
    jar.write_bytes(b"another kafka")
    assert archive_path(runtime) != first


def test_archives_that_nobody_uses_go(tmp_path: Path) -> None:
    old, new = tmp_path / "kafka-old.jsa", tmp_path / "kafka-new.jsa"
    for path in (old, new):
        path.touch()
    os.utime(old, (time.time() - 40 * 24 * 3600,) * 2)
    prune(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kafka-new.jsa"]
