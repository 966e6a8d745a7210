"""A planned run whose source dies, and the disaster move that takes its place in the same command."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
import pytest

from drkit.cli.moves import Policy, carry_out
from drkit.domain.lifecycle import Phase
from drkit.errors import ExitCode, RefusedError, StoppedError, UnreachableError
from drkit.procedures.answers import RunReport
from drkit.procedures.plan import Request
from tests.fakes.move import mirrored_service, operator, raising
from tests.fakes.procedure import Watcher
from tests.fakes.service import SOURCE, TARGET, FakeService

GONE: dict[str, Any] = {"accept_loss": "unknown", "accept_replay": "unknown"}


@pytest.fixture
def service() -> FakeService:
    """A service that can be moved."""
    return mirrored_service()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A terminal at which everything is agreed to; what was asked there."""
    questions: list[str] = []

    def confirm(text: str, **_: object) -> bool:
        questions.append(text)
        return True

    def prompt(text: str, **_: object) -> str:
        questions.append(text)
        return TARGET

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr(click, "prompt", prompt)
    return questions


def dies(service: FakeService) -> Callable[[], None]:
    """The source, for good."""

    def die() -> None:
        service.source.is_dark = True

    return die


def moved(
    service: FakeService,
    policy: Policy,
    *,
    yes: bool = True,
    keep: bool = False,
    planned: Callable[[], object] = lambda: None,
    **asked_for: Any,
) -> RunReport:
    """``drkit failover --if-source-dies POLICY``. ``planned``: what happens between plan and run."""
    box = operator(service)
    plan = box.plan(Request("failover", TARGET, if_source_dies=policy, **asked_for))
    planned()
    return carry_out(
        box,
        plan.budgets,
        lambda view, choice: box.run(plan, view, undo_on_failure=not keep, if_source_dies=choice),
        policy,
        yes=yes,
        as_json=True,
    )


def phases(service: FakeService) -> list[str]:
    """Of all runs, newest first."""
    return [run["outcome"] for run in operator(service).list_runs()["runs"]]


@pytest.mark.parametrize("keep", [True, False], ids=["--keep", "undone on failure"])
def test_what_was_said_beforehand_holds(service: FakeService, *, keep: bool) -> None:
    service.source.on_next("probe_commit", dies(service))
    report = moved(service, "disaster", keep=keep, **GONE)
    assert report.exit_code in (ExitCode.DONE, ExitCode.VERIFICATION)
    assert report.document["mode"] == "disaster"
    assert report.document["supersedes"] is not None
    assert report.document["accepted"]["if_source_dies"] == "disaster"
    assert phases(service)[1] == Phase.SUPERSEDED.value
    assert service.redirect.current.values == ("2",)


def test_a_source_that_dies_before_anything_was_changed_has_left_no_run_to_supersede(service: FakeService) -> None:
    report = moved(service, "disaster", planned=dies(service), **GONE)
    assert report.document["mode"] == "disaster"
    assert report.document["supersedes"] is None
    assert phases(service)[1] == Phase.REFUSED.value


def test_at_a_terminal_one_is_asked(service: FakeService, asked: list[str]) -> None:
    service.source.on_next("probe_commit", dies(service))
    assert moved(service, None, yes=False, **GONE).document["mode"] == "disaster"
    first, second = asked
    assert first.startswith(f"{SOURCE} does not answer any more. Go over")
    assert second == f"Type {TARGET} to go on"


@pytest.mark.parametrize(("policy", "yes"), [("stop", False), (None, True)], ids=["stop", "--yes alone"])
def test_otherwise_it_stops_and_is_undone_as_ever(
    service: FakeService, asked: list[str], policy: Policy, *, yes: bool
) -> None:
    service.source.on_next("probe_commit", dies(service))
    with pytest.raises(StoppedError, match="could not be undone"):
        moved(service, policy, yes=yes, **GONE)
    assert asked == []
    assert service.redirect.current.values == ("1",)
    assert len(phases(service)) == 1


