"""The final report: figures from the journal alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drkit.domain import run_events as ev
from drkit.domain.lifecycle import Phase
from drkit.domain.mode import FailoverMode
from drkit.domain.run_entries import GENESIS, Entry, seal
from drkit.domain.runs import RunState, advance, begin
from drkit.errors import ExitCode
from drkit.reports.run_report import exit_code, report, report_text

BEGUN = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
STEPS = (
    "pin",
    "fence-producers",
    "drain-mirror",
    "cut",
    "translate-offsets",
    "promote",
    "redirect",
    "await-clients",
    "verify",
)
READING = ("pin", "drain-mirror", "await-clients", "verify")
OFFSETS = {
    "groups": 20,
    "partitions": 120,
    "exact": 118,
    "bounded": 2,
    "floor": 0,
    "ahead": 0,
    "unavailable": 0,
    "replay_at_most": 7,
}


def at(seconds: float) -> str:
    """A time in evidence, counted from the beginning."""
    return (BEGUN + timedelta(seconds=seconds)).isoformat()


EVIDENCE: Mapping[str, Mapping[str, Any]] = {
    "fence-producers": {"fenced": True, "fenced_at": at(4.0)},
    "cut": {"cut": {"orders": {"0": {"source_end": 9, "source_last": 8, "target_end": 9}}}},
    "translate-offsets": {"offsets": OFFSETS},
    "promote": {"canary_written_at": at(5.5)},
    "await-clients": {"first_write_at": at(6.25)},
}


def run(
    events: Sequence[tuple[float, ev.Event]],
    *,
    mode: FailoverMode = FailoverMode.PLANNED,
    objectives: Mapping[str, Any] | None = None,
    steps: Sequence[str] = STEPS,
) -> RunState:
    """A run with these events at these seconds."""
    plan = ev.RunPlanned(
        procedure="failover",
        mode=mode,
        source="ap-east-2",
        target="ap-northeast-1",
        steps=tuple(ev.StepIdentity(name, 1, name not in READING) for name in steps),
        no_return_after="redirect",
        options={"accept_loss": "unknown"},
        objectives=objectives if objectives is not None else {"rto_seconds": 600.0},
        plan_digest="",
        settings_digest="",
        config_path=None,
        operator="alice",
        undo_on_failure=True,
    )
    state = begin(seal(Entry("r", 0, "0", BEGUN, "0.1.0", GENESIS, plan)))
    for seconds, event in events:
        when = BEGUN + timedelta(seconds=seconds)
        state = advance(state, seal(Entry("r", state.next_seq, "x", when, "0.1.0", state.digest, event)))
    return state


def done(
    *steps: str, start: float = 1.0, evidence: Mapping[str, Mapping[str, Any]] = EVIDENCE
) -> list[tuple[float, ev.Event]]:
    """These steps, each half a second after the other."""
    events: list[tuple[float, ev.Event]] = []
    for number, name in enumerate(steps):
        begun = start + number / 2
        if name not in READING:
            events.append((begun, ev.StepStarted(name, "x")))
        events.append((begun + 0.4, ev.StepSucceeded(name, evidence.get(name, {}), 0.4, satisfied=False)))
    return events


FINISHED = (10.0, ev.RunFinished(Phase.SUCCEEDED))


def test_the_report_of_a_planned_run() -> None:
    document = report(run([*done(*STEPS), FINISHED]))
    assert json.loads(json.dumps(document)) == document
    steps = document.pop("steps")
    assert document == {
        "schema": "drkit.run/1",
        "run_id": "r",
        "procedure": "failover",
        "mode": "planned",
        "from": "ap-east-2",
        "to": "ap-northeast-1",
        "supersedes": None,
        "outcome": "succeeded",
        "started_at": at(0),
        "ended_at": at(10),
        "operator": "alice",
        "owner": "alice",
        "accepted": {"accept_loss": "unknown"},
        "rto_seconds": 6.25,
        "write_outage_seconds": 2.25,
        "records_lost": {"known": 0, "unknown": False},
        "records_lost_at_least": 0,
        "records_lost_estimate": 0,
        "records_lost_highest": 0,
        "loss": None,
        "last_mirrored": {"orders": {"0": 8}},
        "offsets": OFFSETS,
        "objectives": [{"name": "rto_seconds", "limit": 600.0, "value": 6.25, "met": True}],
    }
    assert [step["name"] for step in steps] == list(STEPS)
    assert steps[1] == {
        "name": "fence-producers",
        "outcome": "succeeded",
        "seconds": 0.4,
        "budget_seconds": None,
        "reason": "",
        "evidence": EVIDENCE["fence-producers"],
    }


def test_the_outage_of_an_interrupted_run_begins_with_its_first_fence() -> None:
    again: list[tuple[float, ev.Event]] = [
        (3.0, ev.RunTakenOver("bob", "resume", "alice")),
        (60.0, ev.StepStarted("fence-producers", "x")),
        (60.4, ev.StepSucceeded("fence-producers", {"fenced": True, "fenced_at": at(60.2)}, 0.4, satisfied=False)),
    ]
    late = {**EVIDENCE, "await-clients": {"first_write_at": at(70)}}
    events = [*done(*STEPS[:2]), *again, *done(*STEPS[2:], start=61, evidence=late), (90.0, FINISHED[1])]
    document = report(run(events))
    assert document["write_outage_seconds"] == 68.5
    assert document["rto_seconds"] == 70
    assert document["owner"] == "bob"


def test_without_an_application_the_canary_is_the_first_write() -> None:
    silent = {**EVIDENCE, "await-clients": {"first_write_at": None}}
    document = report(run([*done(*STEPS, evidence=silent), FINISHED]))
    assert (document["rto_seconds"], document["write_outage_seconds"]) == (5.5, 1.5)


def test_a_disaster_run_does_not_claim_to_know_what_was_lost() -> None:
    gone = {**EVIDENCE, "fence-producers": {"fenced": False, "reason": "does not answer"}}
    state = run([*done(*STEPS, evidence=gone), FINISHED], mode=FailoverMode.DISASTER)
    document = report(state)
    assert document["records_lost"] == {"known": 0, "unknown": True}
    assert document["write_outage_seconds"] is None
    assert "records lost       unknown" in report_text(document)


LOSS: dict[str, Any] = {
    "records": {
        "records": None,
        "certainty": "estimated",
        "at_least": 3,
        "estimate": 120,
        "highest": 900,
        "reason": "at the rate seen last",
    },
    "seconds": 1.25,
    "seen_seconds_ago": 9.5,
    "seen_by": ["watch"],
    "silent_seconds_ago": 7.0,
    "partitions": {
        "orders\x1b": {
            "0": {
                "records": {"records": None, "certainty": "unknown", "at_least": 2, "reason": "seen once"},
                "seconds": None,
                "at_most_when_seen": 2,
                "end_seen": 11,
                "seen_seconds_ago": 9.5,
                "offsets_per_second": None,
            },
            "1": {
                "records": {"records": None, "certainty": "estimated", "at_least": 1, "estimate": 4, "highest": 90},
                "seconds": 0.5,
                "at_most_when_seen": 3,
                "end_seen": 11,
                "seen_seconds_ago": 9.5,
                "offsets_per_second": 8.0,
            },
        }
    },
    "left_out": 7,
}


def lost(
    *, never: int | None = 0, loss: Mapping[str, Any] | None = LOSS, orphans: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The report of a disaster run with this loss."""
    evidence = {
        **EVIDENCE,
        "cut": {**EVIDENCE.get("cut", {}), "loss": loss},
        "translate-offsets": {"offsets": {**OFFSETS, "never_mirrored": never}},
        "plan-failback": {} if orphans is None else {"orphans": orphans},
    }
    steps = (*STEPS, "plan-failback")
    events = [*done(*steps, evidence=evidence), FINISHED]
    return report(run(events, mode=FailoverMode.DISASTER, objectives={"rpo_records": 2}, steps=steps))


