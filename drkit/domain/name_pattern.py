"""What can be said about MM2's name patterns (Java regular expressions, matched against the whole name)."""

from __future__ import annotations

import re
import warnings

_UNRELATED_NAMES = ("drkit-lint-probe", "Zq.9_unrelated")
_META = frozenset(".[](){}*+?^$|")


def fault(pattern: str) -> str | None:
    """Why MM2 would not do what the pattern says, or None.

    MM2 splits its lists at commas, without a way to quote one, and strips what is around them. drkit applies the same
    patterns in Python, so that only what both understand alike is accepted.
    """
    if not pattern or pattern != pattern.strip():
        return "is empty or has blanks at its ends, which MM2 strips"
    if "," in pattern:
        return "holds a comma, at which MM2 cuts its lists: write it as two patterns"
    try:
        compiled = _compile(pattern)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        return f"is no regular expression that Java and Python read alike: {error}"
    if all(compiled.fullmatch(name) for name in _UNRELATED_NAMES):
        return "matches every name"
    return None


def _compile(pattern: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        # `[[a]` and `[a&&b]` are sets of sets to Java; Python takes them literally and warns.
        warnings.simplefilter("error", FutureWarning)
        return re.compile(pattern)


def literal_prefix(pattern: str) -> str:
    r"""What every match is sure to begin with: ``shop.`` for ``shop\.(a|b).*``; empty if that cannot be told."""
    if "|" in re.sub(r"\\.|\([^()]*\)|\[[^\]]*\]", "", pattern):
        return ""
    prefix: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            position += 1
            character = pattern[position : position + 1]
            if not character or character.isalnum():
                break
        elif character in _META:
            if character in "*?{":
                # The character before may be missing from a match.
                del prefix[-1:]
            break
        prefix.append(character)
        position += 1
    return "".join(prefix)
