"""One process of the workload: ``python -m drkit.sandbox.workload DIRECTORY producers|consumers PART PARTS``.

However it ends, it says how in its log and in the workload's directory; only ``kill -9`` is silent. An exception that
nobody expected, in whichever thread, ends the whole process: half a workload would prove nothing.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import NoReturn

from drkit.sandbox.workload import consumers, producers
from drkit.sandbox.workload.settings import PhaseWatch, Role, WorkloadFiles, process_name


def main() -> NoReturn:
    """Run every ``PARTS``-th writer or group, to the end of the workload."""
    directory, role, part, parts = Path(sys.argv[1]), Role(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    files = WorkloadFiles(directory)
    name = process_name(role, part)
    sys.excepthook = lambda _kind, failure, _traceback: _fail(files, name, failure)
    threading.excepthook = lambda failure: _fail(files, name, failure.exc_value)
    # A producer that is closed warns of the transaction that it could not abort: its writer knows.
    warnings.simplefilter("ignore", RuntimeWarning)
    files.forget_end(name)
    _work(files, role, part, parts)
    files.note_end(name, "ended")
    # At once: a client of a dead broker may take for ever to be destroyed. The ledgers are written batch by batch.
    os._exit(0)


def _work(files: WorkloadFiles, role: Role, part: int, parts: int) -> None:
    settings = files.load()
    if settings is None:
        raise FileNotFoundError(f"no settings in {files.directory}")
    watch = PhaseWatch(files)
    if role is Role.PRODUCERS:
        producers.run(settings, files, watch, settings.writers[part::parts])
    else:
        consumers.run(settings, files, watch, range(len(settings.groups))[part::parts])


def _fail(files: WorkloadFiles, name: str, failure: BaseException | None) -> NoReturn:
    try:
        traceback.print_exception(failure)
        sys.stderr.flush()
        files.note_end(name, f"failed: {type(failure).__name__}: {failure}")
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