def figures(document: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        document["records_lost"]["known"],
        *(document[f"records_lost_{name}"] for name in ("at_least", "estimate", "highest")),
        document["records_lost"]["unknown"],
    )


def test_a_disaster_run_whose_source_was_seen_says_what_is_known_of_its_loss() -> None:
    document = lost()
    assert figures(document) == (3, 3, 120, 900, True)
    assert document["loss"] == LOSS
    assert figures(lost(never=2)) == (5, 5, 122, 902, True)
    assert figures(lost(never=None)) == (3, 3, None, None, True)
    assert figures(lost(loss=None)) == (0, 0, None, None, True)


def test_a_loss_that_is_known_to_be_too_large_has_missed_its_objective() -> None:
    assert [one["met"] for one in lost()["objectives"]] == [False]
    smaller = {**LOSS, "records": {**LOSS["records"], "at_least": 2}}
    assert [one["met"] for one in lost(loss=smaller)["objectives"]] == [None]


@pytest.mark.parametrize(
    ("orphans", "expected"),
    [
        ({"records": 41, "certainty": "exact"}, (41, 41, 41, 41, False)),
        ({"records": 41, "certainty": "at_most"}, (0, 0, None, 41, True)),
        ({"records": None, "certainty": "unknown", "at_least": 0, "reason": "silent"}, (3, 3, 120, 900, True)),
    ],
    ids=["counted", "bounded", "still silent"],
)
def test_what_was_counted_behind_the_old_side_s_fence_is_the_loss(
    orphans: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert figures(lost(orphans=orphans)) == expected


def test_the_text_has_what_the_loss_goes_by_and_the_partitions_that_lost_most() -> None:
    text = report_text(lost())
    assert "records lost       about 120 (at least 3, 900 at the highest rate seen)" in text
    lines = [line.strip() for line in text.splitlines()]
    begin = lines.index("seen by watch, 9.5 s ago at the latest; known not to answer for 7.0 s")
    assert [line.split() for line in lines[begin + 1 : begin + 7]] == [
        ["the", "oldest", "of", "them", "about", "1.2", "s", "old", "when", "the", "source", "died"],
        ["at", "the", "rate", "seen", "last"],
        [
            "partition",
            "at",
            "least",
            "about",
            "at",
            "the",
            "highest",
            "rate",
            "at",
            "most",
            "when",
            "it",
            "was",
            "seen",
        ],
        ["orders\\x1b-0", "2", "unknown", "unknown", "2,", "9.5", "s", "ago"],
        ["orders\\x1b-1", "1", "4", "90", "3,", "9.5", "s", "ago"],
        ["and", "7", "more", "partitions;", "--output", "json", "has", "more"],
    ]


@pytest.mark.parametrize("text", [at(-5), "yesterday", "2026-11-23T15:00:06", 7, None])
def test_times_that_contradict_each_other_are_no_figure(text: Any) -> None:
    odd = {**EVIDENCE, "await-clients": {"first_write_at": text}, "promote": {}}
    document = report(run([*done(*STEPS, evidence=odd), FINISHED]))
    assert document["rto_seconds"] is None
    assert document["write_outage_seconds"] is None
    assert document["objectives"][0]["met"] is None
    assert "not known" in report_text(document)


def test_an_unfinished_run_claims_nothing() -> None:
    document = report(run(done("pin")))
    assert document["outcome"] == "running"
    assert document["ended_at"] is None
    assert document["records_lost"] == {"known": 0, "unknown": True}
    assert document["offsets"]["replay_at_most"] is None
    assert [step["outcome"] for step in document["steps"]] == ["succeeded"] + ["pending"] * 8
    assert report_text(document)


@pytest.mark.parametrize(
    ("lost", "known", "unknown", "met"),
    [
        ({"records": 0, "certainty": "exact"}, 0, False, True),
        ({"records": 7, "certainty": "exact"}, 7, False, False),
        ({"records": 7, "certainty": "at_most"}, 0, True, None),
        ({"records": None, "certainty": "unknown", "at_least": 0, "reason": "gone"}, 0, True, None),
    ],
    ids=["none", "seven", "at most", "unknown"],
)
def test_what_the_old_side_took_behind_the_cut_is_lost(
    lost: dict[str, Any], known: int, unknown: bool, met: bool | None
) -> None:
    checks = [{"name": "topics"}, {"name": "old-side", "lost": lost}]
    evidence = {**EVIDENCE, "verify": {"checks": checks}}
    document = report(run([*done(*STEPS, evidence=evidence), FINISHED], objectives={"rpo_records": 0}))
    assert document["records_lost"] == {"known": known, "unknown": unknown}
    (objective,) = document["objectives"]
    assert (objective["name"], objective["met"]) == ("rpo_records", met)


@pytest.mark.parametrize(
    ("never", "fewer", "behind", "lost"),
    [(0, 3, 0, 3), (2, 3, 0, 3), (2, 0, 0, 2), (0, 3, 4, 7), (2, 3, 4, 7), (0, 0, 0, 0)],
)
def test_records_that_the_new_primary_has_fewer_of_are_lost(never: int, fewer: int, behind: int, lost: int) -> None:
    """What was never mirrored is among them; what came behind the cut is not."""
    found = {"old-side": behind, "record-counts": fewer}
    checks = [{"name": name, "lost": {"records": n, "certainty": "exact"}} for name, n in found.items()]
    offsets = {**EVIDENCE["translate-offsets"]["offsets"], "never_mirrored": never}
    evidence = {**EVIDENCE, "translate-offsets": {"offsets": offsets}, "verify": {"checks": checks}}
    document = report(run([*done(*STEPS, evidence=evidence), FINISHED]))
    assert document["records_lost"] == {"known": lost, "unknown": False}


def test_what_was_undone_is_no_evidence() -> None:
    events = [
        *done(*STEPS[:6]),
        (5.0, ev.StepFailed("redirect", "somebody\x1b[31m else", "", 7, 0.1)),
        (6.0, ev.AbortStarted("x")),
    ]
    state = run(events)
    for name in reversed(STEPS[:6]):
        if name not in READING:
            for event in (ev.CompensationStarted(name), ev.CompensationDone(name, {"lifted": 2}, 0.1)):
                state = advance(state, seal(Entry("r", state.next_seq, "x", BEGUN, "0.1.0", state.digest, event)))
    document = report(state)
    assert document["rto_seconds"] is None
    assert document["last_mirrored"] == {}
    text = report_text(document)
    assert "\x1b" not in text
    assert "somebody\\x1b[31m else" in text


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        (Phase.SUCCEEDED, ExitCode.DONE),
        (Phase.VERIFICATION_MISSED, ExitCode.VERIFICATION),
        (Phase.REFUSED, ExitCode.REFUSED),
        (Phase.UNDONE, ExitCode.DONE),
        (Phase.STOPPED, ExitCode.STOPPED),
        (Phase.UNDO_STOPPED, ExitCode.STOPPED),
        (Phase.UNKNOWN, ExitCode.OUTCOME_UNKNOWN),
        (Phase.INTERRUPTED, ExitCode.INTERRUPTED),
    ],
)
def test_what_each_end_means_to_a_script(phase: Phase, code: ExitCode) -> None:
    state = run([*done(*STEPS), FINISHED])
    assert exit_code(replace(state, phase=phase)) is code


