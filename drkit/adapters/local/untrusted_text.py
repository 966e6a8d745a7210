"""Text from outside, made fit to be shown and kept."""

from __future__ import annotations


def printable(text: bytes | str, *, limit: int) -> str:
    """On one line, at most ``limit`` characters of it (the last ones), control characters and the like escaped.

    Escapes, not removal: what a terminal would act on is made visible.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="backslashreplace")
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text.strip())
    return shown if len(shown) <= limit else f"...{shown[len(shown) - limit + 3 :]}"
