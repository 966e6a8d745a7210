"""What of a connector's configuration may be kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

REDACTED: Final = "(redacted)"
_SENSITIVE: Final = re.compile(
    r"passw|passphrase|secret|token|credential|jaas|basic\.auth|user\.info|(access|private|api|account|sas)[._-]?key"
    r"|keystore\.key|\.key$|connection\.(url|uri|string)",
    re.IGNORECASE,
)
# KIP-297: ``${provider:path:key}``, which the worker resolves. A value that has more than that may hold a secret.
_REFERENCE: Final = re.compile(r"\$\{[^{}:]+:[^{}]*\}")
_IN_JAAS: Final = re.compile(r'"[^"]*"|\'[^\']*\'')
# userinfo of a URL, wherever it stands.
_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]+@")


def without_secrets(config: Mapping[str, str]) -> dict[str, str]:
    """The configuration with ``(redacted)`` for every value that may be a secret, sorted by name.

    A value that is a reference stays: ``${file:/etc/secrets:password}`` says where the secret is. So does a JAAS
    configuration in which everything that is quoted is a reference, or a user name.
    """
    return {name: _kept(name, config[name]) for name in sorted(config)}


def _kept(name: str, value: str) -> str:
    if _SENSITIVE.search(name) and value and not _is_reference(value) and not _is_jaas_of_references(value):
        return REDACTED
    return _USERINFO.sub(f"{REDACTED}@", value)


def _is_reference(value: str) -> bool:
    return _REFERENCE.fullmatch(value.strip()) is not None


def _is_jaas_of_references(value: str) -> bool:
    """``... LoginModule required username="drkit" password="${...}";``, with nothing that is not quoted but names."""
    if "LoginModule required" not in value:
        return False
    quoted = _IN_JAAS.findall(value)
    unquoted = _IN_JAAS.sub("", value)
    settings = re.findall(r"(\w+)\s*=", unquoted)
    is_plain = re.fullmatch(r"\s*[\w.$]+LoginModule required(\s+\w+\s*=)*\s*;?\s*", unquoted) is not None
    return (
        is_plain
        and len(settings) == len(quoted)
        and all(name == "username" or _is_reference(text[1:-1]) for name, text in zip(settings, quoted, strict=True))
    )
