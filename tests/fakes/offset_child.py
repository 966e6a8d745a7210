"""Stands in for the process that reads committed offsets: what it does is written in the settings that it is given."""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing.connection import Connection as Channel
from pathlib import Path

from drkit.adapters.kafka.offset_process import Cluster, Question
from drkit.domain.inventory import CommittedPosition
from drkit.domain.kafka import TopicPartition
from drkit.errors import AuthError


def main(descriptor: int) -> None:
    """Die as often as is asked, say so in a file, and answer the number of the process as an offset."""
    channel = Channel(descriptor)
    cluster: Cluster = channel.recv()
    told = Path(cluster.settings["told"])
    while True:
        question: Question = channel.recv()
        with told.open("a") as file:
            file.write(f"{os.getpid()}\n")
        match question.groups:
            case ["refused"]:
                channel.send(AuthError("no", hint="ask"))
            case ["slow"]:
                time.sleep(600)
            case groups:
                if len(told.read_text().splitlines()) <= cluster.settings["deaths"]:
                    os.kill(os.getpid(), signal.SIGSEGV)
                at = CommittedPosition(os.getpid(), None, f"stable {question.stable}")
                channel.send({group: {TopicPartition("orders", 0): at} for group in groups})


if __name__ == "__main__":
    main(int(sys.argv[1]))
