"""Clients of the simulated AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, overload

if TYPE_CHECKING:
    from types_boto3_route53 import Route53Client
    from types_boto3_s3 import S3Client

AWS_REGION: Final = "ap-southeast-1"
"""Where the state bucket is: a third region, which neither side's loss takes away."""


@overload
def aws_client(service: Literal["route53"], endpoint_url: str, *, deadline_seconds: float = ...) -> Route53Client: ...
@overload
def aws_client(
    service: Literal["s3"], endpoint_url: str, *, region: str = ..., deadline_seconds: float = ...
) -> S3Client: ...
def aws_client(
    service: Literal["route53", "s3"], endpoint_url: str, *, region: str = AWS_REGION, deadline_seconds: float = 5
) -> Route53Client | S3Client:
    """A client that needs, and uses, nothing of the user's own AWS settings: no credentials, profile or proxy."""
    import boto3
    import botocore.session
    from botocore.config import Config

    # A variable that is None is looked up nowhere: AWS_PROFILE may name a profile that does not exist.
    bare = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    return boto3.Session(botocore_session=bare).client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",  # noqa: S106 - moto takes any
        config=Config(
            connect_timeout=deadline_seconds,
            read_timeout=deadline_seconds,
            retries={"total_max_attempts": 1},
            proxies={},
        ),
    )
