"""Entry point: ``drkit`` and ``python -m drkit``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from drkit.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
