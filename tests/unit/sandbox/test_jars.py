from __future__ import annotations

import json
from pathlib import Path

import pytest

from drkit.errors import UsageError
from drkit.sandbox import jars


@pytest.mark.parametrize(
    ("version", "words"),
    [("4.4.0", "never published"), ("3.6.2", "too old"), ("4.3", "all three"), ("latest", "all three")],
)
def test_a_version_that_cannot_run_is_refused_with_the_reason(version: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        jars.check_version(version)
    assert words in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("version", ["3.7.0", "3.9.1", "4.3.1"])
def test_a_version_that_can_run_is_taken(version: str) -> None:
    jars.check_version(version)


def test_jars_count_only_while_they_are_what_was_downloaded(tmp_path: Path) -> None:
    record, jar = tmp_path / "kafka.jars", tmp_path / "kafka.jar"
    assert jars._recorded(record) is None
    jar.write_bytes(b"12345")
    record.write_text(json.dumps([[str(jar), 5]]))
    assert jars._recorded(record) == [jar]
    jar.write_bytes(b"123")
    assert jars._recorded(record) is None
    jar.unlink()
    assert jars._recorded(record) is None