def test_who_says_no_has_the_run_stopped(
    service: FakeService, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click, "confirm", lambda *_, **__: False)
    service.source.on_next("probe_commit", dies(service))
    with pytest.raises(StoppedError, match="stopped at"):
        moved(service, None, yes=False, keep=True, **GONE)
    assert phases(service) == [Phase.STOPPED.value]


def test_ctrl_c_at_the_question_is_no(service: FakeService, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> bool:
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        raise click.Abort

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(click, "confirm", interrupted)
    service.source.on_next("probe_commit", dies(service))
    with pytest.raises(StoppedError, match="stopped at"):
        moved(service, None, yes=False, keep=True, **GONE)
    assert phases(service) == [Phase.STOPPED.value]
    assert signal.getsignal(signal.SIGINT) is before


def test_who_does_not_type_the_name_has_both_commands_left(
    service: FakeService, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "no")
    service.source.on_next("probe_commit", dies(service))
    with pytest.raises(StoppedError, match="stopped at") as caught:
        moved(service, None, yes=False, **GONE)
    assert "drkit resume" in caught.value.hint
    assert phases(service) == [Phase.STOPPED.value], "it is not undone: what is there is what the other move needs"


def test_a_loss_that_was_not_accepted_is_not_accepted_by_this(service: FakeService) -> None:
    service.source.on_next("probe_commit", dies(service))
    with pytest.raises(StoppedError, match="no disaster move takes its place") as caught:
        moved(service, "disaster")
    assert "--accept-loss" in caught.value.hint
    assert "drkit resume" in caught.value.hint
    assert phases(service) == [Phase.STOPPED.value]
    service.source.is_dark = False
    box = operator(service)
    assert box.resume(box.unfinished_run(None), Watcher()).document["outcome"] == "succeeded"


def test_a_source_that_answers_again_is_no_dead_one(service: FakeService) -> None:
    service.source.on_next("probe_commit", raising(UnreachableError("it does not answer")))
    with pytest.raises(RefusedError, match="everything that had been changed was undone"):
        moved(service, "disaster", **GONE)
    assert phases(service) == [Phase.UNDONE.value]
    assert service.redirect.current.values == ("1",)


def test_another_that_dies_is_not_gone_over_to(service: FakeService) -> None:
    def both_die() -> None:
        service.source.is_dark = service.target.is_dark = True

    service.source.on_next("probe_commit", both_die)
    with pytest.raises(StoppedError, match="stopped at") as caught:
        moved(service, "disaster", keep=True, **GONE)
    assert "disaster" not in caught.value.message
    assert phases(service) == [Phase.STOPPED.value]


def test_it_holds_for_who_resumes(service: FakeService) -> None:
    box = operator(service)
    plan = box.plan(Request("failover", TARGET, if_source_dies="disaster", **GONE))
    service.redirect.on_next("observe", raising(UnreachableError("Route 53 does not answer")))
    with pytest.raises(StoppedError):
        box.run(plan, Watcher(), undo_on_failure=False)
    service.source.is_dark = True
    run = box.unfinished_run(None)
    assert run.if_source_dies == "disaster"
    report = carry_out(
        box,
        run.budgets,
        lambda view, choice: box.resume(run, view, if_source_dies=choice),
        run.if_source_dies,
        yes=True,
        as_json=True,
    )
    assert (report.document["mode"], report.document["supersedes"]) == ("disaster", run.run_id)


def test_what_is_accepted_on_resuming_goes_on_record(service: FakeService) -> None:
    box = operator(service)
    plan = box.plan(Request("failover", TARGET, accept_loss=3))
    service.redirect.on_next("observe", raising(UnreachableError("Route 53 does not answer")))
    with pytest.raises(StoppedError):
        box.run(plan, Watcher(), undo_on_failure=False)
    document = box.resume(replace(box.unfinished_run(None), accepted={"accept_replay": 7}), Watcher()).document
    assert document["outcome"] == "succeeded"
    accepted = {name: value for name, value in document["accepted"].items() if name.startswith("accept")}
    assert accepted == {"accept_loss": 3, "accept_replay": 7}
