"""Units for schedulers: as their own checkers take them, and with no more than is needed."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import click
import pytest
import yaml
from botocore.validate import validate_parameters
from hypothesis import given
from hypothesis import strategies as st

from drkit.cli import cli
from drkit.config.models import Settings
from drkit.config.schedule_units import DEFAULT_EVERY, Format, UnitRequest, render_units
from drkit.config.unit_jobs import shell_line, systemd_line
from drkit.domain.calendars import calendar_of
from drkit.domain.schedules import JobSpec, parse_jobs
from drkit.errors import UsageError
from tests.unit.config.sample import VALID, changed, settings

UNIT = "drkit-backup-shop-staging"
CONFIG_TEXT = "project: shop\n\nstate:\n  bucket: 'b'   \n# €\n"


def service(**places: object) -> Settings:
    """The sample's settings, with other values at some places (``__`` for a dot)."""
    document = changed("state.local_dir", "/var/lib/drkit")
    for path, value in places.items():
        document = changed(path.replace("__", "."), value, document)
    return settings(document)


def render(kind: Format, every: str | None = None, found: Settings | None = None, **more: Any) -> dict[str, str]:
    jobs = parse_jobs(every or DEFAULT_EVERY[kind])
    request = UnitRequest(kind, jobs, config_text=CONFIG_TEXT, **more)
    return dict(render_units(found or service(), request))


def parse(arguments: list[str]) -> None:
    """The command line is one of drkit's."""
    command: click.Command = cli
    context = cli.make_context("drkit", list(arguments))
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command, context = found, found.make_context("x", list(rest), parent=context)


FIELD = r"(?:\*|[0-9]{1,2}(?:-[0-9]{1,2})?)(?:/[0-9]{1,2})?"
"""One field of crontab(5), of those that are needed here."""
CRON_LINE = re.compile(rf"((?:{FIELD} ){{5}})([a-z][a-z0-9-]*) ((?:[^%\\]|\\%)+)")


def test_crontab() -> None:
    (text,) = render("cron").values()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[:3] == ["SHELL=/bin/sh", "PATH=/usr/local/bin:/usr/bin:/bin", "MAILTO=REPLACE-ME"]
    jobs = [match for line in lines[3:] if (match := CRON_LINE.fullmatch(line))]
    assert len(jobs) == len(lines) - 3 == 2
    assert [job[2] for job in jobs] == ["drkit", "drkit"]
    for job in jobs:
        inside = re.fullmatch(r'out=\$\((.+) 2>&1\) \|\| echo "\$out"', job[3])
        assert inside is not None
        words = shlex.split(inside[1])
        assert words[:4] == ["flock", "-n", "-E", "0"]
        lock, arguments = words[4], words[6:]
        assert lock.startswith(f"/var/lib/drkit/{UNIT}-")
        parse(arguments)
    assert jobs[0][1] == "* * * * * "
    assert re.fullmatch(r"[0-9]{1,2} \* \* \* \* ", jobs[1][1])


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not here")
@pytest.mark.parametrize(("ends", "said"), [(0, ""), (6, "topics are missing\n")])
def test_a_crontab_line_says_something_only_where_its_job_failed(tmp_path: Path, ends: int, said: str) -> None:
    command = tmp_path / "drkit 100%"
    command.write_text(f"#!/bin/sh\necho topics are missing >&2\nexit {ends}\n")
    command.chmod(0o755)
    found = service(state__local_dir=str(tmp_path))
    (text,) = render("cron", "1h:all", found, command=str(command)).values()
    line = text.splitlines()[-1].split(" ", 6)[-1]
    shown = subprocess.run(["/bin/sh", "-c", line.replace("\\%", "%")], capture_output=True, text=True, check=False)
    assert (shown.stdout, shown.stderr) == (said, "")
    lock = tmp_path / f"{UNIT}-all.lock"
    assert lock.exists()
    held = ["flock", str(lock), "/bin/sh", "-c", line.replace("\\%", "%")]
    assert subprocess.run(held, capture_output=True, check=False).stdout == b"", "left out while one is at work"


@pytest.mark.parametrize("kind", ["cron", "systemd", "kubernetes"])
def test_a_period_that_no_calendar_has_is_refused_with_what_there_is(kind: Format) -> None:
    with pytest.raises(UsageError) as caught:
        render(kind, "7m:all,90m:topics,1h:acls,2d:users")
    for job in ("7m:all", "90m:topics", "2d:users"):
        assert job in caught.value.message
    assert "1h:acls" not in caught.value.message
    assert "15m" in caught.value.hint


