"""One contract for whoever is told: Amazon SNS as moto simulates it, and the fake that other tests use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest

from drkit.adapters.aws.session import AwsSession
from drkit.adapters.aws.sns import SnsAlerter
from drkit.adapters.local.clock import SystemClock
from drkit.domain.alerts import Alert, AlertKind
from drkit.errors import AuthError, ConfigError, DrkitError, RefusedError, UnreachableError
from drkit.ports import Alerter
from tests.fakes.alerts import FakeAlerter
from tests.fakes.http_server import ScriptedHttpServer, aws_error, http_server, reply, silence
from tests.fakes.scripted import Fault

REGION = "ap-northeast-1"
ALERT = Alert.of(AlertKind.FAILING, "FAILING: backup all of shop staging", "no broker answered\nsee the runbook\n")


@pytest.fixture(autouse=True)
def _alone(no_aws_identity: None) -> None:
    """No credentials of this machine."""


def client(service: str, endpoint: str) -> Any:
    session = botocore.session.Session()
    return session.create_client(
        service, REGION, endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="x"
    )


class Queue:
    """A topic with one subscriber."""

    def __init__(self, endpoint: str) -> None:
        self._sqs = client("sqs", endpoint)
        sns = client("sns", endpoint)
        self.topic_arn = sns.create_topic(Name="backups")["TopicArn"]
        self._url = self._sqs.create_queue(QueueName="on-call")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.topic_arn, Protocol="sqs", Endpoint=arn)

    def received(self) -> list[tuple[str, str]]:
        messages = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", [])
        bodies = [json.loads(message["Body"]) for message in messages]
        return [(body["Subject"], body["Message"]) for body in bodies]


def alerter(endpoint: str, topic_arn: str, *, seconds: float = 5.0) -> SnsAlerter:
    # The session's region is another than the topic's.
    session = AwsSession(
        SystemClock(), region="ap-southeast-1", endpoint_url=endpoint, request_seconds=seconds, setup_seconds=30.0
    )
    return SnsAlerter(session, topic_arn)


@pytest.fixture(params=["sns", "fake"])
def told(request: pytest.FixtureRequest, moto_endpoint: str) -> tuple[Alerter, Callable[[], list[tuple[str, str]]]]:
    """Somebody to tell, and what they were told."""
    if request.param == "fake":
        fake = FakeAlerter()
        return fake, lambda: [(one.subject, one.text) for one in fake.received]
    queue = Queue(moto_endpoint)
    return alerter(moto_endpoint, queue.topic_arn), queue.received


def test_a_message_arrives_once_as_it_was_sent(told: tuple[Alerter, Callable[[], list[tuple[str, str]]]]) -> None:
    receiver, received = told
    receiver.send(ALERT)
    assert received() == [(ALERT.subject, ALERT.text)]
    assert receiver.name


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedHttpServer]:
    with http_server(reply(200)) as one:
        yield one


ARN = f"arn:aws:sns:{REGION}:123456789012:backups"


def test_a_topic_that_is_not_there(moto_endpoint: str) -> None:
    with pytest.raises(RefusedError) as caught:
        alerter(moto_endpoint, f"arn:aws:sns:{REGION}:123456789012:nobody").send(ALERT)
    assert "alerts.sns_topic_arn" in caught.value.hint


@pytest.mark.parametrize(
    ("responder", "kind"),
    [
        (aws_error(403, "AuthorizationError"), AuthError),
        (aws_error(500, "InternalFailure"), UnreachableError),
        (silence(2.0), UnreachableError),
    ],
)
def test_what_goes_wrong_is_said_once_and_not_tried_again(
    server: ScriptedHttpServer, responder: Any, kind: type[DrkitError]
) -> None:
    server.reset(responder)
    with pytest.raises(kind):
        alerter(server.url, ARN, seconds=0.5).send(ALERT)
    assert len(server.requests) == 1


def test_the_fake_fails_as_told() -> None:
    fake = FakeAlerter()
    fake.on_next("send", Fault.NOT_ARRIVED)
    with pytest.raises(UnreachableError):
        fake.send(ALERT)
    fake.send(ALERT)
    assert fake.received == [ALERT]


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "backups",
        "arn:aws:sqs:ap-northeast-1:123456789012:backups",
        "arn:aws:sns:ap-northeast-1:1234:backups",
        "arn:aws:sns:ap-northeast-1:123456789012:backups.fifo",
        "arn:aws:sns:ap-northeast-1:123456789012:backups:11111111-2222-3333-4444-555555555555",
    ],
)
def test_what_is_no_topic(arn: str) -> None:
    with pytest.raises(ConfigError, match=r"alerts\.sns_topic_arn"):
        alerter("http://127.0.0.1:1", arn)
