"""The directory store and the durable lines, where a file system shows through."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from drkit.adapters.local.files import LocalObjectStore, append_line
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import PreconditionFailed
from tests.waiting import eventually


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(directory: Path) -> LocalObjectStore:
    return LocalObjectStore(directory)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_read_it(store: LocalObjectStore, directory: Path) -> None:
    before = os.umask(0)
    try:
        store.create("runs/1/00000001.json", b"{}")
    finally:
        os.umask(before)
    assert {_mode(path) for path in (directory, directory / "runs", directory / "runs" / "1")} == {0o700}
    assert _mode(directory / "runs" / "1" / "00000001.json") == 0o600


def test_content_that_comes_back_has_another_etag(store: LocalObjectStore) -> None:
    first = store.create("lease.json", b"A")
    second = store.replace("lease.json", b"B", first)
    third = store.replace("lease.json", b"A", second)
    assert third != first
    with pytest.raises(PreconditionFailed):
        store.replace("lease.json", b"C", first)


def test_what_another_process_wrote_is_seen(store: LocalObjectStore, directory: Path) -> None:
    etag = store.create("lease.json", b"1")
    other = LocalObjectStore(directory)
    found = other.get("lease.json")
    assert found is not None
    assert found.etag == etag
    other.replace("lease.json", b"2", etag)
    with pytest.raises(PreconditionFailed):
        store.replace("lease.json", b"3", etag)


_RACER = """
import sys
from pathlib import Path
from drkit.adapters.local.files import LocalObjectStore
from drkit.ports import PreconditionFailed

store = LocalObjectStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
won = 0
for number in range(50):
    try:
        store.create(f"race/{number:08d}.json", sys.argv[2].encode())
        won += 1
    except PreconditionFailed:
        pass
print(won, flush=True)
"""


def test_processes_race_and_each_object_has_one_creator(store: LocalObjectStore, directory: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, str(directory), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        won = [int(racer.communicate("go\n", timeout=60)[0]) for racer in _started(racers)]
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    assert sum(won) == 50
    found = [store.get(key) for key in store.list("race/")]
    bodies = [one.body for one in found if one is not None]
    assert [bodies.count(str(number).encode()) for number in range(3)] == won


_COUNTER = """
import sys
from pathlib import Path
from drkit.adapters.local.files import LocalObjectStore
from drkit.ports import PreconditionFailed

store = LocalObjectStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
done = 0
while done < 30:
    found = store.get("counter")
    try:
        store.replace("counter", str(int(found.body) + 1).encode(), found.etag)
        done += 1
    except PreconditionFailed:
        pass
"""


def test_processes_that_count_by_compare_and_set_lose_nothing(store: LocalObjectStore, directory: Path) -> None:
    store.create("counter", b"0")
    counters = [
        subprocess.Popen(
            [sys.executable, "-c", _COUNTER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    try:
        for counter in counters:
            assert counter.stdout is not None
            assert counter.stdout.readline() == "ready\n"
        for counter in _started(counters):
            counter.communicate(timeout=60)
            assert counter.returncode == 0
    finally:
        for counter in counters:
            counter.kill()
            counter.communicate()
    found = store.get("counter")
    assert found is not None
    assert found.body == b"90"


def _started(racers: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    return racers


_WRITER = """
import sys
from pathlib import Path
from drkit.adapters.local.files import LocalObjectStore

store = LocalObjectStore(Path(sys.argv[1]))
etag = store.create("lease.json", b"0" * 100_000)
number = 0
while True:
    number = (number + 1) % 10
    etag = store.replace("lease.json", str(number).encode() * 100_000, etag)
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_object_and_no_lock(store: LocalObjectStore, directory: Path) -> None:
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(directory)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        for _ in range(5):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        found = store.get("lease.json")
        assert found is not None
        assert len(found.body) == 100_000
        assert len(set(found.body)) == 1
        store.replace("lease.json", b"after", found.etag)
        assert list((directory / ".incoming").iterdir()) == []
        (directory / "lease.json").unlink()