def test_a_missed_recovery_time_is_said_and_is_its_own_exit_code() -> None:
    state = run([*done(*STEPS), FINISHED], objectives={"rto_seconds": 6.0})
    assert exit_code(state) is ExitCode.VERIFICATION
    assert "missed             rto_seconds: 6.25 s, the objective is 6.0 s" in report_text(report(state))
    assert exit_code(run([*done(*STEPS), FINISHED], objectives={})) is ExitCode.DONE


def test_the_text_names_what_people_ask_first() -> None:
    lines = report_text(report(run([*done(*STEPS), FINISHED]))).splitlines()
    assert lines[0] == "failover r: succeeded"
    assert "  ap-east-2 to ap-northeast-1, planned" in lines
    assert "  records lost       0" in lines
    assert "  write outage       2.25 s" in lines
    assert "  recovery time      6.25 s" in lines
    assert "  positions          118 of 120 exact; bounded 2, floor 0, ahead 0, unavailable 0" in lines
    assert any(line.split() == ["redirect", "succeeded", "0.40", "s"] for line in lines)


GOALS: Mapping[str, Any] = {"rto_seconds": 600.0, "rpo_records": 0, "replay_records": 5}


def costing(accepted: Mapping[str, Any], **figures: int | None) -> RunState:
    """A planned run that is done, with these figures of its positions."""
    evidence = {**EVIDENCE, "translate-offsets": {"offsets": {**OFFSETS, "replay_at_most": 0, **figures}}}
    state = run([*done(*STEPS, evidence=evidence), FINISHED], objectives=GOALS)
    return replace(state, plan=replace(state.plan, options=dict(accepted)))


