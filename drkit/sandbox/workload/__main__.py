"""One process of the workload: ``python -m drkit.sandbox.workload SETTINGS producers|consumers PART PARTS``."""

from __future__ import annotations

import sys
from pathlib import Path

from drkit.sandbox.workload import consumers, producers
from drkit.sandbox.workload.settings import load


def main() -> None:
    """Run one role to its end."""
    path, role, part, parts = sys.argv[1:5]
    settings = load(Path(path))
    if role == "producers":
        producers.run(settings)
    else:
        consumers.run(settings, int(part), int(parts))


if __name__ == "__main__":
    main()
