"""A few pages over HTTP, asked by clients that are well, slow, many, or want something else."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from drkit.adapters.local.page_server import HttpPages
from drkit.errors import RefusedError, UsageError
from drkit.ports import Page
from tests.waiting import PATIENCE_SECONDS, eventually


def bug() -> Page:
    raise ZeroDivisionError


PAGES = {
    "/healthz": lambda: Page(503, "application/json", b'{"healthy": false}\n'),
    "/bug": bug,
}


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with HttpPages("127.0.0.1:0", seconds=0.5).serving(PAGES) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


def ask(address: tuple[str, int], method: str, target: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_a_page(address: tuple[str, int]) -> None:
    status, headers, body = ask(address, "GET", "/healthz?verbose=1")
    assert (status, body) == (503, b'{"healthy": false}\n')
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "drkit"


def test_its_head(address: tuple[str, int]) -> None:
    status, headers, body = ask(address, "HEAD", "/healthz")
    assert (status, headers["Content-Length"], body) == (503, "19", b"")


@pytest.mark.parametrize(("method", "status"), [("POST", 501), ("PUT", 501), ("DELETE", 501), ("OPTIONS", 501)])
def test_nothing_else_is_taken(address: tuple[str, int], method: str, status: int) -> None:
    assert ask(address, method, "/healthz")[0] == status


@pytest.mark.parametrize("target", ["/", "/healthz/", "/../healthz", "/metrics"])
def test_nothing_else_is_there(address: tuple[str, int], target: str) -> None:
    assert ask(address, "GET", target)[0] == 404


def test_a_bug_in_a_page_is_told_to_whoever_asked(address: tuple[str, int]) -> None:
    status, _, body = ask(address, "GET", "/bug")
    assert (status, body) == (500, b"a bug in drkit: ZeroDivisionError\n")
    assert ask(address, "GET", "/healthz")[0] == 503


def is_hung_up(client: socket.socket) -> bool:
    client.settimeout(PATIENCE_SECONDS)
    try:
        return client.recv(1 << 16) == b""
    except ConnectionError:
        return True


def test_a_client_that_sends_byte_by_byte_is_hung_up_on(address: tuple[str, int]) -> None:
    began = time.monotonic()
    with socket.create_connection(address) as client:
        stop = threading.Event()

        def drip() -> None:
            try:
                while not stop.wait(0.05):
                    client.send(b"G")
            except OSError:
                pass

        sender = threading.Thread(target=drip)
        sender.start()
        assert is_hung_up(client)
        stop.set()
        sender.join()
    assert time.monotonic() - began < 5


def test_a_client_that_says_nothing_holds_up_nobody(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as silent:
        assert ask(address, "GET", "/healthz")[0] == 503
        assert is_hung_up(silent)


def test_more_clients_than_there_are_threads_are_sent_away_and_come_back() -> None:
    with ExitStack() as clients, HttpPages("127.0.0.1:0", seconds=2.0).serving(PAGES) as url:
        address = "127.0.0.1", int(url.rpartition(":")[2])
        for _ in range(8):
            clients.enter_context(socket.create_connection(address))
        with pytest.raises((ConnectionError, http.client.BadStatusLine)):
            ask(address, "GET", "/healthz")
        clients.close()

        def answers() -> bool:
            try:
                return ask(address, "GET", "/healthz")[0] == 503
            except (ConnectionError, http.client.BadStatusLine):
                return False

        eventually(answers, timeout_seconds=PATIENCE_SECONDS, because="threads are free again")


def test_an_address_that_is_taken(address: tuple[str, int]) -> None:
    with (
        pytest.raises(RefusedError, match="cannot listen on 127") as caught,
        HttpPages(f"127.0.0.1:{address[1]}").serving(PAGES),
    ):
        pass
    assert "--listen" in caught.value.hint


def test_it_listens_no_longer_than_the_block_runs() -> None:
    with HttpPages("127.0.0.1:0").serving(PAGES) as url:
        port = int(url.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_an_address_of_ipv6() -> None:
    try:
        with HttpPages("[::1]:0").serving(PAGES) as url:
            assert url.startswith("http://[::1]:")
            assert ask(("::1", int(url.rpartition(":")[2])), "GET", "/healthz")[0] == 503
    except RefusedError:
        pytest.skip("this machine has no IPv6")


@pytest.mark.parametrize("listen", ["", "9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536"])
def test_what_is_no_address(listen: str) -> None:
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        HttpPages(listen)
