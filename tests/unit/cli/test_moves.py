"""A plan is shown and asked about in one way, whatever it is a plan of."""

from __future__ import annotations

import json

import click
import pytest

from drkit.cli.moves import goes_ahead
from drkit.errors import RefusedError
from drkit.procedures.plan import Plan, Request
from tests.fakes.move import mirrored_service, operator
from tests.fakes.service import TARGET


@pytest.fixture(name="plan")
def _plan() -> Plan:
    return operator(mirrored_service()).plan(Request("failover", TARGET))


def test_a_dry_run_shows_the_plan_and_asks_nothing(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert not goes_ahead(plan, "the plan", dry_run=True, yes=False, as_json=False)
    assert capsys.readouterr() == ("the plan\n", "")
    assert not goes_ahead(plan, "the plan", dry_run=True, yes=False, as_json=True)
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == (plan.document, "")


@pytest.mark.parametrize(("as_json", "shown"), [(False, ("the plan\n", "")), (True, ("", "the plan\n"))])
def test_with_yes_it_is_shown_and_goes_ahead(
    plan: Plan, capsys: pytest.CaptureFixture[str], as_json: bool, shown: tuple[str, str]
) -> None:
    assert goes_ahead(plan, "the plan", dry_run=False, yes=True, as_json=as_json)
    assert capsys.readouterr() == shown


@pytest.mark.parametrize("answer", ["", "yes", "taipei"])
def test_only_the_regions_name_confirms(plan: Plan, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(click, "prompt", lambda *_, **__: answer)
    with pytest.raises(RefusedError, match="not confirmed; nothing was changed"):
        goes_ahead(plan, "the plan", dry_run=False, yes=False, as_json=False)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: f" {TARGET} ")
    assert goes_ahead(plan, "the plan", dry_run=False, yes=False, as_json=False)


def test_what_is_not_allowed_is_shown_and_refused(capsys: pytest.CaptureFixture[str]) -> None:
    service = mirrored_service()
    service.source.is_dark = True
    refused = operator(service).plan(Request("failover", TARGET, source_is_gone=True))
    with pytest.raises(RefusedError) as caught:
        goes_ahead(refused, "the plan", dry_run=False, yes=True, as_json=False)
    assert caught.value.message == "; ".join(refused.refusals)
    assert capsys.readouterr().out == "the plan\n"
