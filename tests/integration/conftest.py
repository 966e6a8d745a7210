"""The sandbox that tests of the workload share: what they leave behind disturbs none of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drkit.sandbox import Sandbox
from tests.conftest import protected_sandbox


@pytest.fixture(name="box", scope="package")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path_factory.mktemp("workload") / "sandbox") as box:
        yield box
    assert box.processes.find() == {}