@pytest.mark.parametrize("kind", ["cron", "eventbridge"])
def test_seconds_need_a_service(kind: Format) -> None:
    with pytest.raises(UsageError, match="10s:groups") as caught:
        render(kind, "10s:groups,1h:all")
    assert "--format systemd" in caught.value.hint


def matches(field: str, value: int, end: int) -> bool:
    """One field of crontab(5)."""
    span, _, step = field.partition("/")
    first, last = (0, end - 1) if span == "*" else (int(one) for one in (span.split("-") * 2)[:2])
    return first <= value <= last and (value - first) % int(step or 1) == 0


@given(st.integers(1, 2 * 86_400), st.text(max_size=5))
def test_a_calendar_comes_round_evenly_or_is_none(seconds: int, seed: str) -> None:
    calendar = calendar_of(JobSpec(seconds, None), seed)
    even = seconds % 60 == 0 and (3600 % seconds == 0 or (seconds % 3600 == 0 and 86_400 % seconds == 0))
    assert (calendar is not None) == even
    if calendar is None:
        return
    minute, hour, *rest = calendar.cron.split(" ")
    assert rest == ["*", "*", "*"]
    moments = [m for m in range(1440) if matches(minute, m % 60, 60) and matches(hour, m // 60, 24)]
    assert len(moments) == 86_400 // seconds
    assert all((after - before) * 60 == seconds for before, after in itertools.pairwise(moments))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("every", ["10s:groups,1h:all", "1m:groups,1h:all,15m:topics+acls,6h:logs,1d:users"])
def test_systemd_takes_the_units(tmp_path: Path, every: str) -> None:
    files = render("systemd", every, service(regions__taipei__connect__password="file:connect-password"))
    for name, text in files.items():
        (tmp_path / name).write_text(text.replace("/usr/local/bin/drkit", sys.executable))
    paths = [str(tmp_path / name) for name in files]
    shown = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    said = [line for line in shown.stderr.splitlines() if UNIT in line]
    assert (shown.returncode, said) == (0, [])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_finds_the_service_little_exposed(tmp_path: Path) -> None:
    ((name, text),) = render("systemd").items()
    (tmp_path / name).write_text(text)
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / name)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in shown.stderr:
        pytest.skip("this systemd-analyze judges only units that are installed")
    assert shown.returncode == 0, shown.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("period", ["1m", "15m", "1h", "6h", "1d"])
def test_systemd_takes_the_calendar(period: str) -> None:
    files = render("systemd", f"{period}:all")
    calendar = re.search("^OnCalendar=(.+)$", files[f"{UNIT}-all.timer"], re.MULTILINE)
    assert calendar is not None
    shown = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=3", calendar[1]], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr


def directives(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_a_service_of_systemd_has_one_unit_and_only_what_it_needs() -> None:
    found = service(
        regions__taipei__cluster__auth={
            "mechanism": "mtls",
            "certificate_file": "/etc/drkit/drkit.pem",
            "key_file": "drkit.key",
            "principal": "User:CN=drkit",
        },
        regions__tokyo__connect__password="file:/etc/drkit/connect password",
        regions__tokyo__connect__username="drkit",
    )
    (text,) = render("systemd", found=found).values()
    unit = directives(text)
    (command,) = unit["ExecStart"]
    parse(shlex.split(command)[1:])
    assert "--every 10s:groups,1h:all" in command
    assert "--listen 127.0.0.1:" in command
    assert unit["DynamicUser"] == ["yes"]
    assert unit["StateDirectory"] == ["drkit"]
    assert unit["LoadCredential"] == [
        "etc-drkit-connect_password:/etc/drkit/connect password",
        "etc-drkit-drkit.key:/etc/drkit/drkit.key",
    ]
    assert unit["EnvironmentFile"] == ["/etc/drkit/environment"]
    assert unit["CapabilityBoundingSet"] == [""]
    for name in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictNamespaces"):
        assert unit[name] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert "DRKIT_PASSWORD" in text


def test_a_state_directory_elsewhere_may_be_written() -> None:
    (text,) = render("systemd", found=service(state__local_dir=".state")).values()
    unit = directives(text)
    assert "StateDirectory" not in unit
    assert unit["ReadWritePaths"] == ["-/etc/drkit/.state"]


def test_timers_of_systemd_make_up_for_a_machine_that_was_off() -> None:
    files = render("systemd", "1m:groups,1h:all")
    assert sorted(files) == [f"{UNIT}-{job}.{kind}" for job in ("all", "groups") for kind in ("service", "timer")]
    timer = directives(files[f"{UNIT}-all.timer"])
    assert (timer["Persistent"], timer["RandomizedDelaySec"]) == (["true"], ["300"])
    job = directives(files[f"{UNIT}-all.service"])
    assert job["Type"] == ["oneshot"]
    assert "WantedBy" not in job
    assert shlex.split(job["ExecStart"][0])[1:] == [
        *("--config", "/etc/drkit/drkit.yaml", "backup", "run", "--all", "--what", "all")
    ]


def objects(text: str) -> dict[str, dict[str, Any]]:
    """By kind and name."""
    return {f"{one['kind']} {one['metadata']['name']}": one for one in yaml.safe_load_all(text)}


def pod_of(found: dict[str, Any]) -> dict[str, Any]:
    spec = found["spec"]["jobTemplate"]["spec"] if found["kind"] == "CronJob" else found["spec"]
    pod: dict[str, Any] = spec["template"]["spec"]
    return pod


@pytest.mark.parametrize("every", ["10s:groups,1h:all", "1h:all,15m:topics+acls"])
def test_a_pod_has_no_more_than_it_needs(every: str) -> None:
    found = service(regions__tokyo__connect={"url": "http://c", "username": "x", "password": "file:/etc/drkit/secret"})
    (text,) = render("kubernetes", every, found).values()
    everything = objects(text)
    pods = {name: pod_of(one) for name, one in everything.items() if one["kind"] in ("Deployment", "CronJob")}
    assert len(pods) == (1 if "s:" in every else 2)
    for pod in pods.values():
        assert pod["serviceAccountName"] == UNIT
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}
        parse(container["args"])
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert set(mounts) == {"/etc/drkit/drkit.yaml", "/etc/drkit/secret", "/var/lib/drkit", "/tmp"}
        assert mounts["/etc/drkit/secret"]["subPath"] == "etc-drkit-secret"
        assert {mount["name"] for mount in mounts.values()} == {volume["name"] for volume in pod["volumes"]}
        assert container["env"][0]["valueFrom"]["secretKeyRef"] == {"name": UNIT, "key": "DRKIT_PASSWORD"}
    account = everything[f"ServiceAccount {UNIT}"]
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].startswith("arn:aws:iam::")


