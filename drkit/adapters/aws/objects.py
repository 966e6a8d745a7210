"""Objects in S3, written conditionally.

Amazon S3 User Guide, "Conditional requests": ``If-None-Match: *`` creates, ``If-Match`` replaces; 412 is a lost
condition, 409 ``ConditionalRequestConflict`` a race that is to be tried again, 404 a replaced object that is gone.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from drkit.adapters.aws.calls import AwsRejection
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.object_keys import check_key, check_prefix
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import Clock, PreconditionFailed, StoredObject

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef

_CHUNK_BYTES = 1 << 18
_ELSEWHERE = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})


@dataclass(frozen=True, slots=True)
class Protection:
    """How objects are kept: encrypted with a key of AWS KMS, and locked for some days (S3 Object Lock)."""

    kms_key_id: str | None = None
    lock_mode: Literal["governance", "compliance"] | None = None
    lock_days: int = 0


class S3ObjectStore:
    """``drkit.ports.ObjectStore`` in one bucket, below ``prefix``; one instance serves many threads.

    A write that got no answer is never sent again: it raises ``UnreachableError`` and may have happened. Read the
    object back to find out.

    An ETag is a hash of the content: content that comes back (A, B, A) passes ``replace`` unless each body is unique.
    Where ``aws.account_id`` is configured, S3 itself refuses a bucket of another account (``AuthError``).
    """

    def __init__(
        self,
        session: AwsSession,
        clock: Clock,
        *,
        bucket: str,
        region: str,
        prefix: str = "",
        request_seconds: float,
        protection: Protection = Protection(),
    ) -> None:
        self._session = session
        self._calls = session.calls
        self._clock = clock
        self._bucket = bucket
        self._region = region
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._request_seconds = request_seconds
        self._protection = protection
        self._owner: dict[str, Any] = {"ExpectedBucketOwner": session.account_id} if session.account_id else {}

    def get(self, key: str) -> StoredObject | None:
        """The object, or None. S3 tells None from a refusal only to a role with ``s3:ListBucket``."""
        path = self._prefix + check_key(key)
        client = self._client
        what = f"read s3://{self._bucket}/{path}"

        def read() -> StoredObject:
            response = client.get_object(Bucket=self._bucket, Key=path, **self._owner)
            return StoredObject(key, self._body(what, response), response["ETag"])

        try:
            return self._calls.read(what, read)
        except AwsRejection as rejection:
            if rejection.code == "NoSuchKey":
                return None
            raise self._explained(rejection) from rejection

    def create(self, key: str, body: bytes) -> str:
        """Write a new object; its ETag. Raises ``PreconditionFailed`` if the key exists."""
        return self._put(key, body, {"IfNoneMatch": "*"})

    def replace(self, key: str, body: bytes, etag: str) -> str:
        """Write over the object that has this ETag; the new ETag.

        Raises ``PreconditionFailed`` if it changed or is gone.
        """
        return self._put(key, body, {"IfMatch": etag})

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error, and in a versioned bucket its versions stay."""
        path = self._prefix + check_key(key)
        request = partial(self._client.delete_object, Bucket=self._bucket, Key=path, **self._owner)
        try:
            # To delete twice is to delete once: asked again where there was no answer.
            self._calls.read(f"delete s3://{self._bucket}/{path}", request)
        except AwsRejection as rejection:
            raise self._explained(rejection) from rejection

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with ``prefix``, sorted; a page is asked for when it is needed."""
        path = self._prefix + check_prefix(prefix)
        client = self._client
        what = f"list s3://{self._bucket}/{path}"
        page: dict[str, Any] = {}
        while True:
            request = partial(client.list_objects_v2, Bucket=self._bucket, Prefix=path, **page, **self._owner)
            try:
                response = self._calls.read(what, request)
            except AwsRejection as rejection:
                raise self._explained(rejection) from rejection
            # S3 lists in the order of UTF-8 bytes, which for the keys of drkit is Python's.
            yield from (found["Key"].removeprefix(self._prefix) for found in response.get("Contents", ()))
            if not response.get("IsTruncated"):
                return
            page = {"ContinuationToken": response["NextContinuationToken"]}

    @property
    def _client(self) -> S3Client:
        return self._session.s3(self._region)

    def _put(self, key: str, body: bytes, condition: dict[str, Any]) -> str:
        path = self._prefix + check_key(key)
        # Given here and not left to boto3, which would send it behind the body, in chunks.
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        request = partial(
            self._client.put_object,
            Bucket=self._bucket,
            Key=path,
            Body=body,
            ChecksumSHA256=checksum,
            **condition,
            **self._protected(),
            **self._owner,
        )
        try:
            return self._calls.write(f"write s3://{self._bucket}/{path}", request)["ETag"]
        except AwsRejection as rejection:
            if rejection.status == 412 or rejection.code == "NoSuchKey":
                raise PreconditionFailed(rejection.message) from rejection
            raise self._explained(rejection) from rejection

    def _protected(self) -> dict[str, Any]:
        """Parameters of ``PutObject`` (Amazon S3 API reference)."""
        found: dict[str, Any] = {}
        if self._protection.kms_key_id is not None:
            found |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._protection.kms_key_id}
        if self._protection.lock_mode is not None:
            until = self._clock.now() + timedelta(days=self._protection.lock_days)
            # The algorithm, beside the checksum itself: S3 wants its header for what is to be locked.
            found |= {
                "ObjectLockMode": self._protection.lock_mode.upper(),
                "ObjectLockRetainUntilDate": until,
                "ChecksumAlgorithm": "SHA256",
            }
        return found

    def _body(self, what: str, response: GetObjectOutputTypeDef) -> bytes:
        # The socket's timeout bounds each read; a server that sends drop by drop is stopped here.
        deadline = self._clock.monotonic() + self._request_seconds
        chunks = []
        with closing(response["Body"]) as body:
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                chunks.append(chunk)
                if self._clock.monotonic() > deadline:
                    raise UnreachableError(f"cannot {what}: it did not arrive within {self._request_seconds:g} s")
        return b"".join(chunks)

    def _explained(self, rejection: AwsRejection) -> RefusedError:
        if rejection.code == "NoSuchBucket":
            hint = f"create the bucket {self._bucket} in {self._region}, with versioning, or correct drkit.yaml"
            return RefusedError(rejection.message, hint=hint)
        if rejection.code in _ELSEWHERE:
            hint = f"the bucket {self._bucket} is not in {self._region}: correct the region beside it in drkit.yaml"
            return RefusedError(rejection.message, hint=hint)
        return rejection
