"""MSK IAM: tokens for SASL/OAUTHBEARER, fetched in drkit's own thread first so that a failure says why.

Source: ``aws-msk-iam-sasl-signer``; librdkafka waits ten seconds and loses the error when its callback fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from drkit.adapters.deadline import within
from drkit.config.models import IamAuth
from drkit.errors import AuthError, ConfigError

_REGION = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d$")


def oauth_settings(auth: IamAuth, seconds: float) -> dict[str, Any]:
    """Librdkafka's settings for an IAM identity. ``seconds``: deadline of each token.

    Raises ``ConfigError`` for a region that is none (the signer would take it), ``AuthError`` when there are no
    credentials or they cannot be used, and ``UnreachableError`` when what gives them does not answer.
    """
    if not _REGION.match(auth.region):
        raise ConfigError(f"auth.region {auth.region!r} is not an AWS region", hint="it is the cluster's region")
    tokens = _Tokens(auth, seconds, [_token(auth, seconds)])
    return {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER", "oauth_cb": tokens}


@dataclass(slots=True)
class _Tokens:
    """librdkafka's callback; an object of its own, as settings go to another process, too."""

    auth: IamAuth
    seconds: float
    fetched: list[tuple[str, float]]

    def __call__(self, config: str) -> tuple[str, float]:
        return self.fetched.pop() if self.fetched else _token(self.auth, self.seconds)


def _token(auth: IamAuth, seconds: float) -> tuple[str, float]:
    """Token and expiry. The signer's own calls to STS and to what gives credentials have none, or one of minutes."""
    return within(seconds, "get a token for MSK IAM", lambda: _signed(auth))


def _signed(auth: IamAuth) -> tuple[str, float]:
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
