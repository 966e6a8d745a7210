"""Calls that have no deadline of their own get one."""

from __future__ import annotations

import threading
import time

import pytest

from drkit.adapters.deadline import refuse_if_given_up, within
from drkit.adapters.kafka.settings import client_settings
from drkit.config.models import Cluster, IamAuth
from drkit.errors import RefusedError, UnreachableError
from tests.waiting import eventually


def test_the_result_and_the_error_are_the_calls() -> None:
    assert within(5, "add", lambda: 1 + 1) == 2

    def refuse() -> None:
        raise RefusedError("no")

    with pytest.raises(RefusedError, match="no"):
        within(5, "ask", refuse)


def test_a_call_that_is_late_is_left_and_sends_nothing_any_more() -> None:
    go_on, sent = threading.Event(), list[str]()
    ended = threading.Event()

    def call() -> None:
        try:
            go_on.wait(10)
            refuse_if_given_up()
            sent.append("sent")
        finally:
            ended.set()

    started = time.monotonic()
    with pytest.raises(UnreachableError, match=r"cannot change it: no whole answer within 0\.1 s"):
        within(0.1, "change it", call)
    assert time.monotonic() - started < 2
    go_on.set()
    eventually(ended.is_set, timeout_seconds=10, because="the call ends")
    assert sent == []
    refuse_if_given_up()


def test_a_token_for_msk_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signer asks STS, and whoever gives the credentials, with timeouts of its own: minutes, or none."""
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider

    stuck = threading.Event()
    monkeypatch.setattr(MSKAuthTokenProvider, "generate_auth_token", lambda _region: stuck.wait(10))
    cluster = Cluster(bootstrap="b:9098", cluster_id="c", auth=IamAuth(mechanism="iam", region="ap-east-2"))
    started = time.monotonic()
    try:
        with pytest.raises(UnreachableError, match="cannot get a token for MSK IAM"):
            client_settings(cluster, str, token_seconds=0.2)
    finally:
        stuck.set()
    assert time.monotonic() - started < 3
