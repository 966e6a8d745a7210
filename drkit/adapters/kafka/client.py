"""The connection of one cluster: settings from the configuration, an admin client, and calls with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from drkit.adapters.kafka.failures import is_authentication, translated
from drkit.adapters.kafka.msk_iam import oauth_settings
from drkit.config.models import Cluster, IamAuth, MtlsAuth, NoAuth, PlainAuth, ScramAuth
from drkit.errors import DrkitError

ResolveSecret = Callable[[str], str]


def client_settings(cluster: Cluster, resolve_secret: ResolveSecret) -> dict[str, Any]:
    """Librdkafka's settings for a cluster; secrets are resolved here and nowhere kept by drkit."""
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
                "ssl.key.location": auth.key_file,
            }
            if auth.key_password:
                settings["ssl.key.password"] = resolve_secret(auth.key_password)
        case IamAuth():
            settings |= oauth_settings(auth)
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
            "socket.connection.setup.timeout.ms": int(timeout_seconds * 1000),
            # Errors are raised where they matter; librdkafka's own log lines would only disturb the terminal.
            "log_level": 0,
        }
        self._admin: Any = None

    def settings(self, **more: Any) -> dict[str, Any]:
        """Settings for another client of the same cluster; keyword underscores stand for dots."""
        return {**self._settings, **{name.replace("_", "."): value for name, value in more.items()}}

    @property
    def admin(self) -> Any:
        """The admin client; made at first use."""
        if self._admin is None:
            from confluent_kafka.admin import AdminClient

            self._admin = AdminClient(self._settings)
        return self._admin

    def wait(self, what: str, future: Any) -> Any:
        """The result of an admin call. A refused identity is raised at once, not after the deadline."""
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + self.timeout_seconds + 1.0
        while not future.done():
            self.admin.poll(0.005)
            if is_authentication(self._last_error) or time.monotonic() > deadline:
                raise self.silence(what)
        try:
            return future.result(0)
        except KafkaException as error:
            raise translated(error, what, self.region, self._last_error) from error

    def call(self, what: str, function: Callable[[], Any]) -> Any:
        """A blocking client call with its errors translated."""
        from confluent_kafka import KafkaException

        try:
            return function()
        except KafkaException as error:
            self.admin.poll(0)
            raise translated(error, what, self.region, self._last_error) from error

    def silence(self, what: str) -> DrkitError:
        """The error for something that did not answer in time, with what librdkafka last said about the connection."""
        return translated(None, what, self.region, self._last_error)

    def _remember(self, error: Any) -> None:
        self._last_error = error
