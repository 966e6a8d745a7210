"""What a service tells of itself over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: int
    content_type: str
    body: bytes


Pages = Mapping[str, Callable[[], Page]]
"""Path to what answers there. Asked from several threads at once."""


class PageServer(Protocol):
    """Answers requests while the service runs."""

    def serving(self, pages: Pages) -> AbstractContextManager[str]:
        """Serve these pages while the block runs; the address. Raises ``RefusedError`` if it cannot listen there."""
