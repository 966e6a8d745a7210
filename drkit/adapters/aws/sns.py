"""Messages to people through Amazon SNS."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from drkit.adapters.aws.calls import AwsRejection
from drkit.adapters.aws.session import AwsSession
from drkit.domain.alerts import Alert
from drkit.domain.aws_names import TopicArn
from drkit.errors import ConfigError, RefusedError

if TYPE_CHECKING:
    from types_boto3_sns.client import SNSClient


class SnsAlerter:
    """``drkit.ports.Alerter`` on one standard topic, in whichever region its ARN says.

    A message that got no answer is not sent again from here: whoever is told twice looks twice. The role needs
    ``sns:Publish`` on the topic and nothing else.
    """

    def __init__(self, session: AwsSession, topic_arn: str) -> None:
        topic = TopicArn.parse(topic_arn)
        if topic is None:
            raise ConfigError(
                f"alerts.sns_topic_arn is {topic_arn!r}, which is no ARN of a standard SNS topic",
                hint="it reads arn:aws:sns:REGION:ACCOUNT:NAME",
            )
        self._session = session
        self._topic = topic

    @property
    def name(self) -> str:
        """The topic's ARN."""
        return self._topic.text

    def send(self, alert: Alert) -> None:
        """Publish it once. Raises ``RefusedError`` where there is no such topic."""
        request = partial(self._client.publish, TopicArn=self._topic.text, Subject=alert.subject, Message=alert.text)
        try:
            self._session.calls.write(f"publish to {self._topic.text}", request)
        except AwsRejection as rejection:
            hint = "create the topic, or correct alerts.sns_topic_arn" if rejection.code == "NotFound" else ""
            raise RefusedError(rejection.message, hint=hint) from rejection

    @property
    def _client(self) -> SNSClient:
        return self._session.sns(self._topic.region)
