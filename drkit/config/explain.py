"""What the models refuse, said in the words of the file: where, what is wrong, what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from drkit.config.yaml_text import Document, Path, Problem

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Schema = Mapping[str, Any]

_BOOLEAN_WORDS: Final = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SIMILARITY: Final = 0.6


def explain(error: ValidationError, document: Document, schema: Schema) -> Iterator[Problem]:
    """One problem for each error of the model, in the order in which the model found them.

    ``schema`` is the JSON Schema of the model: it tells which keys are known at a place. Values of secrets are never
    repeated.
    """
    for detail in error.errors(include_url=False, include_context=True):
        path, node, parent = _locate(detail["loc"], document, schema)
        yield Problem(document.line(path), path, _message(detail, path, node, parent, document))


def _locate(location: tuple[str | int, ...], document: Document, schema: Schema) -> tuple[Path, Schema, Schema]:
    """The path in the file (pydantic's location also names the chosen member of a union), and what the schema says."""
    path: Path = ()
    value: Any = document.value
    node, tag = _resolve(schema, schema, value)
    parent: Schema = {}
    for part in location:
        if tag is not None and part == tag:
            tag = None
            continue
        parent = node
        path = (*path, part)
        if isinstance(part, int):
            child, value = node.get("items", {}), _at(value, part)
        else:
            child = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
            value = value.get(part) if isinstance(value, dict) else None
        node, tag = _resolve(schema, child if isinstance(child, Mapping) else {}, value)
    return path, node, parent


def _at(value: object, index: int) -> object:
    return value[index] if isinstance(value, list) and index < len(value) else None


def _resolve(root: Schema, node: Schema, value: object) -> tuple[Schema, str | None]:
    """Follow references and choose a union's member by the value's tag; the member, and the tag if there was one."""
    if "$ref" in node:
        return _resolve(root, root["$defs"][node["$ref"].rpartition("/")[2]], value)
    if "discriminator" in node:
        discriminator = node["discriminator"]
        tag = value.get(discriminator["propertyName"]) if isinstance(value, dict) else None
        reference = discriminator["mapping"].get(tag) if isinstance(tag, str) else None
        return (_resolve(root, {"$ref": reference}, value)[0], tag) if reference else (node, None)
    for option in node.get("anyOf", ()):
        if option.get("type") != "null":
            return _resolve(root, option, value)
    return node, None


def _message(detail: ErrorDetails, path: Path, node: Schema, parent: Schema, document: Document) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key{_nearest(str(path[-1]), tuple(parent.get('properties', ())))}"
    if kind in ("literal_error", "union_tag_invalid"):
        choices = tuple(re.findall(r"'([^']*)'", str(context.get("expected") or context.get("expected_tags"))))
        chosen = str(context.get("tag", detail["input"]))
        return f"must be one of {', '.join(choices)}{_nearest(chosen, choices, name_them=False)}"
    if kind in _EXPECTED and detail["input"] is not None:
        return _wrong_type(kind, path, document, is_secret=node.get("format") == "secret-reference")
    plain = {
        "missing": "is missing",
        "union_tag_not_found": f"does not say which {str(context.get('discriminator')).strip(chr(39))}",
    }
    if kind in plain or detail["input"] is None:
        return plain.get(kind, "is empty")
    message = detail["msg"].removeprefix("Value error, ")
    return re.sub(r"^(Input|String|Dictionary|Tuple) should", "must", message)


_EXPECTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}


def _wrong_type(kind: str, path: Path, document: Document, *, is_secret: bool) -> str:
    expected = f"must be {_EXPECTED[kind]}"
    place = document.places.get(path)
    if place is None or place.text is None or is_secret:
        return expected
    text = place.text
    if kind == "string_type":
        # What YAML takes for a number or a boolean is never turned back into text: 3.10 would have become 3.1.
        return f'{expected}; write it in quotes: "{text}"'
    if kind == "bool_type":
        meant = _BOOLEAN_WORDS.get(text.lower()) or (text.lower() if text.lower() in ("true", "false") else "")
        return f"{expected}; {text!r} is text here" + (f": write {meant}" if meant else "")
    if kind == "int_type" and place.is_plain and re.fullmatch(r"-?\d+\.\d+", text):
        return f"{expected}, without a point"
    if kind in ("int_type", "float_type"):
        return expected + _number_advice(text, is_plain=place.is_plain)
    return expected


def _number_advice(text: str, *, is_plain: bool) -> str:
    """What to write instead of something that YAML 1.1, or a reader, would take for a number."""
    advice = f", not {text!r}"
    duration = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text)
    if re.fullmatch(r"-?\d+(\.\d+)?", text) and not is_plain:
        advice = f"; write {text} without quotes"
    elif re.fullmatch(r"\d{1,9}(:[0-5]?\d){1,2}", text):
        advice = f"; {text} is no time here: write the number of seconds, {_sexagesimal(text)}"
    elif re.fullmatch(r"[+-]?0\d{1,17}", text):
        advice = f"; {text} begins with a zero, which YAML 1.1 reads as octal: write {int(text)}"
    elif re.fullmatch(r"\d[\d_]*_\d+", text):
        advice = f"; write {text.replace('_', '')} without underscores"
    elif duration and duration[2] in _UNIT_SECONDS:
        advice = f"; write the number of seconds, {float(duration[1]) * _UNIT_SECONDS[duration[2]]:g}"
    elif re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", text, re.IGNORECASE):
        advice = f"; write {text} out with digits and, if need be, one point between them"
    return advice


def _sexagesimal(text: str) -> int:
    seconds = 0
    for part in text.split(":"):
        seconds = seconds * 60 + int(part)
    return seconds


def _nearest(name: str, known: tuple[str, ...], *, name_them: bool = True) -> str:
    close = difflib.get_close_matches(name.replace("-", "_").lower(), known, n=1, cutoff=_SIMILARITY)
    if not close:
        close = difflib.get_close_matches(name, known, n=1, cutoff=_SIMILARITY)
    if close:
        return f": did you mean {close[0]}?"
    return f"; known here: {', '.join(known)}" if name_them and known else ""
