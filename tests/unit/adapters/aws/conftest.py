"""Fixtures of the AWS adapters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.http_server import ScriptedHttpServer, forward, http_server
from tests.fakes.moto import moto_endpoint, no_aws_identity

__all__ = ["moto_endpoint", "no_aws_identity"]


@pytest.fixture(scope="module")
def server(moto_endpoint: str, no_aws_identity: None) -> Iterator[ScriptedHttpServer]:
    with http_server(forward(moto_endpoint)) as one:
        yield one


@pytest.fixture
def between(server: ScriptedHttpServer, moto_endpoint: str) -> ScriptedHttpServer:
    """Stands between an adapter and moto."""
    server.reset(forward(moto_endpoint))
    return server
