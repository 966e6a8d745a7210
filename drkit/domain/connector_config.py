"""What of a connector's configuration may be kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

REDACTED: Final = "(redacted)"
_SENSITIVE: Final = re.compile(
    r"passw|passphrase|passwd|pwd|(^|[._-])pass($|[._-])|secret|token|credential|jaas|authorization|bearer"
    r"|auth[._-]?header|(^|[._-])headers?($|[._-])|basic\.auth|user\.?info|signature"
    r"|(access|private|api|account|shared|master|encryption|sas|client|customer)[._-]?key|keystore\.key|[._-]key$|^key$"
    r"|connection\.?(url|uri|string)",
    re.IGNORECASE,
)
"""Names of settings whose values may be secrets: Kafka's clients', and those of widespread connectors."""
_TELLTALE: Final = re.compile(
    r"PRIVATE KEY|LoginModule|\b(Basic|Bearer)\s"
    r"|(passw\w*|passphrase|pwd|pass|secret|token|credential|key|sig|signature|authorization)[\"']?\s*[=:]",
    re.IGNORECASE,
)
"""What a secret stands behind in a value, whatever the setting is called: a URL's query, a driver's properties."""
# KIP-297: ``${provider:path:key}``, which the worker resolves. A value that has more than that may hold a secret.
_REFERENCE: Final = re.compile(r"\$\{[^{}:]+:[^{}]*\}")
_IN_JAAS: Final = re.compile(r'"[^"]*"|\'[^\']*\'')
# userinfo of a URL, wherever it stands. A password may hold slashes, though no URL should.
_USERINFO: Final = re.compile(r"(?<=://)\S*@")


def without_secrets(config: Mapping[str, object]) -> dict[str, str]:
    """The configuration with ``(redacted)`` for every value that may be a secret, sorted by name.

    A value that is a reference stays: ``${file:/etc/secrets:password}`` says where the secret is. So does a JAAS
    configuration in which everything that is quoted is a reference, or a user name. What is no secret may go, too:
    that is the side to err on.
    """
    return {name: _kept(name, config[name]) for name in sorted(config)}


def _kept(name: str, value: object) -> str:
    # A worker may tell what is no text (numbers, booleans, null), and a backup must not stop at it.
    text = str(value)
    may_be_secret = _SENSITIVE.search(name) is not None or _TELLTALE.search(text) is not None
    if may_be_secret and text and not _is_reference(text) and not _is_jaas_of_references(text):
        return REDACTED
    return _USERINFO.sub(f"{REDACTED}@", text)


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
