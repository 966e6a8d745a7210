"""Committed offsets are read in a process of their own, which librdkafka may end (decision 0012).

Where a broker answers that it does not coordinate the group, ``ListConsumerGroupOffsets`` follows a null pointer
(librdkafka issue 5040): coordinators move whenever a broker is restarted, and drkit must not die of that.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from drkit.domain.inventory import CommittedPosition
from drkit.domain.kafka import TopicPartition
from drkit.errors import DrkitError, UnreachableError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Channel

Positions = Mapping[str, Mapping[TopicPartition, CommittedPosition]]
"""Group to partition to what it has committed."""

CHILD: Final = "drkit.adapters.kafka.offset_child"
_AGAIN_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the process is told first. Not on its command line: there are secrets in the settings."""

    region: str
    settings: Mapping[str, Any]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Question:
    """Whose positions; ``stable``: as ``KafkaReader.committed_offsets``."""

    groups: Collection[str]
    stable: bool


class OffsetProcess:
    """Starts the process at the first question, and again where it has ended."""

    def __init__(self, region: str, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self._cluster = Cluster(region, settings, timeout_seconds)
        self._running: tuple[Channel, weakref.finalize[Any, Any]] | None = None
        self._lock = threading.Lock()

    def read(self, groups: Collection[str], *, stable: bool = False) -> Positions:
        """Committed positions of groups.

        Raises ``UnreachableError`` where the process ended until the deadline was over, and what reading raises.
        """
        if not groups:
            return {}
        with self._lock:
            deadline = time.monotonic() + self._cluster.timeout_seconds
            while True:
                try:
                    answer = self._ask(Question(sorted(groups), stable))
                except (EOFError, ConnectionError):
                    self._end()
                    if time.monotonic() > deadline:
                        raise restless(self._cluster.region) from None
                    time.sleep(_AGAIN_SECONDS)
                except BaseException:
                    # Interrupted: the answer would be taken for that to the next question.
                    self._end()
                    raise
                else:
                    if isinstance(answer, Exception):
                        raise answer
                    return answer

    def _ask(self, question: Question) -> Positions | DrkitError:
        if self._running is None:
            self._running = self._start()
            self._running[0].send(self._cluster)
        channel, _ = self._running
        channel.send(question)
        answer: Positions | DrkitError = channel.recv()
        return answer

    def _start(self) -> tuple[Channel, weakref.finalize[Any, Any]]:
        from multiprocessing import Pipe

        channel, theirs = Pipe()
        with theirs:
            process = subprocess.Popen(
                (sys.executable, "-P", "-m", CHILD, str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C is for drkit, which ends it; without drkit, its channel ends.
                start_new_session=True,
            )
        return channel, weakref.finalize(self, _end, process, channel)

    def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            _, finalizer = running
            finalizer()


def restless(region: str) -> UnreachableError:
    """The error for a cluster whose coordinators did not stay in one place until the deadline."""
    return UnreachableError(
        f"offsets of groups at {region}: their coordinators keep moving",
        hint="wait until its brokers have come to rest, then run again",
    )


def _end(process: subprocess.Popen[bytes], channel: Channel) -> None:
    process.kill()
    process.wait()
    channel.close()
