from __future__ import annotations

import threading
from pathlib import Path

from drkit.sandbox.workload.settings import Phase, PhaseWatch, WorkloadFiles
from tests.unit.sandbox.workload.sample import sample_settings
from tests.waiting import eventually


def test_settings_are_read_as_they_were_saved(tmp_path: Path) -> None:
    files = WorkloadFiles(tmp_path / "workload")
    assert files.load() is None
    files.save(sample_settings())
    assert files.load() == sample_settings()
    assert all(path.stat().st_mode & 0o077 == 0 for path in [files.directory, *files.directory.iterdir()])


def test_a_new_run_begins_without_anything_of_the_one_before(tmp_path: Path) -> None:
    files = WorkloadFiles(tmp_path)
    files.save(sample_settings())
    files.group(0).write_bytes(b"ledger")
    files.end_writes(5)
    files.note_end("workload-producers-0", "ended")
    files.save(sample_settings(run=2))
    assert files.load() == sample_settings(run=2)
    assert not files.group(0).exists()
    assert (files.phase(), files.writes_ended_ms(), files.end("workload-producers-0")) == (Phase.RUN, None, None)


def test_the_writing_ends_once(tmp_path: Path) -> None:
    files = WorkloadFiles(tmp_path)
    files.end_writes(5)
    files.end_writes(9)
    assert (files.phase(), files.writes_ended_ms()) == (Phase.END_WRITES, 5)


def test_without_a_phase_it_is_over(tmp_path: Path) -> None:
    assert WorkloadFiles(tmp_path / "gone").phase() is Phase.STOP


def test_a_watch_sees_the_phase_change_and_wakes_who_waits(tmp_path: Path) -> None:
    files = WorkloadFiles(tmp_path)
    files.set_phase(Phase.RUN)
    watch = PhaseWatch(files)
    assert not watch.wait(0.01, lambda phase: phase is Phase.STOP)
    woken = threading.Event()

    def sleeper() -> None:
        if watch.wait(20, lambda phase: phase is Phase.STOP):
            woken.set()

    threading.Thread(target=sleeper, daemon=True).start()
    files.set_phase(Phase.DRAIN)
    eventually(lambda: watch.phase is Phase.DRAIN, timeout_seconds=10, because="the watch sees it")
    assert not woken.is_set()
    files.set_phase(Phase.STOP)
    assert woken.wait(10)
