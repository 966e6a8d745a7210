"""A process that makes or prunes backups in two directories, and may be killed. Run as ``python -m`` of this.

A line of JSON on its input is a request, which a child of its own carries out; a line on its output says how it ended.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from drkit.adapters.local.files import LocalObjectStore
from drkit.backup.pruning import Pruning
from drkit.backup.storing import Storing
from drkit.backup.survey import Surveyed
from drkit.backup.vault import Replica, Vault
from drkit.domain.inventory import Inventory, Part, ScramUser
from drkit.domain.retention import Keep
from tests.fakes.clock import FakeClock
from tests.fakes.inventories import FULL

REPLICAS = ("a", "b")


def region(version: int) -> Inventory:
    """A region of which two parts change from version to version."""
    users = {"u": ScramUser("u", {"SCRAM-SHA-512": version})}
    redirects = {name: replace(one, ttl_seconds=version) for name, one in (FULL.redirects or {}).items()}
    return replace(FULL, users=users, redirects=redirects)


def vault(directory: Path) -> Vault:
    """Two directories."""
    return Vault([Replica(label, LocalObjectStore(directory / label)) for label in REPLICAS])


def operate(request: dict[str, Any]) -> dict[str, Any]:
    """One backup, or one prune, at an hour."""
    clock = FakeClock()
    clock.advance(request["hour"] * 3600)
    where = vault(Path(request["directory"]))
    if request["command"] == "prune":
        pruned = Pruning(where, clock).run(Keep(last=1))
        return {"removed": len(pruned.removed), "orphans": pruned.orphans, "not_removed": pruned.not_removed}
    storing = Storing(where, clock)
    begun = storing.begin("taipei", "cluster-1", tuple(Part))
    stored = storing.commit(begun, Surveyed(region(request["version"])))
    return {"backup_id": stored.manifest.backup_id, "copies": stored.copies}


def carried_out(request: dict[str, Any]) -> dict[str, Any]:
    """What a child answers, and the signal that ended it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer: dict[str, Any] = {}
        os.environ["DRKIT_FAILPOINT"] = request.get("failpoint", "")
        try:
            answer = operate(request)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shall see it
            answer = {"error": repr(error)}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, **json.loads(said or b"{}")}


def main() -> None:
    """Serve until the input ends."""
    # Before any child is made, so that each begins at once.
    import pyarrow.parquet  # noqa: F401

    for line in sys.stdin:
        sys.stdout.write(json.dumps(carried_out(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
