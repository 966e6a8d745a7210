"""Secrets by reference: read when they are used, never kept in the settings, never repeated in a message."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from drkit.config.models import resolve_path
from drkit.errors import ConfigError

ReadArn = Callable[[str], str]
"""Reads a secret's string from Secrets Manager by its ARN; raises drkit errors."""

_MAX_BYTES: Final = 64 * 1024
_UNNAMED: Final = re.compile(r"[^A-Za-z0-9._-]")


def resolve_secret(reference: str, *, base: Path, read_arn: ReadArn | None = None) -> str:
    """The secret behind a ``SecretRef``.

    ``base`` is the directory of ``drkit.yaml``: a ``file:`` path is relative to it. ``read_arn`` is called for an ARN;
    what it returns is the secret, or a JSON object whose ``password`` is (as Amazon MSK stores SCRAM credentials).

    Raises ``ConfigError`` where there is no secret, and what ``read_arn`` raises.
    """
    kind, _, rest = reference.partition(":")
    if kind == "env":
        return _from_environment(rest)
    if kind == "file":
        return _from_file(stand_in_of(resolve_path(base, rest)))
    if kind == "arn" and read_arn is not None:
        return _from_secret_string(reference, read_arn(reference))
    raise ConfigError(
        f"a secret given by {kind}: cannot be resolved here",
        hint="connect:${...} is for the mirror's identity only; drkit's own needs env:NAME, file:PATH or an ARN",
    )


def credential_name(path: str) -> str:
    """The systemd credential that stands in for a file of this absolute path: ``/etc/a`` is ``etc-a``.

    Of characters that Kubernetes takes for the key of a secret, too.
    """
    return _UNNAMED.sub("_", path.strip("/").replace("/", "-"))


def stand_in_of(path: Path) -> Path:
    """The credential that systemd gives this process for a file that it may not read itself, or the file.

    systemd.exec(5), "Credentials": ``LoadCredential=`` puts them into a directory that only the unit can read.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory or not path.is_absolute():
        return path
    credential = Path(directory) / credential_name(str(path))
    return credential if credential.is_file() else path


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value:
        return value
    state = "not set" if value is None else "empty"
    raise ConfigError(
        f"the environment variable {name} is {state}", hint=f"export {name}, or name another in drkit.yaml"
    )


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except OSError as error:
        raise ConfigError(
            f"the secret's file {path} cannot be read: {error.strerror}", hint="check it and its mode"
        ) from error
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        # Not chained: the error would carry the secret's bytes.
        raise ConfigError(f"the secret's file {path} is not UTF-8", hint="its first line is the secret") from None
    if not lines or not lines[0]:
        raise ConfigError(f"the first line of the secret's file {path} is empty", hint="its first line is the secret")
    return lines[0]


def _from_secret_string(arn: str, text: str) -> str:
    if not text.lstrip().startswith("{"):
        return text
    try:
        password = json.loads(text).get("password")
    except ValueError:
        # A secret may begin with a brace without being JSON.
        return text
    if not isinstance(password, str) or not password:
        raise ConfigError(f"the secret {arn} is JSON without a password", hint='it must hold "password"')
    return password
