"""The service that steps act on."""

from __future__ import annotations

import pytest

from tests.fakes.service import FakeService
from tests.unit.config.sample import settings


@pytest.fixture
def service() -> FakeService:
    """A service whose fence, mirror, groups and redirect are as they were before a run."""
    return FakeService(settings())
