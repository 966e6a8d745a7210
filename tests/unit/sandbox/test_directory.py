from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from drkit.errors import RefusedError, UsageError
from drkit.sandbox.directory import Directory, Request, new_identity, write_atomically


def silent(line: str) -> None:
    pass


def test_an_identity_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "box")
    identity = new_identity(Request(subnet="127.77", environment="production", single_address=True))
    assert directory.identity() is None
    directory.create(identity)
    assert Directory(tmp_path / "box").identity() == identity
    assert (identity.kafka_version, identity.port_base) == ("4.3.1", 21540)


def test_clusters_and_users_are_not_those_of_another_sandbox(tmp_path: Path) -> None:
    one, other = (new_identity(Request()) for _ in range(2))
    ids = [*one.cluster_ids.values(), *other.cluster_ids.values()]
    assert len(set(ids)) == 4
    assert {len(found) for found in ids} == {22}
    boxes = [Directory(tmp_path / name) for name in ("one", "other")]
    for box in boxes:
        box.create(one)
    passwords = {box.password(user) for box in boxes for user in ("admin", "mirror", "drkit", "app")}
    assert len(passwords) == 8


@pytest.mark.parametrize("request_", [Request(subnet="10.0"), Request(environment="test"), Request(port_base=99999)])
def test_a_wrong_request_is_refused(request_: Request) -> None:
    with pytest.raises(UsageError):
        new_identity(request_)


def test_clearing_removes_all_of_the_sandbox_and_nothing_else(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "box")
    with directory.exclusive(silent):
        directory.create(new_identity(Request()))
        (directory.region("ap-east-2") / "data").mkdir(parents=True)
        write_atomically(directory.config, "project: x\n")
        directory.refuse_foreign()
        (directory.root / "notes.txt").write_text("mine")
        directory.clear()
    assert [entry.name for entry in directory.root.iterdir()] == ["notes.txt"]
    with pytest.raises(RefusedError, match="not empty"):
        directory.refuse_foreign()


def test_a_directory_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text('{"schema": "drkit.sandbox-identity/9"}')
    with pytest.raises(RefusedError, match="another version"):
        Directory(tmp_path).identity()


def test_one_at_a_time_even_when_the_lock_file_is_replaced(tmp_path: Path) -> None:
    inside: list[int] = []
    crowded: list[int] = []

    def work(number: int) -> None:
        # Every visit ends with the removal of the directory, as `down` does.
        for _ in range(5):
            with Directory(tmp_path / "box").exclusive(silent):
                inside.append(number)
                if len(inside) > 1:
                    crowded.append(number)
                time.sleep(0.002)
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert crowded == []
    assert not (tmp_path / "box").exists()


def test_a_directory_that_is_removed_before_its_lock_is_there_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    real = os.open

    def open_late(path: str, *arguments: int) -> int:
        opened.append(path)
        if len(opened) == 1:
            (tmp_path / "box").rmdir()
        return real(path, *arguments)

    monkeypatch.setattr("drkit.sandbox.directory.os.open", open_late)
    with Directory(tmp_path / "box").exclusive(silent):
        assert len(opened) == 2


@pytest.mark.parametrize("name", ["a,b", "a:b", "a}b", "a\\b", "a\nb"])
def test_a_path_that_kafka_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Directory(tmp_path / name).check_path()
    Directory(tmp_path / "a b-c_d.e").check_path()
