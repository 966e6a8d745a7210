"""Secrets by reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from drkit.config.secrets import credential_name, resolve_secret
from drkit.errors import AuthError, ConfigError

ARN = "arn:aws:secretsmanager:ap-east-2:111122223333:secret:AmazonMSK_drkit"


def test_an_environment_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DRKIT_PASSWORD", "hunter2")
    assert resolve_secret("env:DRKIT_PASSWORD", base=tmp_path) == "hunter2"


@pytest.mark.parametrize(("value", "state"), [(None, "not set"), ("", "empty")])
def test_a_variable_without_a_secret(
    value: str | None, state: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if value is None:
        monkeypatch.delenv("DRKIT_PASSWORD", raising=False)
    else:
        monkeypatch.setenv("DRKIT_PASSWORD", value)
    with pytest.raises(ConfigError, match=f"the environment variable DRKIT_PASSWORD is {state}"):
        resolve_secret("env:DRKIT_PASSWORD", base=tmp_path)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"hunter2", "hunter2"),
        (b"hunter2\nmore\n", "hunter2"),
        (b"\xef\xbb\xbfhunter2\r\n", "hunter2"),
        (b" a ", " a "),
    ],
)
def test_the_first_line_of_a_file(content: bytes, secret: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(content)
    assert resolve_secret("file:password", base=tmp_path) == secret
    assert resolve_secret(f"file:{tmp_path / 'password'}", base=Path("/")) == secret


def test_a_credential_of_systemd_stands_in_for_the_file_that_it_is_named_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, credentials = tmp_path / "etc" / "password", tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    file.parent.mkdir()
    file.write_text("from the file")
    assert resolve_secret("file:password", base=file.parent) == "from the file"
    (credentials / credential_name(str(file))).write_text("from systemd")
    assert resolve_secret("file:password", base=file.parent) == "from systemd"
    assert resolve_secret(f"file:{file}", base=tmp_path) == "from systemd"
    assert credential_name("/etc/drkit/password") == "etc-drkit-password"


def test_a_file_without_a_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        resolve_secret("file:password", base=tmp_path)
    (tmp_path / "password").write_bytes(b"\nhunter2\n")
    with pytest.raises(ConfigError, match=r"first line of the secret's file .* is empty"):
        resolve_secret("file:password", base=tmp_path)
    (tmp_path / "password").write_bytes(b"hunter2\xff")
    with pytest.raises(ConfigError, match="is not UTF-8") as caught:
        resolve_secret("file:password", base=tmp_path)
    assert "hunter2" not in repr(caught.value.__cause__)


@pytest.mark.parametrize(
    ("stored", "secret"),
    [("hunter2", "hunter2"), ('{"username": "drkit", "password": "hunter2"}', "hunter2"), ("{hunter2", "{hunter2")],
)
def test_a_secret_in_secrets_manager(stored: str, secret: str, tmp_path: Path) -> None:
    asked = []

    def read(arn: str) -> str:
        asked.append(arn)
        return stored

    assert resolve_secret(ARN, base=tmp_path, read_arn=read) == secret
    assert asked == [ARN]


def test_secrets_manager_holds_no_password_or_refuses(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is JSON without a password") as caught:
        resolve_secret(ARN, base=tmp_path, read_arn=lambda _: '{"token": "hunter2"}')
    assert "hunter2" not in caught.value.message

    def refuse(arn: str) -> str:
        raise AuthError(f"{arn} may not be read")

    with pytest.raises(AuthError):
        resolve_secret(ARN, base=tmp_path, read_arn=refuse)


@pytest.mark.parametrize("reference", ["connect:${file:/x:key}", ARN])
def test_a_reference_that_nobody_here_resolves(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be resolved here"):
        resolve_secret(reference, base=tmp_path)
