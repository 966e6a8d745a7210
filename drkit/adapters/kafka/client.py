"""The connection of one cluster: settings from the configuration, an admin client, and calls with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from drkit.adapters.kafka.failures import is_authentication, is_lost_handshake, is_one_of, translated
from drkit.adapters.kafka.msk_iam import oauth_settings
from drkit.config.models import Cluster, IamAuth, MtlsAuth, NoAuth, PlainAuth, ScramAuth
from drkit.config.secrets import stand_in_of
from drkit.errors import ConfigError, DrkitError

MOVES: Final = (
    *("COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR"),
    *("LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION"),
)
"""A coordinator or a leader is just being made, or moves to another broker: asking again helps."""
_AGAIN_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 0.005

ResolveSecret = Callable[[str], str]


def client_settings(cluster: Cluster, resolve_secret: ResolveSecret, *, token_seconds: float = 10.0) -> dict[str, Any]:
    """Librdkafka's settings for a cluster; secrets are resolved here and nowhere kept by drkit.

    ``token_seconds``: deadline of a token for MSK IAM.
    """
    auth = cluster.auth
    tls = cluster.tls.enabled or isinstance(auth, MtlsAuth | IamAuth)
    settings: dict[str, Any] = {"bootstrap.servers": cluster.bootstrap, "client.id": "drkit"}
    if cluster.tls.ca_file:
        settings["ssl.ca.location"] = cluster.tls.ca_file
    match auth:
        case NoAuth():
            settings["security.protocol"] = "SSL" if tls else "PLAINTEXT"
        case PlainAuth() | ScramAuth():
            settings |= {
                "security.protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
                "sasl.mechanism": auth.mechanism.upper(),
                "sasl.username": auth.username,
                "sasl.password": resolve_secret(auth.password),
            }
        case MtlsAuth():
            settings |= {
                "security.protocol": "SSL",
                "ssl.certificate.location": auth.certificate_file,
                "ssl.key.location": str(stand_in_of(Path(auth.key_file))),
            }
            if auth.key_password:
                settings["ssl.key.password"] = resolve_secret(auth.key_password)
        case IamAuth():
            settings |= oauth_settings(auth, token_seconds)
    return settings


class Connection:
    """One admin client, kept open, and what librdkafka last said about the connection."""

    def __init__(self, region: str, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self.region = region
        self.timeout_seconds = timeout_seconds
        self._last_error: Any = None
        self._settings = {
            **settings,
            "error_cb": self._remember,
            "socket.timeout.ms": int(timeout_seconds * 1000),
            "socket.connection.setup.timeout.ms": max(1000, int(timeout_seconds * 1000)),
            # The other choice (KIP-899, librdkafka's default) forgets all brokers once none answers, and begins anew
            # with whatever the bootstrap name leads to by then: it may be another cluster. Behind a broker that had
            # been frozen, clients of librdkafka 2.16 then waited for brokers they had forgotten, as long as they lived.
            "metadata.recovery.strategy": "none",
            # Errors are raised where they matter; librdkafka's own log lines would only disturb the terminal.
            "log_level": 0,
        }
        self._admin: Any = None
        self._lock = threading.Lock()

    def settings(self, **more: Any) -> dict[str, Any]:
        """Settings for a client of the cluster; underscores in keywords stand for dots, but for callbacks."""
        return {
            **self._settings,
            **{name if callable(value) else name.replace("_", "."): value for name, value in more.items()},
        }

    @property
    def admin(self) -> Any:
        """The admin client; made at first use."""
        with self._lock:
            if self._admin is None:
                from confluent_kafka.admin import AdminClient

                self._admin = self.client(AdminClient)
            return self._admin

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
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + self.timeout_seconds
        while True:
            try:
                return self._result(what, future, deadline + 1.0)
            except KafkaException as error:
                is_over = time.monotonic() + _AGAIN_SECONDS > deadline
                passes = is_one_of(error.args[0], MOVES) or is_lost_handshake(error.args[0])
                if again is None or is_over or not passes:
                    raise translated(error, what, self.region, self._last_error) from error
            time.sleep(_AGAIN_SECONDS)
            future = again()

    def _result(self, what: str, future: Any, deadline: float) -> Any:
        while True:
            try:
                # Answers come by a thread of librdkafka's; only what it says of the connection has to be polled for.
                result = future.result(_LOOK_SECONDS)
            except TimeoutError:
                self.admin.poll(0)
                if is_authentication(self._last_error) or time.monotonic() > deadline:
                    raise self.silence(what) from None
            else:
                self._last_error = None
                return result

    def call(self, what: str, client: Any, function: Callable[[], Any]) -> Any:
        """A blocking call of a client with its errors translated; the client itself says why it failed."""
        from confluent_kafka import KafkaException

        try:
            return function()
        except KafkaException as error:
            client.poll(0)
            raise translated(error, what, self.region, self._last_error) from error

    def silence(self, what: str) -> DrkitError:
        """The error for something that did not answer in time, with what librdkafka last said about the connection."""
        return translated(None, what, self.region, self._last_error)

    def _remember(self, error: Any) -> None:
        # A client whose identity was refused reports next that no broker is left: the cause is what counts.
        if not is_authentication(self._last_error) or is_authentication(error):
            self._last_error = error
