"""A process of the workload says how it ended, whatever ended it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drkit.sandbox.workload.settings import Phase, WorkloadFiles
from tests.unit.sandbox.workload.sample import sample_settings
from tests.waiting import eventually

CONSUMERS = "workload-consumers-0"


@contextmanager
def running(directory: Path, role: str = "consumers") -> Iterator[subprocess.Popen[str]]:
    """One process of a workload whose service is nowhere."""
    command = [sys.executable, "-m", "drkit.sandbox.workload", str(directory), role, "0", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def begun(directory: Path) -> WorkloadFiles:
    files = WorkloadFiles(directory)
    files.save(sample_settings())
    return files


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=20)
    return process.returncode, said


def test_a_process_that_is_told_to_end_ends_and_says_so(tmp_path: Path) -> None:
    files = begun(tmp_path)
    files.note_end(CONSUMERS, "the one before")
    with running(tmp_path) as process:
        eventually(lambda: files.group(1).exists(), timeout_seconds=20, because="the ledgers are opened")
        assert files.end(CONSUMERS) is None
        files.set_phase(Phase.STOP)
        assert end(process) == (0, "")
    assert files.end(CONSUMERS) == "ended"


def test_producers_end_when_the_writing_ends(tmp_path: Path) -> None:
    files = begun(tmp_path)
    with running(tmp_path, "producers") as process:
        eventually(lambda: files.writer(sample_settings().writers[1]).exists(), timeout_seconds=20, because="it begins")
        files.end_writes(1)
        assert end(process) == (0, "")
    assert files.end("workload-producers-0") == "ended"


def test_a_process_whose_sandbox_is_gone_ends(tmp_path: Path) -> None:
    files = begun(tmp_path / "workload")
    with running(tmp_path / "workload") as process:
        eventually(lambda: files.group(1).exists(), timeout_seconds=20, because="the ledgers are opened")
        (tmp_path / "workload").rename(tmp_path / "elsewhere")
        process.wait(20)


def test_an_unexpected_error_in_any_thread_ends_the_process_and_is_told(tmp_path: Path) -> None:
    files = begun(tmp_path)
    with running(tmp_path) as process:
        eventually(lambda: files.group(1).exists(), timeout_seconds=20, because="the ledgers are opened")
        (tmp_path / "phase").write_text("nonsense")
        code, said = end(process)
    assert code == 1
    assert "Traceback" in said
    assert "'nonsense' is not a valid Phase" in said
    assert (files.end(CONSUMERS) or "").startswith("failed: ValueError: 'nonsense'")


def test_an_unexpected_error_at_the_start_is_told(tmp_path: Path) -> None:
    files = begun(tmp_path)
    files.group(0).mkdir()
    with running(tmp_path) as process:
        code, said = end(process)
    assert code == 1
    assert "IsADirectoryError" in said
    assert (files.end(CONSUMERS) or "").startswith("failed: IsADirectoryError")


def test_a_process_without_settings_fails(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        code, said = end(process)
    assert code == 1
    assert "no settings in" in said
