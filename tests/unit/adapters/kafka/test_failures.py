"""What librdkafka's errors mean: whose fault it is, and whether waiting helps."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from drkit.adapters.kafka.failures import is_authentication, translated
from drkit.errors import AuthError, DrkitError, RefusedError, UnreachableError

LOST = (
    "GroupCoordinator: SASL SCRAM-SHA-512 mechanism handshake failed: Local: Broker transport failure: "
    "broker's supported mechanisms: (n/a) (after 0ms in state DOWN)"
)
DENIED = (
    "127.0.0.1:9092: SASL authentication error: Authentication failed during authentication due to invalid credentials "
    "with SASL mechanism SCRAM-SHA-512 (after 5ms in state AUTH_REQ)"
)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (KafkaError._AUTHENTICATION, DENIED, AuthError),
        (KafkaError.SASL_AUTHENTICATION_FAILED, "no", AuthError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "no", AuthError),
        (KafkaError._AUTHENTICATION, LOST, UnreachableError),
        (
            KafkaError._AUTHENTICATION,
            "SaslAuthenticateRequest: Local: Broker handle destroyed for termination",
            UnreachableError,
        ),
        (KafkaError._TRANSPORT, "gone", UnreachableError),
        (KafkaError._TIMED_OUT, "late", UnreachableError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "what", RefusedError),
    ],
)
def test_an_error_is_told_by_what_the_operator_can_do(code: int, text: str, kind: type[DrkitError]) -> None:
    found = translated(KafkaException(KafkaError(code, text)), "list offsets", "taipei")
    assert type(found) is kind
    assert text in found.message


def test_a_connection_lost_in_the_handshake_is_no_refusal() -> None:
    assert is_authentication(KafkaError(KafkaError._AUTHENTICATION, DENIED))
    assert not is_authentication(KafkaError(KafkaError._AUTHENTICATION, LOST))


def test_a_time_out_says_what_the_connection_said_last() -> None:
    lost = KafkaError(KafkaError._AUTHENTICATION, LOST)
    found = translated(None, "list offsets", "taipei", lost)
    assert isinstance(found, UnreachableError)
    assert "Broker transport failure" in found.message
    refused = translated(None, "list offsets", "taipei", KafkaError(KafkaError._AUTHENTICATION, DENIED))
    assert isinstance(refused, AuthError)
