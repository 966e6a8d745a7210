"""Fixtures that every kind of test shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drkit.cli.sandbox import after_up
from drkit.sandbox import Sandbox
from drkit.sandbox.layout import spread_layout
from drkit.sandbox.readiness import can_listen


def free_subnet(first: int) -> str:
    """A subnet on which no other sandbox runs, from a range that is this test process's own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start = first + 16 * worker
    subnets = (f"127.{number}" for number in range(start, start + 16))
    return next(subnet for subnet in subnets if can_listen(spread_layout(subnet).aws))


@contextmanager
def protected_sandbox(directory: Path, first_subnet: int) -> Iterator[Sandbox]:
    """A sandbox of one's own, mirrored and its standby fenced: a failover cannot be taken back within a session's."""
    box = Sandbox(directory, free_subnet(first_subnet))
    try:
        box.up()
        after_up(box.config)
        yield box
    finally:
        box.down()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Two real Kafka regions for the whole session. Whoever breaks something mends it."""
    box = Sandbox(tmp_path_factory.mktemp("sandbox"), free_subnet(100))
    try:
        box.up()
        yield box
    finally:
        box.down()


@pytest.fixture(scope="session")
def sandbox_config(sandbox: Sandbox) -> Path:
    """The session's sandbox as a service that drkit protects: mirror running, standby fenced."""
    after_up(sandbox.config)
    return sandbox.config
