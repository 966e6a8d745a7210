r"""Names and values of record sets in Route 53's notation, and in drkit's.

Route 53 writes what is not a letter, a digit, ``-``, ``_`` or ``.`` in a name as ``\ooo`` (three octal digits;
Developer Guide, "DNS domain name format"), and TXT values as quoted strings of at most 255 characters with the same
escapes ("TXT record type"). drkit's values carry neither quotes nor escapes, nor the dot at a name's end.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from drkit.errors import RefusedError

_STRING_BYTES = 255
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)


def canonical_name(name: str) -> str:
    """A domain name to compare with: in lower case, escapes resolved, without the dot at its end."""
    return _unescape(name.encode()).decode("utf-8", errors="backslashreplace").lower().removesuffix(".")


def to_route53(record_type: str, value: str) -> str:
    """A value of drkit's in Route 53's notation. Raises ``RefusedError`` for an address that is none."""
    if record_type == "TXT":
        raw = value.encode()
        strings = [raw[i : i + _STRING_BYTES] for i in range(0, len(raw), _STRING_BYTES)] or [b""]
        return " ".join(f'"{_escape(string)}"' for string in strings)
    if record_type == "A":
        return _address(value)
    return canonical_name(value) + "."


def from_route53(record_type: str, value: str) -> str:
    """A value in Route 53's notation as drkit's; strings of a TXT value are joined, as resolvers' users do."""
    if record_type == "TXT":
        strings = _QUOTED.findall(value) if _QUOTED.match(value) else [value]
        return b"".join(_unescape(string.encode()) for string in strings).decode("utf-8", errors="backslashreplace")
    return value if record_type == "A" else canonical_name(value)


def canonical_values(record_type: str, values: Iterable[str]) -> tuple[str, ...]:
    """Configured values as drkit compares them: sorted, each in the form that ``from_route53`` gives."""
    return tuple(sorted(from_route53(record_type, to_route53(record_type, value)) for value in values))


def _address(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError as error:
        raise RefusedError(f"{value!a} is not an IPv4 address", hint="correct redirect in drkit.yaml") from error


def _escape(raw: bytes) -> str:
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in raw)


def _unescape(text: bytes) -> bytes:
    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8) & 0xFF]) if len(code) == 3 else code

    return _ESCAPE.sub(one, text)
