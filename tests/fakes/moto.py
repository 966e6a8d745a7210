"""A simulated AWS: moto as a process of its own, spoken to over HTTP."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import eventually


@pytest.fixture(scope="session")
def moto_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL, on a free port of 127.0.0.1."""
    with moto_process(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@dataclass(frozen=True)
class Moto:
    """A process of its own, that can be stopped: it takes connections then, and says nothing."""

    url: str
    process: subprocess.Popen[bytes]

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def moto_process(log: Path) -> Iterator[str]:
    """The URL of a process of its own."""
    with moto_server(log) as moto:
        yield moto.url


@contextmanager
def moto_server(log: Path) -> Iterator[Moto]:
    """A process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.fakes.strict_moto", "127.0.0.1", str(port)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        eventually(
            lambda: process.poll() is not None or _accepts(port),
            timeout_seconds=30,
            because="moto listens on its port",
            every=0.02,
        )
        assert process.poll() is None, log.read_text()
        yield Moto(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def no_aws_identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the machine's own AWS configuration."""
    nowhere = str(tmp_path_factory.mktemp("aws") / "no-such-file")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "DEFAULT_PROFILE"):
            patch.delenv(f"AWS_{name}", raising=False)
        for name in ("ENDPOINT_URL", "REGION", "DEFAULT_REGION"):
            patch.delenv(f"AWS_{name}", raising=False)
        for name in ("CONFIG_FILE", "SHARED_CREDENTIALS_FILE"):
            patch.setenv(f"AWS_{name}", nowhere)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