def test_the_config_map_holds_the_file_as_it_is_but_for_blanks_at_ends() -> None:
    (text,) = render("kubernetes").values()
    held = objects(text)[f"ConfigMap {UNIT}"]["data"]["drkit.yaml"]
    assert [line.rstrip() for line in held.splitlines()] == [line.rstrip() for line in CONFIG_TEXT.splitlines()]


def test_the_service_on_kubernetes() -> None:
    (text,) = render("kubernetes").values()
    deployment = objects(text)[f"Deployment {UNIT}"]
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (container,) = pod_of(deployment)["containers"]
    port = container["ports"][0]
    assert container["args"][-1] == f"0.0.0.0:{port['containerPort']}"
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": port["name"]}
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def test_cron_jobs_on_kubernetes_do_not_overlap() -> None:
    (text,) = render("kubernetes", "15m:topics,1h:all").values()
    for name in ("topics", "all"):
        spec = objects(text)[f"CronJob {UNIT}-{name}"]["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec["startingDeadlineSeconds"] >= 60
        assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] >= 600
        assert re.fullmatch(rf"(?:{FIELD} ){{4}}{FIELD}", spec["schedule"])
        assert pod_of(objects(text)[f"CronJob {UNIT}-{name}"])["restartPolicy"] == "Never"


