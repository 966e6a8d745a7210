"""Java ``.properties`` text, as ``java.util.Properties.load`` reads it.

Source: the javadoc of ``java.util.Properties#load(Reader)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
_BLANK = " \t\f"
_LINE_END = re.compile(r"\r\n|\n|\r")


def escape_value(text: str) -> str:
    r"""The text as the value of a property: ``orders\..*`` becomes ``orders\\..*``."""
    escaped = "".join(_ESCAPED.get(character, character) for character in text)
    # Blanks before a value are dropped by the reader.
    return f"\\{escaped}" if escaped.startswith(" ") else escaped


def parse_properties(text: str) -> dict[str, str]:
    r"""Keys and values in the order of the text; of a repeated key the last value counts, as in Java.

    Raises ``ValueError`` for a malformed ``\uXXXX``.
    """
    return dict(_split(line) for line in _logical_lines(text))


def _logical_lines(text: str) -> Iterator[str]:
    pending = ""
    continued = False
    for natural in _LINE_END.split(text):
        line = natural.lstrip(_BLANK)
        if not continued and (not line or line[0] in "#!"):
            continue
        backslashes = len(line) - len(line.rstrip("\\"))
        continued = backslashes % 2 == 1
        pending += line[:-1] if continued else line
        if not continued:
            yield pending
            pending = ""
    if pending:
        yield pending


def _split(line: str) -> tuple[str, str]:
    end = 0
    while end < len(line) and line[end] not in "=:" + _BLANK:
        end += 2 if line[end] == "\\" else 1
    rest = line[end:].lstrip(_BLANK)
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(_BLANK)
    return _unescape(line[:end]), _unescape(rest)


def _unescape(text: str) -> str:
    def replacement(match: re.Match[str]) -> str:
        code = match[1]
        if code.startswith("u"):
            if len(code) != 5:
                raise ValueError(f"malformed \\uXXXX in {text!r}")
            return chr(int(code[1:], 16))
        return _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9A-Fa-f]{0,4}|.)", replacement, text, flags=re.DOTALL)
