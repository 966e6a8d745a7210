"""The connection of one cluster: an admin client, and calls with a deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from math import inf
from typing import Any, Final, TypeVar

from drkit.adapters.kafka.failures import is_authentication, is_lost_handshake, is_one_of, translated
from drkit.adapters.kafka.offset_process import OffsetProcess
from drkit.errors import ConfigError, DrkitError, RefusedError, UnreachableError

MOVES: Final = (
    *("COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR"),
    *("LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION", "REPLICA_NOT_AVAILABLE", "KAFKA_STORAGE_ERROR"),
    *("FENCED_LEADER_EPOCH", "UNKNOWN_LEADER_EPOCH", "OFFSET_NOT_AVAILABLE"),
)
"""A coordinator or a leader is just being made, elected, or moves to another broker: asking again helps.

The same that Kafka's own client asks again for (``ListOffsetsHandler``, ``CoordinatorStrategy``).
"""
_PASSING: Final = (*MOVES, "_TRANSPORT")
"""A broker that is restarted closes its connections when others have taken over."""
_STALE: Final = ("NOT_COORDINATOR",)
AGAIN_SECONDS: Final = 0.1
_YOUNG_SECONDS: Final = 1.0
"""A client of this age has asked who the coordinators are: what it is told does not come from its memory."""
_LOOK_SECONDS: Final = 0.005
_LEFT_FACTOR: Final = 3.0
"""How many times a call's deadline a client that was left is kept: its requests have a deadline each, and an answer."""

Key = TypeVar("Key")