@pytest.mark.parametrize("every", ["1m:groups,1h:all", "7m:topics+acls,90m:logs,2d:users"])
def test_eventbridge_takes_the_schedules(every: str) -> None:
    files = {name: json.loads(text) for name, text in render("eventbridge", every).items()}
    session = botocore.session.Session()
    model = session.get_service_model("scheduler").operation_model("CreateSchedule")
    schedules = [document for name, document in files.items() if name.startswith("schedule-")]
    assert len(schedules) == len(every.split(","))
    assert model.input_shape is not None
    for document in schedules:
        validate_parameters(document, model.input_shape)
        # botocore leaves patterns to the service.
        assert re.fullmatch(r"[0-9a-zA-Z-_.]{1,64}", document["Name"])
        rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)(s?)\)", document["ScheduleExpression"])
        assert rate is not None
        assert (rate[1] == "1") == (not rate[3])
        retry = document["Target"]["RetryPolicy"]
        assert 60 <= retry["MaximumEventAgeInSeconds"] <= 86_400
        assert 0 <= retry["MaximumRetryAttempts"] <= 185
        assert document["Target"]["DeadLetterConfig"]["Arn"].startswith("arn:aws:sqs:")
        window = document["FlexibleTimeWindow"]
        assert window["Mode"] == "OFF" or 1 <= window["MaximumWindowInMinutes"] <= 1440
        (override,) = json.loads(document["Target"]["Input"])["containerOverrides"]
        parse(override["command"])


def test_roles_for_eventbridge_fit_what_they_are_for() -> None:
    found = (
        service(aws__account_id="123456789012")
        if "aws" in VALID
        else settings(changed("state.local_dir", "/var/lib/drkit", {**VALID, "aws": {"account_id": "123456789012"}}))
    )
    files = {name: json.loads(text) for name, text in render("eventbridge", found=found).items()}
    target = files["schedule-all.json"]["Target"]
    run, roles, dead = files["scheduler-role-policy.json"]["Statement"]
    assert target["EcsParameters"]["TaskDefinitionArn"] in run["Resource"]
    assert run["Condition"]["ArnEquals"]["ecs:cluster"] == target["Arn"]
    assert roles["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert dead["Resource"] == [target["DeadLetterConfig"]["Arn"]]
    assert files["scheduler-role-trust.json"]["Statement"][0]["Principal"] == {"Service": "scheduler.amazonaws.com"}
    for trust in ("scheduler-role-trust.json", "task-role-trust.json"):
        condition = files[trust]["Statement"][0]["Condition"]
        assert condition == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    actions = {action for statement in files["task-role-policy.json"]["Statement"] for action in statement["Action"]}
    assert "s3:PutObject" in actions
    assert "sns:Publish" not in actions, "the service tells people; a task's end is EventBridge's to tell"


@pytest.mark.parametrize("path", ["drkit.yaml", "/etc/drkit\n[Service]", "/etc/\x1b[2J", "/etc/dürkit.yaml"])
def test_a_path_that_no_unit_can_name(path: str) -> None:
    with pytest.raises(UsageError, match="--config-path"):
        render("systemd", config_path=path)


@pytest.mark.parametrize("place", ["state__local_dir", "regions__taipei__cluster__auth"])
def test_a_path_of_the_configuration_that_would_be_another_line_of_a_unit(place: str) -> None:
    path = "/etc/x\nExecStartPre=/bin/evil"
    mtls = {"mechanism": "mtls", "certificate_file": "a", "key_file": path, "principal": "User:CN=a"}
    with pytest.raises(UsageError, match="printable"):
        render("systemd", found=service(**{place: mtls if place.endswith("auth") else path}))


def test_two_secrets_never_stand_in_for_each_other() -> None:
    found = service(
        regions__tokyo__connect__password="file:/etc/a b", regions__taipei__connect__password="file:/etc/a_b"
    )
    with pytest.raises(UsageError, match="one name"):
        render("systemd", found=found)


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1), min_size=1))
def test_a_shell_takes_the_words_as_they_were(words: list[str]) -> None:
    assert shlex.split(shell_line(words).replace("\\%", "%")) == words


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_systemd_takes_the_words_as_they_were(word: str) -> None:
    line = systemd_line(["/bin/x", word]).removeprefix("/bin/x ")
    assert not re.search(r"(?<!%)(?:%%)*%(?!%)", line), "no specifier is left"
    shown = line.replace("%%", "%").replace("$$", "$")
    if shown.startswith('"') and len(shown) > 1:
        assert re.sub(r"\\(.)", r"\1", shown[1:-1]) == word
    else:
        assert shown == word
