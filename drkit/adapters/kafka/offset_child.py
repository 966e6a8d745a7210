"""The process that reads committed offsets: answers questions on one channel until it is closed."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from multiprocessing.connection import Connection as Channel

from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.group_offsets import read_positions
from drkit.adapters.kafka.offset_process import Cluster, Question


def main(descriptor: int) -> None:
    """Answer with positions, or with the error that reading raised."""
    # It may well end in a way that would leave a core.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(EOFError, ConnectionError), Channel(descriptor) as channel:
        cluster: Cluster = channel.recv()
        connection = Connection(cluster.region, cluster.settings, cluster.timeout_seconds)
        while True:
            question: Question = channel.recv()
            try:
                answer: object = read_positions(connection, question.groups, stable=question.stable)
            except Exception as error:  # noqa: BLE001 - raised where the question was asked
                answer = error
            channel.send(answer)
    # Not through librdkafka's own end, which waits for brokers.
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