class Connection:
    """One admin client, kept open as long as it is answered, and what librdkafka last said about the connection.

    A client that was not answered is left for a new one, which has to find the same cluster: librdkafka forgets, for
    good, brokers that a cluster has just not in service (decision 0011).
    """

    def __init__(self, region: str, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self.region = region
        self.timeout_seconds = timeout_seconds
        self.offset_process = OffsetProcess(region, settings, timeout_seconds)
        self._last_error: Any = None
        self._cut_off_at = -inf
        self._settings = {
            **settings,
            "error_cb": self._remember,
            "socket.timeout.ms": int(timeout_seconds * 1000),
            "socket.connection.setup.timeout.ms": max(1000, int(timeout_seconds * 1000)),
            # The other choice (KIP-899, librdkafka's default) begins anew by itself with whatever the bootstrap name
            # leads to by then: it may be another cluster.
            "metadata.recovery.strategy": "none",
            # Errors are raised where they matter; librdkafka's own log lines would only disturb the terminal.
            "log_level": 0,
        }
        self._admin: Any = None
        self._made_at = -inf
        self._left: deque[tuple[float, Any]] = deque()
        self._cluster_id: str | None = None
        self._lock = threading.Lock()

    def settings(self, **more: Any) -> dict[str, Any]:
        """Settings for a client of the cluster; underscores in keywords stand for dots, but for callbacks."""
        return {
            **self._settings,
            **{name if callable(value) else name.replace("_", "."): value for name, value in more.items()},
        }

    @property
    def admin(self) -> Any:
        """The admin client; made at first use, and anew behind one that was not answered.

        Raises ``RefusedError`` where a new one finds another cluster than the one before, and what ``metadata`` raises.
        """
        with self._lock:
            found = self._admin
        if found is None:
            from confluent_kafka.admin import AdminClient

            found = self.client(AdminClient)
            self._last_error = None
            if self._cluster_id is not None:
                self._metadata_of(found)
            with self._lock:
                # Another thread may have made one meanwhile, and asked it: that one stays.
                if self._admin is None:
                    self._admin, self._made_at = found, time.monotonic()
                found = self._admin
        return found

    def metadata(self) -> Any:
        """The cluster's id, its brokers in service and its topics, as ``ClusterMetadata``: one request.

        Raises ``UnreachableError`` where no broker is in service, as behind a controller that has lost touch with all
        of them; ``RefusedError`` where it is another cluster than before. Unlike librdkafka's call for describing a
        cluster, which then ends the process (decision 0011).
        """
        return self._metadata_of(self.admin)

    def _metadata_of(self, admin: Any) -> Any:
        asked = _in_thread(lambda: admin.list_topics(timeout=self.timeout_seconds))
        found = self._wait("metadata", asked, admin)
        if not found.brokers:
            self._leave(admin)
            raise UnreachableError(
                f"{self.region} has no broker in service: its controller has lost touch with all of them",
                hint="wait until its brokers are registered again, then run again",
            )
        if self._cluster_id not in (None, found.cluster_id):
            self._leave(admin)
            raise RefusedError(
                f"another cluster answers at {self.region}: {found.cluster_id}; it was {self._cluster_id} before",
                hint=f"see where regions.{self.region}.cluster.bootstrap leads to, then run again",
            )
        self._cluster_id = found.cluster_id
        return found

    def _leave(self, admin: Any) -> None:
        """Have a new client made for the next call.

        Destroyed while a request is under way, a client can take the process with it (``rd_assert`` in
        ``rd_kafka_admin_response_parse``): it is kept until each of its requests has ended.
        """
        over = []
        with self._lock:
            if admin is None or self._admin is not admin:
                return
            now = time.monotonic()
            self._admin = None
            self._left.append((now, admin))
            while now - self._left[0][0] > self.timeout_seconds * _LEFT_FACTOR:
                over.append(self._left.popleft())
        # Destroying one waits for its threads: not under the lock.
        over.clear()

    def client(self, kind: Callable[[Mapping[str, Any]], Any], **more: Any) -> Any:
        """A client of the cluster; ``more`` as in ``settings``. Raises ``ConfigError`` for what librdkafka refuses."""
        from confluent_kafka import KafkaException

        try:
            return kind(self.settings(**more))
        except KafkaException as error:
            raise ConfigError(
                f"no client can be made for {self.region}: {error.args[0].str().strip()}",
                hint=f"check regions.{self.region}.cluster",
            ) from error

    def wait(self, what: str, future: Any, again: Callable[[], Any] | None = None) -> Any:
        """The result of an admin call. A refused identity is raised at once, not after the deadline.

        ``again`` asks once more: a coordinator or a leader that is just being made or moved is waited for.
        """
        return self._wait(what, future, self._admin, again)

    def _wait(self, what: str, future: Any, admin: Any, again: Callable[[], Any] | None = None) -> Any:
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + self.timeout_seconds
        pause = 0.0
        while True:
            try:
                return self._result(what, future, admin, deadline + 1.0)
            except KafkaException as error:
                if again is None or not _passes(error, deadline):
                    raise self._judged(error, what, admin) from error
                self.forget_coordinator(error.args[0], admin)
            # The first refusal may be of a while ago: one of many that were asked at once.
            time.sleep(pause)
            pause = AGAIN_SECONDS
            future, admin = again(), self._admin

    def wait_each(
        self, what: str, asked: Mapping[Key, Any], again: Callable[[Collection[Key]], Mapping[Key, Any]]
    ) -> dict[Key, Any]:
        """The results of admin calls that were made all at once, by what each is about. As ``wait``.

        ``again`` asks about some once more. Those whose coordinator or leader moves are waited for all at once, too:
        when a broker restarts, they are a third of all.
        """
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + self.timeout_seconds
        found: dict[Key, Any] = {}
        left = asked
        while left:
            moved, admin = [], self._admin
            for key, future in left.items():
                try:
                    found[key] = self._result(
                        f"{what} {key}", future, admin, time.monotonic() + self.timeout_seconds + 1.0
                    )
                except KafkaException as error:
                    if not _passes(error, deadline):
                        raise self._judged(error, f"{what} {key}", admin) from error
                    self.forget_coordinator(error.args[0], admin)
                    moved.append(key)
            if moved:
                time.sleep(AGAIN_SECONDS)
            left = again(moved) if moved else {}
        return found

    def forget_coordinator(self, error: Any, admin: Any) -> None:
        """Leave a client that was told by a broker that it does not coordinate a group, and would ask it again.

        librdkafka remembers who coordinates the groups that it is asked about, for as long as it is asked about them,
        and whatever they answer (``rd_kafka_coord_cache_find``; nothing calls ``rd_kafka_coord_cache_evict``).
        """
        if is_one_of(error, _STALE) and time.monotonic() - self._made_at > _YOUNG_SECONDS:
            self._leave(admin)

    def _result(self, what: str, future: Any, admin: Any, deadline: float) -> Any:
        while True:
            try:
                # Answers come by a thread of librdkafka's; only what it says of the connection has to be polled for.
                result = future.result(_LOOK_SECONDS)
            except TimeoutError:
                if admin is not None:
                    admin.poll(0)
                if is_authentication(self._last_error) or time.monotonic() > deadline:
                    raise self._judged(None, what, admin) from None
            else:
                self._last_error = None
                return result

    def _judged(self, error: Any, what: str, admin: Any) -> DrkitError:
        """The error of a call of a client; None: it was not answered in time."""
        judged = translated(error, what, self.region, self._last_error)
        # What a broker said itself is an answer.
        if isinstance(judged, UnreachableError) and (error is None or error.args[0].code() < 0):
            self._leave(admin)
        return judged

    def call(self, what: str, client: Any, function: Callable[[], Any]) -> Any:
        """A blocking call of a client with its errors translated; the client itself says why it failed."""
        from confluent_kafka import KafkaException

        try:
            return function()
        except KafkaException as error:
            client.poll(0)
            raise self._judged(error, what, client) from error

    def is_cut_off_since(self, moment: float) -> bool:
        """Whether a client has lost its last broker since then (monotonic seconds). It says so once."""
        return self._cut_off_at >= moment

    def silence(self, what: str) -> DrkitError:
        """The error for something that did not answer in time, with what librdkafka last said about the connection."""
        return translated(None, what, self.region, self._last_error)

    def _remember(self, error: Any) -> None:
        if is_one_of(error, ("_ALL_BROKERS_DOWN",)):
            self._cut_off_at = time.monotonic()
        # A client whose identity was refused reports next that no broker is left: the cause is what counts.
        if not is_authentication(self._last_error) or is_authentication(error):
            self._last_error = error


def _passes(error: Any, deadline: float) -> bool:
    """Whether a call that failed so may succeed if it is made again before the deadline."""
    is_over = time.monotonic() + AGAIN_SECONDS > deadline
    return not is_over and (is_one_of(error.args[0], _PASSING) or is_lost_handshake(error.args[0]))


def _in_thread(function: Callable[[], Any]) -> Future[Any]:
    """A blocking call as a future; a thread that is left behind ends with the call's own deadline."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="metadata", daemon=True).start()
    return future
