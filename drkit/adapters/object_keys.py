"""Which keys an object store takes: the ones that mean the same in S3 and on a file system."""

from __future__ import annotations

import re

from drkit.errors import RefusedError

# S3's safe characters (Amazon S3 User Guide, "Naming Amazon S3 objects"), without those that a shell expands.
_SEGMENT = re.compile(r"[A-Za-z0-9_=:@+-][A-Za-z0-9_=:@+.-]{0,199}")
_LONGEST_KEY_BYTES = 900
"""S3 takes 1,024 bytes; the service's prefix needs some."""


def check_key(key: str) -> str:
    """The key itself; ``RefusedError`` for one that is empty, too long, leaves its directory or has odd characters.

    A segment never starts with a dot, so neither ``.`` nor ``..`` nor a hidden file can be named.
    """
    if len(key) > _LONGEST_KEY_BYTES or not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise RefusedError(f"{key[:80]!a} cannot be the key of an object")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself: empty, or the beginning of a key, which may end with ``/``."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix
