"""librdkafka's errors as drkit's."""

from __future__ import annotations

from typing import Any, Final

from drkit.errors import AuthError, DrkitError, RefusedError, UnreachableError

_AUTHENTICATION: Final = ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "_SSL", "UNSUPPORTED_SASL_MECHANISM")
AUTHORIZATION: Final = (
    "TOPIC_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
)
_TRANSPORT: Final = (
    "_TRANSPORT",
    "_ALL_BROKERS_DOWN",
    "_TIMED_OUT",
    "_RESOLVE",
    "_WAIT_COORD",
    "_TIMED_OUT_QUEUE",
    "_MSG_TIMED_OUT",
    "REQUEST_TIMED_OUT",
    "NETWORK_EXCEPTION",
    "COORDINATOR_NOT_AVAILABLE",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "NOT_COORDINATOR",
    "LEADER_NOT_AVAILABLE",
    "NOT_LEADER_FOR_PARTITION",
)
UNSTABLE: Final = ("UNSTABLE_OFFSET_COMMIT",)
"""A transaction that has not ended holds an offset of the group."""


def is_one_of(error: Any, names: tuple[str, ...]) -> bool:
    """Whether a ``KafkaError`` has one of these codes."""
    from confluent_kafka import KafkaError

    return error is not None and error.code() in {getattr(KafkaError, name) for name in names}


def is_authentication(error: Any) -> bool:
    """Whether a ``KafkaError`` says that the identity was refused; more time does not help."""
    return is_one_of(error, _AUTHENTICATION) and not is_lost_handshake(error)


def is_lost_handshake(error: Any) -> bool:
    """Whether a connection broke during the SASL handshake, which librdkafka calls a failed authentication.

    The broker said nothing: librdkafka connects again by itself (confluent-kafka-dotnet issue 2284).
    """
    from confluent_kafka import KafkaError

    lost = (KafkaError._TRANSPORT, KafkaError._DESTROY)  # noqa: SLF001
    return is_one_of(error, ("_AUTHENTICATION",)) and any(KafkaError(code).str() in error.str() for code in lost)


def has_code(error: DrkitError, names: tuple[str, ...]) -> bool:
    """Whether a translated error comes from a ``KafkaError`` with one of these codes."""
    cause = error.__cause__
    return cause is not None and bool(cause.args) and is_one_of(cause.args[0], names)


def translated(error: BaseException | None, what: str, region: str, last_error: Any = None) -> DrkitError:
    """The drkit error for a ``KafkaException``, or for a time-out (None).

    ``last_error``: what librdkafka reported last to ``error_cb``; a call that times out does not say why by itself.
    """
    found = error.args[0] if error is not None and error.args else None
    cause = last_error if is_authentication(last_error) else found
    code_known = hasattr(cause, "code")
    text = cause.str() if cause is not None and code_known else "no answer in time"
    where = f"{what} at {region}"
    if code_known and is_authentication(cause):
        return AuthError(
            f"{where}: the cluster refused drkit's identity: {text}",
            hint=f"check regions.{region}.cluster.auth and its secret",
        )
    if code_known and is_one_of(cause, AUTHORIZATION):
        return AuthError(f"{where}: {text}", hint="drkit's principal lacks this permission on the cluster")
    if not code_known or is_one_of(cause, _TRANSPORT) or is_lost_handshake(cause):
        detail = f": {last_error.str()}" if last_error is not None else ""
        return UnreachableError(f"{where}: {text}{detail}", hint="is the cluster up, and reachable from here?")
    if is_one_of(cause, UNSTABLE):
        return RefusedError(
            f"{where}: a transaction that has not ended holds it",
            hint="stop that application, or wait until its transaction.timeout.ms has passed",
        )
    return RefusedError(f"{where}: {text}")
