"""Fixtures that every kind of test shares."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import find, settings
from hypothesis import strategies as st

from drkit.cli.sandbox import after_up
from drkit.sandbox import Sandbox
from drkit.sandbox.layout import spread_layout
from drkit.sandbox.readiness import can_listen

_SUBNETS_TAKEN = itertools.count()


def free_subnet() -> str:
    """A subnet on which no sandbox runs, from a range that is this test process's own; not one of late."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start, length = 100 + 50 * (worker % 3), 50
    subnets = (f"127.{start + number % length}" for number in _SUBNETS_TAKEN)
    return next(subnet for subnet in subnets if can_listen(spread_layout(subnet).aws))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the session's sandbox are marked: it is not to run on beside the sandboxes of the others."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        is_shared = item.path.parent.name in ("contracts", "e2e") or "sandbox" in fixtures
        if is_shared and item.get_closest_marker("sandbox") is not None:
            item.add_marker(pytest.mark.shared)


def hasty(config: Path) -> None:
    """Samples of health that follow each other at once: a test waits for many checks, and each would take 2 s."""
    document = yaml.safe_load(config.read_text())
    for region in document["regions"].values():
        region.setdefault("health", {})["interval_seconds"] = 0.1
    config.write_text(yaml.safe_dump(document))


@contextmanager
def protected_sandbox(directory: Path) -> Iterator[Sandbox]:
    """A sandbox of one's own, mirrored and its standby fenced: a failover cannot be taken back within a session's."""
    box = Sandbox(directory, free_subnet())
    try:
        box.up()
        after_up(box.config)
        hasty(box.config)
        yield box
    finally:
        box.down()


@pytest.fixture(scope="session", autouse=True)
def _character_table() -> None:
    """Hypothesis makes its table of characters with the first regular expression, and then finds that draw too slow.

    In a fresh clone, that is; afterwards the table is kept in ``.hypothesis``.
    """
    find(st.from_regex("[a-z]", fullmatch=True), lambda _: True, settings=settings(database=None))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Two real Kafka regions for the whole session. Whoever breaks something mends it."""
    box = Sandbox(tmp_path_factory.mktemp("sandbox"), free_subnet())
    try:
        box.up()
        yield box
    finally:
        box.down()


@pytest.fixture(scope="session")
def sandbox_config(sandbox: Sandbox) -> Path:
    """The session's sandbox as a service that drkit protects: mirror running, standby fenced."""
    after_up(sandbox.config)
    hasty(sandbox.config)
    return sandbox.config
