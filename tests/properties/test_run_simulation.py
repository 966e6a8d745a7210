"""Histories of a run: each ends finished, undone, or resumable with the command that was named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from drkit.domain.lifecycle import Phase
from drkit.engine.lease import Lease
from tests.properties.run_simulation import History
from tests.properties.simulated_ports import Broken

HISTORIES = int(os.environ.get("DRKIT_HISTORIES", "500"))
"""``make simulate`` lives through ten thousand, these among them."""
_CHUNK = 250


@pytest.fixture(autouse=True)
def _one_core() -> Iterator[None]:
    """Of the threads of a history one goes on at a time: between two cores, handing over costs a fifth of it all."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = sorted(os.sched_getaffinity(0))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.sched_setaffinity(0, {cores[worker % len(cores)]})
    yield
    os.sched_setaffinity(0, cores)


def live(seed: int, lease: type[Lease] = Lease) -> Phase | None:
    """One history; what it was is printed where it breaks a promise."""
    history = History(seed, lease)
    try:
        return history.run()
    except Broken as broken:
        told = "\n".join(history.trace[-60:])
        again = f"python -c 'from tests.properties.test_run_simulation import live; live({seed})'"
        pytest.fail(f"{broken}\nseed {seed}, again with: {again}\n{told}", pytrace=False)


@pytest.mark.parametrize("first", range(0, HISTORIES, _CHUNK))
def test_every_history_keeps_the_promises(first: int) -> None:
    ends = Counter(live(seed) for seed in range(first, first + _CHUNK))
    assert ends[Phase.SUCCEEDED] > ends[Phase.UNDONE] > 0, "histories of more than one kind"


class Credulous(Lease):
    """Believes that it has the lease."""

    def ensure_held(self) -> None:
        """Ask nobody."""


class Impatient(Lease):
    """Takes a lease over at once."""

    def _watch(self, seen, found):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        return seen


@pytest.mark.parametrize("lease", [Credulous, Impatient])
def test_a_broken_lease_is_found(lease: type[Lease]) -> None:
    for seed in range(400):
        try:
            History(seed, lease).run()
        except Broken:
            return
    pytest.fail("nothing was found")


def test_a_history_can_be_had_again() -> None:
    first, second = History(7), History(7)
    assert first.run() == second.run()
    assert [line.split()[:3] for line in first.trace] == [line.split()[:3] for line in second.trace]
