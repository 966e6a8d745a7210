"""One AWS call: its deadline, when it may be repeated, and what its errors mean.

A call that may have had an effect is never repeated blindly: a conditional write that had succeeded would then be
answered as lost. It ends as ``UnreachableError``, and the caller reads back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from drkit.adapters.deadline import within
from drkit.errors import AuthError, DrkitError, RefusedError, UnreachableError
from drkit.ports import Clock

T = TypeVar("T")

# Refused before anything was done, and worth another attempt (S3 "Error responses", Route 53 "Common errors").
_BUSY = frozenset(
    {
        "ConditionalRequestConflict",
        "OperationAborted",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_UNAUTHORIZED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AllAccessDisabled",
        "AuthFailure",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "NotSignedUp",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_BROKEN_ATTEMPTS = 3
"""How often a call that may be repeated meets a broken connection or a server error before it gives up."""
_PERMISSION = "the role needs the permission, no policy may deny it, and aws.account_id must own the resource"
_SIGN_IN = "sign in again (aws sso login, or new keys in the environment or profile)"


class AwsRejection(RefusedError):
    """AWS answered, and refused: ``code`` is its error code and ``status`` the HTTP status."""

    def __init__(self, message: str, *, code: str, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status


class BusyError(UnreachableError):
    """AWS kept throttling, or kept another change in front of this one; nothing was done."""


class Calls:
    """Runs calls and turns what they raise into drkit's errors.

    ``request_seconds`` bounds each attempt as a whole; after a broken connection another one begins only within the
    first third of it. So a call takes at most twice ``request_seconds``, or ``busy_seconds`` and one attempt. What AWS
    refuses for a reason of the call's own is an ``AwsRejection`` for the adapter to judge.
    """

    def __init__(self, clock: Clock, *, request_seconds: float) -> None:
        self._clock = clock
        self._request_seconds = request_seconds
        self._random = random.SystemRandom()

    def read(self, what: str, call: Callable[[], T]) -> T:
        """A call without an effect: repeated also after a broken connection or a server error."""
        return self._run(what, call, may_repeat=True, busy_seconds=self._request_seconds)

    def write(self, what: str, call: Callable[[], T], *, busy_seconds: float | None = None) -> T:
        """A call with an effect: repeated only while AWS says that it did nothing, for ``busy_seconds`` at most."""
        return self._run(what, call, may_repeat=False, busy_seconds=busy_seconds or self._request_seconds)

    def _run(self, what: str, call: Callable[[], T], *, may_repeat: bool, busy_seconds: float) -> T:
        started = self._clock.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return within(self._request_seconds, what, call)
            except Exception as error:
                failed = failure(error, what)
                seconds = self._patience(error, failed, attempt, may_repeat=may_repeat, busy_seconds=busy_seconds)
                pause = self._random.uniform(0.5, 1.0) * min(2.0, 0.05 * 2**attempt)
                if self._clock.monotonic() - started + pause > seconds:
                    if failed is error:
                        raise
                    raise failed from error
                self._clock.sleep(pause)

    def _patience(
        self, error: Exception, failed: DrkitError, attempt: int, *, may_repeat: bool, busy_seconds: float
    ) -> float:
        """For how long after its start this call may be tried again; 0 for not at all."""
        if isinstance(failed, BusyError):
            return busy_seconds
        if isinstance(failed, UnreachableError) and (may_repeat or not was_sent(error)) and attempt < _BROKEN_ATTEMPTS:
            return self._request_seconds / 3
        return 0


def was_sent(error: Exception) -> bool:
    """Whether the request may have reached AWS: always, unless there was never a connection."""
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

    return not isinstance(error, EndpointConnectionError | ConnectTimeoutError)


def failure(error: Exception, what: str) -> DrkitError:
    """What an exception of boto3 means, as drkit's error; an exception of no known kind is raised as it is.

    ``what`` completes "cannot ...".
    """
    from botocore import exceptions as botocore_errors
    from botocore.parsers import ResponseParserError

    if isinstance(error, DrkitError):
        return error
    if isinstance(error, botocore_errors.ClientError):
        return _rejection(error, what)
    kinds: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[DrkitError], str], ...] = (
        (_credential_errors(), AuthError, _SIGN_IN),
        (botocore_errors.FlexibleChecksumError, UnreachableError, "something between AWS and here alters what is sent"),
        (ResponseParserError, UnreachableError, "the answer is not AWS's: look for a proxy or a portal between"),
        (_network_errors(), UnreachableError, "check the network path to AWS, and its health"),
        (botocore_errors.BotoCoreError, RefusedError, ""),
    )
    for kind, meaning, hint in kinds:
        if isinstance(error, kind):
            return meaning(f"cannot {what}: {error}", hint=hint)
    raise error


def _credential_errors() -> tuple[type[Exception], ...]:
    from botocore import exceptions as botocore_errors

    return (
        botocore_errors.NoCredentialsError,
        botocore_errors.PartialCredentialsError,
        botocore_errors.CredentialRetrievalError,
        botocore_errors.TokenRetrievalError,
        botocore_errors.SSOError,
        botocore_errors.ProfileNotFound,
        botocore_errors.ConfigParseError,
        botocore_errors.InvalidConfigError,
    )


def _network_errors() -> tuple[type[Exception], ...]:
    from botocore import exceptions as botocore_errors
    from urllib3.exceptions import HTTPError

    return (
        botocore_errors.ConnectionError,
        botocore_errors.HTTPClientError,
        botocore_errors.IncompleteReadError,
        HTTPError,
        OSError,
    )


def _rejection(error: Exception, what: str) -> DrkitError:
    response: Mapping[str, Mapping[str, object]] = getattr(error, "response", {})
    details, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, text = str(details.get("Code", "")), str(details.get("Message", ""))
    status = metadata.get("HTTPStatusCode")
    status = status if isinstance(status, int) else 0
    message = f"cannot {what}: {code}: {text}" if text else f"cannot {what}: {code}"
    if code in _SKEWED or "Signature expired" in text or "Signature not yet current" in text:
        return AuthError(f"{message} ({_skew(metadata)})", hint="set this machine's clock (NTP): AWS allows 5 minutes")
    if code in _EXPIRED:
        return AuthError(f"{message} (the credentials have expired)", hint=_SIGN_IN)
    if code in _BUSY:
        return BusyError(message, hint="AWS is busy: run it again, or find out what else calls it so often")
    if code in _UNAUTHORIZED or status in (401, 403):
        return AuthError(message, hint=_PERMISSION)
    if status >= 500:
        return UnreachableError(message, hint="AWS answered with an error of its own: see its health dashboard")
    return AwsRejection(message, code=code, status=status)


def _skew(metadata: Mapping[str, object]) -> str:
    headers = metadata.get("HTTPHeaders")
    try:
        answered = parsedate_to_datetime(str(headers["date"])) if isinstance(headers, Mapping) else None
    except (KeyError, ValueError):
        answered = None
    if answered is None or answered.tzinfo is None:
        return "this machine's clock is wrong"
    seconds = (datetime.now(UTC) - answered).total_seconds()
    return f"this machine's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} AWS"
