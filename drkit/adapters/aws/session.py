"""AWS clients with drkit's deadlines: made when first used, kept, and shared between threads."""

from __future__ import annotations

import ipaddress
import re
import threading
from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import drkit
from drkit.adapters.aws.calls import Calls, failure
from drkit.adapters.deadline import refuse_if_given_up, within
from drkit.errors import ConfigError, RefusedError
from drkit.ports import Clock

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.session import Session
    from types_boto3_route53.client import Route53Client
    from types_boto3_s3.client import S3Client
    from types_boto3_sns.client import SNSClient
    from types_boto3_sts.client import STSClient

_CONNECT_SECONDS = 3.0
_HTTP = re.compile(r"https?://[^/@?#\s]+/?$")
_POOLED_CONNECTIONS = 32


class AwsSession:
    """One identity at AWS and its clients.

    ``region`` is the state bucket's; Route 53 and STS are reached through its partition, STS regionally, so that no
    other region has to live. botocore never retries: ``Calls`` does, and knows which calls may be repeated.
    ``endpoint_url`` is for a simulated AWS. Where it is on this machine and neither environment nor profile holds
    credentials, made-up ones are used, for a simulation asks for none; no other endpoint ever gets them.
    ``setup_seconds``: for a client's own work, which reads descriptions of the service from this machine's disk.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        region: str,
        endpoint_url: str | None = None,
        account_id: str | None = None,
        request_seconds: float = 10.0,
        setup_seconds: float = 5.0,
    ) -> None:
        if endpoint_url is not None and not _HTTP.match(endpoint_url):
            raise ConfigError(f"aws.endpoint_url is {endpoint_url!r}, which is no http:// or https:// URL")
        self.account_id = account_id
        self.calls = Calls(clock, request_seconds=request_seconds)
        self._region = region
        self._endpoint_url = endpoint_url
        self.request_seconds = request_seconds
        self._setup_seconds = setup_seconds
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._clients: dict[tuple[str, str], BaseClient] = {}

    def s3(self, region: str | None = None) -> S3Client:
        """S3 in a region (None: the session's). Raises ``AuthError`` for unusable credentials, as all of these do."""
        return cast("S3Client", self._client("s3", region or self._region))

    def route53(self) -> Route53Client:
        """Route 53, of the partition that the session's region is in."""
        return cast("Route53Client", self._client("route53", self._region))

    def sns(self, region: str) -> SNSClient:
        """SNS in the region of a topic."""
        return cast("SNSClient", self._client("sns", region))

    def sts(self) -> STSClient:
        """The regional STS."""
        return cast("STSClient", self._client("sts", self._region))

    def check_account(self) -> str:
        """The account that the credentials belong to; ``RefusedError`` unless it is the expected one, if one is."""
        caller = self.calls.read("ask STS whose credentials these are", self.sts().get_caller_identity)
        account: str = caller["Account"]
        if self.account_id is not None and account != self.account_id:
            raise RefusedError(
                f"the AWS credentials belong to account {account}, but aws.account_id is {self.account_id}",
                hint="choose another profile (AWS_PROFILE), or correct aws.account_id in drkit.yaml",
            )
        return account

    def _client(self, service: str, region: str) -> BaseClient:
        with self._lock:
            if (service, region) not in self._clients:
                what = f"set up the {service} client"
                try:
                    # Credentials may come by a command, or from a service that does not answer.
                    created = within(
                        self.request_seconds + self._setup_seconds, what, partial(self._create, service, region)
                    )
                except Exception as error:
                    raise failure(error, what) from error
                self._clients[service, region] = created
            return self._clients[service, region]

    def _create(self, service: str, region: str) -> BaseClient:
        if self._session is None:
            self._session = self._new_session()
        made_up = "simulated" if self._is_simulated and self._session.get_credentials() is None else None
        client = self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self._endpoint_url,
            aws_access_key_id=made_up,
            aws_secret_access_key=made_up,
            config=self._config(),
        )
        client.meta.events.register("before-send", refuse_if_given_up)
        if service == "s3":
            # Waiting for "100 Continue" costs a round trip per write, which bodies as small as drkit's never repay.
            client.meta.events.register_first("request-created.s3.PutObject", _without_expect)
        return client

    def _new_session(self) -> Session:
        import botocore.session

        session = botocore.session.Session()
        # The chain's own calls (an assumed role's STS) get the same deadlines; their default is 60 s.
        session.set_default_client_config(self._config())
        if self._is_simulated:
            # Asking a metadata service that is not there would cost seconds.
            resolver = session.get_component("credential_provider")
            for provider in ("container-role", "iam-role"):
                resolver.remove(provider)
        return session

    def _config(self) -> Config:
        from botocore.config import Config

        s3: dict[str, str] = {"us_east_1_regional_endpoint": "regional"}
        if self._endpoint_url is not None:
            s3["addressing_style"] = "path"
        return Config(
            connect_timeout=min(_CONNECT_SECONDS, self.request_seconds),
            read_timeout=self.request_seconds,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=_POOLED_CONNECTIONS,
            tcp_keepalive=True,
            user_agent_extra=f"drkit/{drkit.__version__}",
            proxies={} if self._is_simulated else None,
            s3=s3,  # type: ignore[arg-type]
        )

    @property
    def _is_simulated(self) -> bool:
        return self._endpoint_url is not None and is_loopback(urlsplit(self._endpoint_url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine (RFC 6761 reserves ``localhost``)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_expect(request: AWSRequest, **_: object) -> None:
    if "Expect" in request.headers:
        del request.headers["Expect"]
