"""MSK IAM: tokens for SASL/OAUTHBEARER, fetched in drkit's own thread first so that a failure says why.

Source: ``aws-msk-iam-sasl-signer``; librdkafka waits ten seconds and loses the error when its callback fails.
"""

from __future__ import annotations

import re
from typing import Any

from drkit.config.models import IamAuth
from drkit.errors import AuthError, ConfigError

_REGION = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d$")


def oauth_settings(auth: IamAuth) -> dict[str, Any]:
    """Librdkafka's settings for an IAM identity.

    Raises ``ConfigError`` for a region that is none (the signer would take it) and ``AuthError`` when there are no
    credentials or they cannot be used.
    """
    if not _REGION.match(auth.region):
        raise ConfigError(f"auth.region {auth.region!r} is not an AWS region", hint="it is the cluster's region")
    first = [_token(auth)]

    def callback(_config: str) -> tuple[str, float]:
        return first.pop() if first else _token(auth)

    return {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER", "oauth_cb": callback}


def _token(auth: IamAuth) -> tuple[str, float]:
    """Token and expiry. The signer's expiry is in milliseconds, librdkafka's in seconds."""
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        if auth.role_arn:
            token, expiry_ms = MSKAuthTokenProvider.generate_auth_token_from_role_arn(
                auth.region, auth.role_arn, sts_session_name="drkit"
            )
        else:
            token, expiry_ms = MSKAuthTokenProvider.generate_auth_token(auth.region)
    except (BotoCoreError, ClientError, AttributeError) as error:
        # The signer fails with an AttributeError when there are no credentials at all.
        reason = "no AWS credentials were found" if isinstance(error, AttributeError) else str(error)
        raise AuthError(
            f"no token for MSK IAM: {reason}", hint="check the profile, the instance role or AWS_* in the environment"
        ) from error
    return token, expiry_ms / 1000
