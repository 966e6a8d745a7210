"""Where everything in a sandbox listens.

Each region has a loopback address of its own, so that an A record is a real redirect. Where only 127.0.0.1 answers
(macOS), regions differ by port and the redirect is a TXT record that holds ``host:port``. All ports lie below 32768,
where Linux begins to hand out ephemeral ports.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Final, Literal

from drkit.errors import UsageError

PRIMARY: Final = "ap-east-2"
STANDBY: Final = "ap-northeast-1"
REGIONS: Final = (PRIMARY, STANDBY)

_LOCALHOST: Final = "127.0.0.1"
_SUBNET: Final = re.compile(r"127\.(\d{1,3})")
_FIRST_PORT: Final = 20000
_PORTS_PER_SANDBOX: Final = 20
_HIGHEST_PORT_BASE: Final = 32768 - _PORTS_PER_SANDBOX


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a port on this machine."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RegionLayout:
    """One region's listeners."""

    name: str
    broker: Endpoint
    controller: Endpoint
    connect: Endpoint

    @property
    def connect_url(self) -> str:
        """The worker's REST interface."""
        return f"http://{self.connect}"


@dataclass(frozen=True, slots=True)
class Layout:
    """All listeners of one sandbox."""

    aws: Endpoint
    dns: Endpoint
    regions: tuple[RegionLayout, ...]
    single_address: bool

    @property
    def aws_url(self) -> str:
        """The one endpoint of every simulated AWS service."""
        return f"http://{self.aws}"

    @property
    def record_type(self) -> Literal["A", "TXT"]:
        """The type of the record that tells clients where the service is."""
        return "TXT" if self.single_address else "A"

    def region(self, name: str) -> RegionLayout:
        """The listeners of a region."""
        return next(region for region in self.regions if region.name == name)

    def record_value(self, name: str) -> str:
        """The record's value while that region is primary."""
        broker = self.region(name).broker
        return str(broker) if self.single_address else broker.host


def check_subnet(subnet: str) -> None:
    """Raise ``UsageError`` unless the subnet is ``127.N``."""
    match = _SUBNET.fullmatch(subnet)
    if not match or int(match[1]) > 255:
        raise UsageError(f"{subnet!r} is no loopback subnet", hint="give the first two numbers, such as 127.31")


def default_port_base(subnet: str) -> int:
    """The first port of a sandbox on a single address: different for every subnet, so that several fit side by side."""
    return _FIRST_PORT + int(subnet.removeprefix("127.")) * _PORTS_PER_SANDBOX


def check_port_base(port_base: int) -> None:
    """Raise ``UsageError`` unless all ports from this one on are ordinary, non-ephemeral ports."""
    if not 1024 <= port_base <= _HIGHEST_PORT_BASE:
        raise UsageError(f"port base {port_base} is out of range", hint=f"choose one from 1024 to {_HIGHEST_PORT_BASE}")


def aliases_answer(subnet: str) -> bool:
    """Whether the subnet's addresses belong to this machine: always on Linux, on macOS only after ``ifconfig``."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((f"{subnet}.1.1", 0))
        except OSError:
            return False
    return True


def spread_layout(subnet: str) -> Layout:
    """An address per region, the usual ports. DNS is on 5353: 53 needs root."""
    regions = tuple(
        RegionLayout(
            name=name,
            broker=Endpoint(f"{subnet}.{number}.1", 9092),
            controller=Endpoint(f"{subnet}.{number}.1", 9093),
            connect=Endpoint(f"{subnet}.{number}.1", 8083),
        )
        for number, name in enumerate(REGIONS, start=1)
    )
    return Layout(
        aws=Endpoint(f"{subnet}.0.1", 4566), dns=Endpoint(f"{subnet}.0.53", 5353), regions=regions, single_address=False
    )


def single_address_layout(port_base: int) -> Layout:
    """Everything on 127.0.0.1, in consecutive ports from the base on."""
    regions = tuple(
        RegionLayout(
            name=name,
            broker=Endpoint(_LOCALHOST, first),
            controller=Endpoint(_LOCALHOST, first + 1),
            connect=Endpoint(_LOCALHOST, first + 2),
        )
        for first, name in zip((port_base + 2, port_base + 5), REGIONS, strict=True)
    )
    return Layout(
        aws=Endpoint(_LOCALHOST, port_base),
        dns=Endpoint(_LOCALHOST, port_base + 1),
        regions=regions,
        single_address=True,
    )
