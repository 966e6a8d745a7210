"""Units for schedulers, ready to be installed: cron, systemd, Kubernetes, EventBridge Scheduler, and the IAM policies.

The templates are in ``units`` beside this module. Nothing is asked and nothing is written: from the configuration, and
where it will lie, to names of files and their text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import drkit
from drkit.config import unit_jobs as units
from drkit.config.eventbridge import eventbridge_files
from drkit.config.iam_policy import PLACEHOLDER, account_of, backup_policy, prune_policy
from drkit.config.models import Settings
from drkit.domain.aws_names import partition_of
from drkit.domain.schedules import JobSpec

if TYPE_CHECKING:
    from jinja2 import Environment

Format = Literal["cron", "systemd", "kubernetes", "eventbridge", "iam-policy"]
Role = Literal["backup", "prune"]
DEFAULT_EVERY: Final[Mapping[str, str]] = {
    "cron": "1m:groups,1h:all",
    "systemd": "10s:groups,1h:all",
    "kubernetes": "10s:groups,1h:all",
    "eventbridge": "1m:groups,1h:all",
    "iam-policy": "10s:groups,1h:all",
}


@dataclass(frozen=True, slots=True)
class UnitRequest:
    """What is to be rendered. ``config_path`` and ``command``: where drkit.yaml and drkit lie when the unit runs.

    ``config_text``: of drkit.yaml, which Kubernetes carries in a ConfigMap.
    """

    format: Format
    jobs: tuple[JobSpec, ...]
    config_path: str = "/etc/drkit/drkit.yaml"
    command: str = "/usr/local/bin/drkit"
    config_text: str = ""
    role: Role = "backup"


def render_units(settings: Settings, request: UnitRequest) -> Mapping[str, str]:
    """File name to text. Raises ``UsageError`` for a period that the scheduler does not have, and for a bad path."""
    units.check_path(request.config_path, "--config-path")
    units.check_path(request.command, "--command")
    units.check_path(units.absolute_path(settings.state.local_dir, request.config_path), "state.local_dir")
    return _FORMATS[request.format](settings, request)


def _cron(settings: Settings, request: UnitRequest) -> Mapping[str, str]:
    unit = units.unit_name(settings)
    jobs = units.calendar_jobs(request.jobs, unit, request.config_path, "cron")
    directory = units.absolute_path(settings.state.local_dir, request.config_path)
    shown = [
        {
            "calendar": job.calendar,
            "lock": units.shell_line([f"{directory}/{unit}-{job.label}.lock"]),
            "command": units.shell_line([request.command, *job.arguments]),
        }
        for job in jobs
    ]
    context = _context(settings, request) | {"jobs": shown, "lock_directory": directory}
    return {unit: _render("cron.j2", context)}


def _systemd(settings: Settings, request: UnitRequest) -> Mapping[str, str]:
    unit = units.unit_name(settings)
    if units.needs_service(request.jobs):
        job = units.service_job(request.jobs, request.config_path, listen=f"127.0.0.1:{units.PORT}")
        return {f"{unit}.service": _systemd_service(settings, request, unit, job)}
    found = {}
    for job in units.calendar_jobs(request.jobs, unit, request.config_path, "a timer of systemd"):
        name = f"{unit}-{job.label}"
        found[f"{name}.service"] = _systemd_service(settings, request, name, job)
        context = _context(settings, request) | {"name": name, "job": job, "description": _described(settings, job)}
        found[f"{name}.timer"] = _render("timer.j2", context)
    return found


def _systemd_service(settings: Settings, request: UnitRequest, name: str, job: units.UnitJob) -> str:
    local = units.absolute_path(settings.state.local_dir, request.config_path)
    # What a dynamic user may write outlives the unit only there.
    state = local.removeprefix("/var/lib/") if local.startswith("/var/lib/") else ""
    context = _context(settings, request) | {
        "name": name,
        "description": _described(settings, job),
        "is_service": job.is_service,
        "timeout_seconds": job.timeout_seconds,
        "command": units.systemd_line([request.command, *job.arguments]),
        "state_directory": state,
        "writable": "" if state else units.systemd_line([local]),
        "environment_file": units.absolute_path("environment", request.config_path),
    }
    return _render("service.j2", context)


def _kubernetes(settings: Settings, request: UnitRequest) -> Mapping[str, str]:
    unit = units.unit_name(settings)
    if units.needs_service(request.jobs):
        jobs = [units.service_job(request.jobs, request.config_path, listen=f"0.0.0.0:{units.PORT}")]
    else:
        jobs = units.calendar_jobs(request.jobs, unit, request.config_path, "a CronJob of Kubernetes")
    partition = partition_of(settings.state.region)
    context = _context(settings, request) | {
        "jobs": jobs,
        "port": units.PORT,
        "image": f"{PLACEHOLDER}/drkit:{drkit.__version__}",
        "role_arn": f"arn:{partition}:iam::{account_of(settings)}:role/{PLACEHOLDER}",
        "state_path": units.absolute_path(settings.state.local_dir, request.config_path),
        "config_lines": [f"    {line}".rstrip() for line in request.config_text.splitlines()],
    }
    return {f"{unit}.yaml": _render("kubernetes.j2", context)}


def _eventbridge(settings: Settings, request: UnitRequest) -> Mapping[str, str]:
    policy = backup_policy(settings, request.jobs, alerts=False)
    files = eventbridge_files(settings, request.jobs, request.config_path, policy)
    return {name: _json(document) for name, document in files.items()}


def _iam_policy(settings: Settings, request: UnitRequest) -> Mapping[str, str]:
    document = prune_policy(settings) if request.role == "prune" else backup_policy(settings, request.jobs)
    return {f"{units.unit_name(settings)}-{request.role}-policy.json": _json(document)}


def _context(settings: Settings, request: UnitRequest) -> dict[str, object]:
    credentials = units.secret_files(settings, request.config_path)
    return {
        "unit": units.unit_name(settings),
        "service": f"{settings.project} {settings.environment}",
        "user": "drkit",
        "config_path": request.config_path,
        "credentials": credentials,
        "files": [credential.path for credential in credentials],
        "variables": units.secret_variables(settings),
        "placeholder": PLACEHOLDER,
    }


def _described(settings: Settings, job: units.UnitJob) -> str:
    what = "scheduled backups" if job.is_service else f"backup of {job.label}"
    return f"{what}, {settings.project} {settings.environment}"


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


_FORMATS: Final[Mapping[str, Callable[[Settings, UnitRequest], Mapping[str, str]]]] = {
    "cron": _cron,
    "systemd": _systemd,
    "kubernetes": _kubernetes,
    "eventbridge": _eventbridge,
    "iam-policy": _iam_policy,
}


def _render(template: str, context: Mapping[str, object]) -> str:
    return _environment().get_template(template).render(context).strip("\n") + "\n"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "units"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=select_autoescape(enabled_extensions=()),
    )
