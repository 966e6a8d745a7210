"""Which keys an object store takes."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.adapters.object_keys import check_key, check_prefix
from drkit.errors import RefusedError


@pytest.mark.parametrize(
    "key",
    [
        "lease.json",
        "runs/20261123t151200z-failover-tokyo-ab12/00000001.json",
        "snapshots/ap-east-2/2026-11-23T15:12:00+00:00.json",
        "fences/eu-west-1.json",
        "a" * 200,
        "/".join(["x"] * 450),
    ],
)
def test_the_keys_of_drkit_are_taken(key: str) -> None:
    assert check_key(key) == key
    assert check_prefix(f"{key[:801]}/") == f"{key[:801]}/"


@given(st.text(alphabet=st.sampled_from("ab./\\ \x00\n-é~$*"), max_size=20))
def test_a_key_is_refused_or_stays_in_its_directory(key: str) -> None:
    try:
        check_key(key)
    except RefusedError:
        return
    path = PurePosixPath("/state") / key
    assert str(path) == f"/state/{key}"
    assert not any(part.startswith(".") for part in path.parts)


def test_the_empty_prefix_means_everything() -> None:
    assert check_prefix("") == ""
    with pytest.raises(RefusedError):
        check_prefix("/")
