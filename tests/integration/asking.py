"""Asks a cluster the same things over and over with one client, until its input ends; says then what it was told.

Run as ``python -m tests.integration.asking BOOTSTRAP TOPIC GROUP...``. A process of its own, as librdkafka may end it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count

from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.inventory import ConfluentInventory
from drkit.adapters.kafka.reader import ConfluentReader
from drkit.adapters.kafka.writer import ConfluentWriter
from drkit.errors import DrkitError
from drkit.ports import ReadRange


def main() -> None:
    """Ask, and print JSON: how often each was answered, and every other answer."""
    bootstrap, topic, *groups = sys.argv[1:]
    over = threading.Event()
    threading.Thread(target=_await_end, args=(over,), daemon=True).start()
    connection = Connection("here", {"bootstrap.servers": bootstrap, "security.protocol": "PLAINTEXT"}, 20.0)
    reader, writer = ConfluentReader(connection), ConfluentWriter(connection)
    partitions = sorted(reader.topics()[topic].topic_partitions)
    inventory = ConfluentInventory(connection)
    rounds = count(1)

    def commit() -> object:
        """What was committed is what is read, whoever coordinates the group by then."""
        offset = next(rounds)
        failed = [list(writer.alter_group_offsets(group, {partitions[0]: offset})) for group in groups]
        found = reader.committed_offsets(groups, stable=True)
        return failed, [group for group in groups if found[group] != {partitions[0]: offset}]

    calls: Mapping[str, Callable[[], object]] = {
        "commit": commit,
        # librdkafka remembers who coordinates some ten groups: few are asked for by memory, many are looked for anew.
        "committed of few": lambda: len(reader.committed_offsets(groups[:4])),
        "committed of all": lambda: len(reader.committed_offsets(groups)),
        "log ranges": lambda: reader.log_ranges(partitions),
        "groups": lambda: len(reader.groups().keys() & set(groups)),
        "inventory": lambda: len(inventory.group_inventory(groups)),
        "topics": lambda: len(reader.topics()),
        "records": lambda: len(list(reader.read([ReadRange(p, 0, 3) for p in partitions]))),
    }
    answered: Counter[str] = Counter()
    slowest: dict[str, float] = {}
    others: list[str] = []
    first: dict[str, object] = {}
    while not over.is_set():
        for what, call in calls.items():
            started = time.monotonic()
            try:
                answer = call()
            except DrkitError as error:
                others.append(f"{what}: {error!r}")
            else:
                answered[what] += 1
                if first.setdefault(what, answer) != answer:
                    others.append(f"{what}: {answer!r} is not {first[what]!r}")
            slowest[what] = max(slowest.get(what, 0.0), time.monotonic() - started)
    json.dump({"answered": answered, "slowest_seconds": slowest, "others": others}, sys.stdout)


def _await_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    main()
