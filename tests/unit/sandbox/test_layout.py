from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.errors import UsageError
from drkit.sandbox.launch import process_endpoints
from drkit.sandbox.layout import (
    Endpoint,
    Layout,
    check_port_base,
    check_subnet,
    default_port_base,
    single_address_layout,
    spread_layout,
)

numbers = st.integers(min_value=0, max_value=255)


def endpoints(layout: Layout) -> list[Endpoint]:
    return [endpoint for used in process_endpoints(layout).values() for endpoint in used]


def test_a_region_has_an_address_of_its_own_where_there_are_several() -> None:
    layout = spread_layout("127.31")
    assert str(layout.region("ap-east-2").broker) == "127.31.1.1:9092"
    assert layout.region("ap-east-2").connect_url == "http://127.31.1.1:8083"
    assert str(layout.region("ap-northeast-1").broker) == "127.31.2.1:9092"
    assert (layout.aws_url, str(layout.dns)) == ("http://127.31.0.1:4566", "127.31.0.53:5353")
    assert (layout.record_type, layout.record_value("ap-northeast-1")) == ("A", "127.31.2.1")


def test_a_region_has_ports_of_its_own_on_a_single_address() -> None:
    layout = single_address_layout(20000)
    assert (layout.record_type, layout.record_value("ap-northeast-1")) == ("TXT", "127.0.0.1:20005")


@given(numbers, numbers)
def test_sandboxes_of_different_subnets_never_share_an_endpoint(one: int, other: int) -> None:
    for layouts in (
        [single_address_layout(default_port_base(f"127.{number}")) for number in (one, other)],
        [spread_layout(f"127.{number}") for number in (one, other)],
    ):
        first, second = (set(endpoints(layout)) for layout in layouts)
        assert len(first) == len(endpoints(layouts[0]))
        assert first == second if one == other else first.isdisjoint(second)


@given(numbers)
def test_every_port_is_below_the_ephemeral_range(number: int) -> None:
    base = default_port_base(f"127.{number}")
    check_port_base(base)
    assert all(1024 <= endpoint.port < 32768 for endpoint in endpoints(single_address_layout(base)))


@pytest.mark.parametrize("subnet", ["10.0", "127", "127.256", "127.1.2", "127.x", "", "127.31\n"])
def test_a_subnet_is_loopback(subnet: str) -> None:
    with pytest.raises(UsageError):
        check_subnet(subnet)


@pytest.mark.parametrize("port_base", [0, 1023, 32749, 70000])
def test_a_port_base_leaves_room(port_base: int) -> None:
    with pytest.raises(UsageError):
        check_port_base(port_base)
