from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

from drkit.sandbox.aws_server import JournaledApplication


class Shelf:
    """A WSGI application that keeps what it is sent, under an id that it draws."""

    def __init__(self) -> None:
        self.random = random.Random()
        self.kept: dict[str, bytes] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "GET":
            start_response("200 OK", [])
            return [repr(self.kept).encode()]
        key = f"{environ['PATH_INFO']}-{self.random.randrange(10**9)}"
        self.kept[key] = environ["wsgi.input"].read()
        start_response("201 Created", [("X-Key", key)])
        return [key.encode()]


def request(application: JournaledApplication, method: str, path: str, body: bytes = b"") -> tuple[str, bytes]:
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.version": (1, 0),
    }
    started: list[str] = []
    content = application(environ, lambda status, _: started.append(status))
    return started[0], b"".join(content)


def served(shelf: Shelf, journal: Path) -> JournaledApplication:
    return JournaledApplication(shelf, journal, shelf.random.seed)


def test_what_was_written_is_there_again_after_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "requests.jsonl"
    before = Shelf()
    first = served(before, journal)
    assert first.replay() == 0
    for path, body in (("/a", b"one"), ("/b", bytes(range(256))), ("/a", b"")):
        status, key = request(first, "PUT", path, body)
        assert status == "201 Created"
        assert before.kept[key.decode()] == body
    request(first, "GET", "/a")
    after = Shelf()
    second = served(after, journal)
    assert second.replay() == 3
    assert after.kept == before.kept

    # The numbers go on where they stopped: a later restart draws the same ids once more.
    request(second, "POST", "/c", b"late")
    third = Shelf()
    assert served(third, journal).replay() == 4
    assert third.kept == after.kept


def test_a_request_that_was_cut_off_in_the_journal_never_happened(tmp_path: Path) -> None:
    journal = tmp_path / "requests.jsonl"
    shelf = Shelf()
    application = served(shelf, journal)
    request(application, "PUT", "/a", b"one")
    whole = journal.read_bytes()
    request(application, "PUT", "/b", b"two")
    journal.write_bytes(journal.read_bytes()[:-20])
    again = Shelf()
    application = served(again, journal)
    assert application.replay() == 1
    assert list(again.kept.values()) == [b"one"]
    assert journal.read_bytes() == whole
    request(application, "PUT", "/c", b"three")
    last = Shelf()
    assert served(last, journal).replay() == 2
    assert list(last.kept.values()) == [b"one", b"three"]
