"""When a client has failed for good."""

from __future__ import annotations

import sys
import time
from typing import Any, Final

from confluent_kafka import KafkaError

_PATIENCE_SECONDS: Final = 1.5
"""A client that has worked may be without a broker for so long."""

# librdkafka's names for its own errors begin with an underscore.
ALL_BROKERS_DOWN: Final = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
PARTITION_EOF: Final = KafkaError._PARTITION_EOF  # noqa: SLF001

REFUSED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
"""The broker knows who asks, and says no."""

_FINAL: Final = REFUSED | {
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError._FATAL,  # noqa: SLF001
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001
}


class ClientFailedError(Exception):
    """The client is of no use any more; the text says why."""


class ClientHealth:
    """What one client has met so far. ``on_error`` is its ``error_cb``."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._down_since: float | None = None
        self._has_worked = False

    def on_error(self, error: Any) -> None:
        """Note an error that the client reports outside of any call."""
        if is_final(error):
            self.fail(error.name())
        elif error.code() == ALL_BROKERS_DOWN and self._down_since is None:
            self._down_since = time.monotonic()

    def fail(self, reason: str) -> None:
        """The client has failed for good; the first reason is kept."""
        self._reason = self._reason or reason

    def works(self) -> None:
        """The broker has just answered."""
        self._has_worked = True
        self._down_since = None

    @property
    def reason(self) -> str | None:
        """Why the client has failed for good; None while it has not.

        One that never reached a broker fails at once, as a pod does at its start; another one waits a little.
        """
        if self._reason is None and self._down_since is not None:
            down_seconds = time.monotonic() - self._down_since
            if not self._has_worked or down_seconds > _PATIENCE_SECONDS:
                return "no broker answers"
        return self._reason

    def check(self) -> None:
        """Raise ``ClientFailedError`` if it has failed for good."""
        if self.reason is not None:
            raise ClientFailedError(self.reason)


def is_final(error: Any) -> bool:
    """Whether nothing that the client can do by itself helps."""
    return error.fatal() or error.code() in _FINAL


def note(text: str) -> None:
    """A line in the process's log."""
    # In one piece: several threads write.
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()
