"""Text for people about scheduled backups, from the documents that ``--output json`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drkit.domain.naming import printable


def run_text(run: Mapping[str, Any]) -> str:
    """One run of one job."""
    head = f"{run['at']}  {run['job']} {run['outcome']} in {run['seconds']:.2f} s"
    covered = ", ".join(f"{one['rows']} {one['kind']} of {one['region']}" for one in run["covered"])
    stored = f"{run['objects']} objects, {run['stored_bytes']:,} bytes stored"
    lines = [f"{head}: {covered}; {stored}" if covered else head]
    lines += [f"  {run['reason']}: {printable(run['problem'])}"] if run["problem"] else []
    return "\n".join(lines)
