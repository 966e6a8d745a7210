"""Measurements with their environment: ``python -m tests.bench [NAME...]``.

What is compared is measured in turns, round by round, so that whatever else the machine does hits both alike. The
figures are of this machine and of a simulated S3 on its loopback: a real bucket adds a round trip to another region.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from drkit.adapters.aws.objects import S3ObjectStore
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.local.clock import SystemClock
from drkit.adapters.local.files import LocalObjectStore, append_line
from tests.bench import backups, translation
from tests.fakes.moto import moto_process

REGION: Final = "ap-southeast-1"
ROUNDS = 9
APPENDS = 50
EVENT = b'{"schema":"drkit.event/1","text":"' + b"x" * 500 + b'"}'

Run = Callable[[], object]
"""What is measured, once."""


def environment() -> Mapping[str, str]:
    """What the figures depend on."""
    libraries = ("boto3", "botocore", "confluent-kafka", "dnspython", "moto", "pydantic")
    return {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@contextmanager
def journal_appends() -> Iterator[Mapping[str, Run]]:
    """One journal event made durable: in simulated S3, in a local directory, as a line of a local file."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        endpoint = stack.enter_context(moto_process(directory / "moto.log"))
        clock = SystemClock()
        session = AwsSession(clock, region=REGION, endpoint_url=endpoint)
        session.s3().create_bucket(Bucket="bench-state", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3 = S3ObjectStore(session, clock, bucket="bench-state", region=REGION, request_seconds=10)
        local = LocalObjectStore(directory / "state")

        def append(write: Callable[[str], object]) -> Run:
            run = uuid.uuid4().hex
            numbers = iter(range(1 << 30))
            return lambda: write(f"runs/{run}/{next(numbers):08d}.json")

        yield {
            "S3 (moto)": append(lambda key: s3.create(key, EVENT)),
            "local directory": append(lambda key: local.create(key, EVENT)),
            "local line": lambda: append_line(directory / "journal.jsonl", EVENT.decode()),
        }


BENCHMARKS = {"journal-appends": (journal_appends, APPENDS)}
REPORTS = {"backups": backups, "translation": translation}
"""Those that say their figures themselves."""


def measure(runs: Mapping[str, Run], repeats: int) -> Mapping[str, list[list[float]]]:
    """Seconds of each repeat, by name and round; the rounds of all names take turns, after one that is not counted."""
    seconds: dict[str, list[list[float]]] = {name: [] for name in runs}
    for round_number in range(ROUNDS + 1):
        for name, run in runs.items():
            taken = []
            for _ in range(repeats):
                started = time.perf_counter()
                run()
                taken.append(time.perf_counter() - started)
            if round_number:
                seconds[name].append(taken)
    return seconds


def main(names: list[str]) -> int:
    """Measure the named benchmarks (none: all) and print medians."""
    known = [*BENCHMARKS, *REPORTS]
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)  # noqa: T201
        return 2
    for name, value in environment().items():
        print(f"{name:16} {value}")  # noqa: T201
    for name in names or known:
        if name in REPORTS:
            print(f"\n{name}: {REPORTS[name].__doc__}")  # noqa: T201
            REPORTS[name].report(partial(print, flush=True))
            continue
        prepare, repeats = BENCHMARKS[name]
        print(f"\n{name}: {prepare.__doc__}")  # noqa: T201
        print(f"{ROUNDS} rounds of {repeats} in turns, one after the other; one round before is not counted")  # noqa: T201
        with prepare() as runs:
            for what, rounds in measure(runs, repeats).items():
                every = sorted(taken for one in rounds for taken in one)
                rates = [repeats / sum(one) for one in rounds]
                print(  # noqa: T201
                    f"  {what:16} median {statistics.median(every) * 1000:7.2f} ms   "
                    f"95 % below {every[int(len(every) * 0.95)] * 1000:7.2f} ms   "
                    f"median of rounds {statistics.median(rates):7.0f}/s ({min(rates):.0f} to {max(rates):.0f})"
                )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
