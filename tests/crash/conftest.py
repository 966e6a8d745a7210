"""Failpoints that kill, for the tests beside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.killing import Failpoints


@pytest.fixture(name="points")
def _points(monkeypatch: pytest.MonkeyPatch) -> Iterator[Failpoints]:
    points = Failpoints()
    for module in ("execution", "runner"):
        monkeypatch.setattr(f"drkit.engine.{module}.hit", points.hit)
    yield points
    assert not points.deadly, f"{points.deadly} was never reached"
