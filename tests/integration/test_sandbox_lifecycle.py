"""A sandbox's life: killed half-way, started again, on a single address, in the wrong place, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest

from drkit.config.load import load
from drkit.errors import RefusedError
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.launch import process_endpoints
from drkit.sandbox.layout import Layout, spread_layout
from drkit.sandbox.processes import Processes, ProcessSpec, ProcessState
from drkit.sandbox.readiness import broker_answers, can_listen
from tests.conftest import free_subnet
from tests.waiting import eventually

pytestmark = pytest.mark.sandbox


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory for a sandbox of the test's own."""
    root = tmp_path / "box"
    yield root
    Sandbox(root).down()


def up_killed_at(directory: Path, subnet: str, process: str) -> None:
    """Run ``drkit sandbox up`` and kill it with -9 as soon as it has started that process."""
    command = [sys.executable, "-m", "drkit", "sandbox", "up", "--dir", str(directory), "--subnet", subnet]
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(
            lambda: process in Processes(directory).find(),
            timeout_seconds=90,
            because=f"up starts {process}",
            every=0.01,
        )
        assert running.poll() is None
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()


def assert_nothing_left(directory: Path, layout: Layout) -> None:
    assert Processes(directory).find() == {}
    open_ports = [
        str(endpoint) for used in process_endpoints(layout).values() for endpoint in used if not can_listen(endpoint)
    ]
    assert open_ports == []
    assert not directory.exists()


def test_up_killed_half_way_leaves_nothing_that_up_cannot_finish(directory: Path) -> None:
    subnet = free_subnet()
    up_killed_at(directory, subnet, "ap-east-2/format")
    up_killed_at(directory, subnet, "ap-northeast-1/mirror")
    box = Sandbox(directory, subnet)
    status = box.up()
    assert status.is_running
    assert {name: len(found) for name, found in box.processes.find().items()} == dict.fromkeys(
        process_endpoints(status.layout), 1
    )
    assert load(box.config).primary == "ap-east-2"
    assert all(broker_answers(region.clients["app"]) for region in status.regions.values())
    for secret in (directory / "secrets").iterdir():
        assert secret.stat().st_mode & 0o077 == 0
    passwords = [(directory / "secrets" / f"{user}.password").read_text().strip() for user in ("admin", "mirror")]
    for found in box.processes.find().values():
        arguments = " ".join(found[0].cmdline())
        assert not any(password in arguments for password in passwords)

    # What others start through the sandbox ends with it.
    command = (sys.executable, *box.processes.python_marks("visitor"), "-c", "import time; time.sleep(600)")
    box.processes.start(ProcessSpec("visitor", command, directory / "logs" / "visitor.log", {}))
    assert box.processes.status(["visitor"])["visitor"].state is ProcessState.RUNNING
    box.down()
    assert_nothing_left(directory, status.layout)


def test_up_killed_half_way_leaves_nothing_that_down_cannot_clear(directory: Path) -> None:
    subnet = free_subnet()
    up_killed_at(directory, subnet, "ap-east-2/broker")
    assert Processes(directory).find() != {}
    Sandbox(directory).down()
    assert_nothing_left(directory, spread_layout(subnet))
    Sandbox(directory).down()


def test_a_single_address_and_another_kafka(directory: Path) -> None:
    box = Sandbox(directory, "127.91", "3.9.1", "development", single_address=True)
    status = box.up()
    layout = status.layout
    endpoints = [endpoint for used in process_endpoints(layout).values() for endpoint in used]
    assert {endpoint.host for endpoint in endpoints} == {"127.0.0.1"}
    assert len({endpoint.port for endpoint in endpoints}) == len(endpoints)
    settings = load(box.config)
    assert settings.environment == "development"
    target = settings.redirect[0]
    assert target.type == "TXT"
    primary = str(layout.region("ap-east-2").broker)
    assert target.values["ap-east-2"] == (primary,)
    question = dns.message.make_query(status.bootstrap_name, "TXT")
    answer = dns.query.udp(question, status.dns.host, port=status.dns.port, timeout=5)
    assert [record.strings for found in answer.answer for record in found] == [(primary.encode(),)]
    assert all(broker_answers(region.clients["app"]) for region in status.regions.values())

    before = {name: region.cluster.cluster_id for name, region in settings.regions.items()}
    box.down(keep=True)
    assert box.processes.find() == {}
    with pytest.raises(RefusedError, match="has environment development, not staging"):
        Sandbox(directory, environment="staging").up()
    box.fault(Fault.START, "ap-east-2", "broker")
    assert broker_answers(status.regions["ap-east-2"].clients["admin"])
    assert {name: region.cluster.cluster_id for name, region in load(box.config).regions.items()} == before
    box.down()
    assert_nothing_left(directory, layout)


def test_a_taken_port_is_named_and_nothing_is_started(directory: Path) -> None:
    subnet = free_subnet()
    with socket.create_server((f"{subnet}.2.1", 8083)):
        with pytest.raises(RefusedError, match=rf"port 8083 on {subnet}\.2\.1.*\(pid {os.getpid()}\)"):
            Sandbox(directory, subnet).up()
        assert_nothing_left(directory, Layout(*(spread_layout(subnet).aws, spread_layout(subnet).dns), (), False))


def test_a_directory_with_other_files_is_left_alone(directory: Path) -> None:
    directory.mkdir()
    (directory / "thesis.txt").write_text("three years of work")
    with pytest.raises(RefusedError, match="not empty"):
        Sandbox(directory).up()
    with pytest.raises(RefusedError, match="not empty"):
        Sandbox(directory).down()
    assert [entry.name for entry in directory.iterdir()] == ["thesis.txt"]
    (directory / "thesis.txt").unlink()


def test_no_sandbox(directory: Path) -> None:
    with pytest.raises(RefusedError, match="no sandbox"):
        Sandbox(directory).status()
    with pytest.raises(RefusedError, match="no sandbox"):
        Sandbox(directory).fault(Fault.KILL, "ap-east-2")
    assert not directory.exists()