def test_a_lock_that_is_held_is_waited_for(store: LocalObjectStore, directory: Path) -> None:
    store.create("a", b"")
    with (directory / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = threading.Event()

        def create() -> None:
            store.create("b", b"")
            done.set()

        thread = threading.Thread(target=create)
        thread.start()
        assert not done.wait(0.1)
        fcntl.flock(lock, fcntl.LOCK_UN)
        eventually(done.is_set, timeout_seconds=10, because="the lock is free", every=0.01)
        thread.join()


def test_a_lock_that_is_never_given_up(directory: Path) -> None:
    store = LocalObjectStore(directory, request_seconds=0.2)
    store.create("a", b"")
    with (directory / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UnreachableError, match=r"0\.2 s"):
            store.create("b", b"")
    assert store.get("b") is None


def test_a_foreign_file_is_refused(store: LocalObjectStore, directory: Path) -> None:
    store.create("a", b"")
    (directory / "lease.json").write_text("{}")
    with pytest.raises(RefusedError, match="not an object of drkit"):
        store.get("lease.json")
    with pytest.raises(RefusedError, match="not an object of drkit"):
        store.replace("lease.json", b"", '"x"')
    with pytest.raises(PreconditionFailed):
        store.create("lease.json", b"")


def test_a_key_below_an_object_is_refused(store: LocalObjectStore) -> None:
    store.create("a", b"")
    assert store.get("a/b") is None
    with pytest.raises(RefusedError):
        store.create("a/b", b"")


def test_a_key_above_an_object_is_refused(store: LocalObjectStore) -> None:
    store.create("a/b", b"")
    assert store.get("a") is None
    with pytest.raises(RefusedError):
        store.create("a", b"")


def test_a_link_out_of_the_directory_is_not_written_through(store: LocalObjectStore, directory: Path) -> None:
    store.create("a", b"")
    outside = directory.parent / "outside"
    (directory / "lease.json").symlink_to(outside)
    with pytest.raises((RefusedError, PreconditionFailed)):
        store.create("lease.json", b"")
    assert not outside.exists()


def test_a_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    store = LocalObjectStore(tmp_path / "state")
    with pytest.raises(RefusedError):
        store.create("a", b"")


def test_lines_are_appended_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "one" / "journal.jsonl"
    for line in ('{"seq": 1}', '{"seq": 2, "text": "ü"}', ""):
        append_line(path, line)
    assert path.read_text(encoding="utf-8") == '{"seq": 1}\n{"seq": 2, "text": "ü"}\n\n'
    assert _mode(path) == 0o600
    assert {_mode(path.parent), _mode(path.parent.parent)} == {0o700}


def test_a_torn_line_stays_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"seq": 1}\n{"se')
    append_line(path, '{"seq": 2}')
    assert path.read_bytes() == b'{"seq": 1}\n{"se\n{"seq": 2}\n'


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Device and inode of what was synced, in order."""
    seen: list[tuple[int, int]] = []
    fsync = os.fsync

    def watched(file: int) -> None:
        fsync(file)
        seen.append(_identity(os.fstat(file)))

    monkeypatch.setattr(os, "fsync", watched)
    return seen


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def test_every_line_is_on_the_disk_when_it_is_acknowledged(tmp_path: Path, synced: list[tuple[int, int]]) -> None:
    path = tmp_path / "journal" / "one.jsonl"
    append_line(path, "1")
    assert synced == [_identity(one.stat()) for one in (tmp_path, path, path.parent)]
    append_line(path, "2")
    assert synced[3:] == [_identity(path.stat())]


def test_every_object_is_on_the_disk_when_it_is_acknowledged(
    store: LocalObjectStore, directory: Path, synced: list[tuple[int, int]]
) -> None:
    store.create("a", b"")
    synced.clear()
    etag = store.create("runs/1", b"1")
    made = directory / "runs" / "1"
    assert synced == [_identity(one.stat()) for one in (directory, made, made.parent)]
    synced.clear()
    store.replace("runs/1", b"2", etag)
    assert synced == [_identity(one.stat()) for one in (made, made.parent)]


def test_lines_of_many_threads_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    start = threading.Barrier(8)

    def write(worker: int) -> Callable[[], None]:
        def run() -> None:
            start.wait(timeout=10)
            for number in range(20):
                append_line(path, f"{worker}:{number}:" + str(worker) * 5000)

        return run

    threads = [threading.Thread(target=write(worker)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = path.read_text().splitlines()
    assert sorted(lines) == sorted(f"{w}:{n}:" + str(w) * 5000 for w in range(8) for n in range(20))


@pytest.mark.parametrize("line", ["a\nb", "a\r", "\n"])
def test_a_line_is_one_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        append_line(tmp_path / "journal.jsonl", line)


def test_a_line_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(RefusedError, match="cannot append"):
        append_line(tmp_path / "journal.jsonl", "1")
    with pytest.raises(RefusedError, match="No space"):
        append_line(Path("/dev/full"), "1")