@pytest.mark.parametrize(
    ("figures", "accepted", "code"),
    [
        ({"replay_at_most": 5}, {}, ExitCode.DONE),
        ({"replay_at_most": 500_000}, {}, ExitCode.VERIFICATION),
        ({"replay_at_most": 500_000}, {"accept_replay": 499_999}, ExitCode.VERIFICATION),
        ({"replay_at_most": 500_000}, {"accept_replay": 500_000}, ExitCode.DONE),
        ({"replay_at_most": 500_000}, {"accept_replay": "unknown"}, ExitCode.DONE),
        ({"never_mirrored": 1}, {}, ExitCode.VERIFICATION),
        ({"never_mirrored": 1}, {"accept_loss": 1}, ExitCode.DONE),
    ],
)
def test_a_missed_objective_is_no_success_unless_it_was_accepted(
    figures: dict[str, int | None], accepted: dict[str, Any], code: ExitCode
) -> None:
    assert exit_code(costing(accepted, **figures)) is code


def test_what_was_missed_and_accepted_is_said() -> None:
    text = report_text(report(costing({"accept_replay": 9}, replay_at_most=9, never_mirrored=3)))
    assert "missed             replay_records: 9 records, the objective is 5 records; accepted: 9" in text
    assert "missed             rpo_records: 3 records, the objective is 0 records\n" in text


def test_records_that_were_never_mirrored_are_lost() -> None:
    assert report(costing({}, never_mirrored=500))["records_lost"] == {"known": 500, "unknown": False}
    assert report(costing({}, never_mirrored=None))["records_lost"] == {"known": 0, "unknown": True}
