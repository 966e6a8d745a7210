"""Fixtures of the adapters that speak HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.http_server import ScriptedHttpServer, http_server, reply


@pytest.fixture(scope="module")
def _server() -> Iterator[ScriptedHttpServer]:
    with http_server(reply(500)) as server:
        yield server


@pytest.fixture
def server(_server: ScriptedHttpServer) -> ScriptedHttpServer:
    """Knows nothing of the tests before, and answers 500 until it is told what to answer."""
    _server.reset(reply(500))
    return _server
