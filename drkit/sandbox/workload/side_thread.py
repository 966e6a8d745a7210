"""Calls that may wait for a dead broker, made by another thread, so that their caller need not wait with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from confluent_kafka import KafkaException

from drkit.sandbox.workload.client_health import ClientFailedError

_STEP_SECONDS: Final = 0.5
_CLOSE_SECONDS: Final = 0.5

Call = Callable[[], object]


class SideThread:
    """Makes one client's calls, one after the other: none is closed while another call is in it.

    Whatever a call raises, other than ``KafkaException``, ends the process.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Call, SimpleQueue[KafkaException | None]] | None] = SimpleQueue()
        threading.Thread(target=self._work, name="side", daemon=True).start()

    def call(self, call: Call, seconds: float, meanwhile: Call = lambda: None) -> None:
        """Make the call and wait for its end so long; it goes on in the background otherwise.

        ``meanwhile`` is called every now and then, and ends the waiting by raising. Raises ``ClientFailedError`` if the
        call has not ended, and the ``KafkaException`` that it has raised.
        """
        ended: SimpleQueue[KafkaException | None] = SimpleQueue()
        self._calls.put((call, ended))
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                failure = ended.get(timeout=min(left, _STEP_SECONDS))
            except Empty:
                meanwhile()
                continue
            if failure is not None:
                raise failure
            return
        raise ClientFailedError(f"no answer within {seconds:g} s")

    def close(self, call: Call) -> None:
        """Make the client's last call: close it, but don't wait long for a broker that does not answer."""
        ended: SimpleQueue[KafkaException | None] = SimpleQueue()
        self._calls.put((call, ended))
        self._calls.put(None)
        try:
            # What a failed client says at its end has been said before, or concerns nobody any more.
            ended.get(timeout=_CLOSE_SECONDS)
        except Empty:
            return

    def _work(self) -> None:
        while (asked := self._calls.get()) is not None:
            call, ended = asked
            try:
                call()
            except KafkaException as failure:
                ended.put(failure)
            else:
                ended.put(None)
