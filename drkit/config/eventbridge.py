"""Schedules of Amazon EventBridge Scheduler that run drkit as a task of Amazon ECS, and the roles for that.

Each schedule is what ``aws scheduler create-schedule --cli-input-json`` takes (API reference "CreateSchedule"). Roles:
EventBridge Scheduler User Guide, "Setting up the execution role" and "Prevent confused deputy".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from drkit.config import unit_jobs as units
from drkit.config.iam_policy import PLACEHOLDER, Statement, account_of, policy
from drkit.config.models import Settings
from drkit.domain.aws_names import partition_of
from drkit.domain.schedules import JobSpec
from drkit.errors import UsageError

_CONTAINER: Final = "drkit"
_LONGEST_EVENT_SECONDS: Final = 86_400


def eventbridge_files(
    settings: Settings, jobs: Sequence[JobSpec], config_path: str, task_policy: Mapping[str, Any]
) -> Mapping[str, Any]:
    """File name to document. Raises ``UsageError`` for a period that is not in whole minutes."""
    uneven = [job.text for job in jobs if job.period_seconds % 60]
    if uneven:
        raise UsageError(
            f"EventBridge Scheduler cannot run {', '.join(uneven)}: its rates are in whole minutes",
            hint="in seconds: --format systemd or kubernetes, as a service",
        )
    names = _Names(settings)
    return {
        **{f"schedule-{units.label_of(job)}.json": _schedule(names, job, config_path) for job in jobs},
        "scheduler-role-trust.json": _trust("scheduler.amazonaws.com", names.account),
        "scheduler-role-policy.json": _scheduler_policy(names),
        "task-role-trust.json": _trust("ecs-tasks.amazonaws.com", names.account),
        "task-role-policy.json": dict(task_policy),
    }


class _Names:
    """ARNs of what there is to be. In the state bucket's region: it is there when the primary is not."""

    def __init__(self, settings: Settings) -> None:
        self.unit = units.unit_name(settings)
        self.region = settings.state.region
        self.account = account_of(settings)
        self.partition = partition_of(self.region)
        self.cluster = self._arn("ecs", f"cluster/{PLACEHOLDER}")
        self.dead_letters = self._arn("sqs", f"{self.unit}-dead-letters")
        self.scheduler_role = self.role("scheduler")
        self.task_role = self.role("task")
        self.task_execution_role = f"arn:{self.partition}:iam::{self.account}:role/{PLACEHOLDER}"

    def role(self, kind: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{self.unit}-{kind}"

    def task_definition(self, revision: str = "") -> str:
        return self._arn("ecs", f"task-definition/{self.unit}{revision}")

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def _schedule(names: _Names, job: JobSpec, config_path: str) -> dict[str, Any]:
    unit = units.single_job(job, config_path)
    window = unit.jitter_seconds // 60
    overrides = {"containerOverrides": [{"name": _CONTAINER, "command": list(unit.arguments)}]}
    return {
        "Name": f"{names.unit}-{unit.label}"[:64],
        "Description": f"drkit backup of {job.name} into S3",
        "ScheduleExpression": f"rate({_rate(job.period_seconds)})",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": window} if window else {"Mode": "OFF"},
        "State": "ENABLED",
        "Target": {
            "Arn": names.cluster,
            "RoleArn": names.scheduler_role,
            "Input": json.dumps(overrides),
            "EcsParameters": {
                "TaskDefinitionArn": names.task_definition(),
                "TaskCount": 1,
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {
                    "awsvpcConfiguration": {
                        "Subnets": [f"subnet-{PLACEHOLDER}"],
                        "SecurityGroups": [f"sg-{PLACEHOLDER}"],
                        "AssignPublicIp": "DISABLED",
                    }
                },
            },
            # A task that could not be started is tried again until the next one is due.
            "RetryPolicy": {
                "MaximumEventAgeInSeconds": max(60, min(job.period_seconds, _LONGEST_EVENT_SECONDS)),
                "MaximumRetryAttempts": 3,
            },
            "DeadLetterConfig": {"Arn": names.dead_letters},
        },
    }


def _rate(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''}"
    raise AssertionError(seconds)


def _trust(service: str, account: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    }


def _scheduler_policy(names: _Names) -> dict[str, Any]:
    in_cluster = {"ArnEquals": {"ecs:cluster": names.cluster}}
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    definitions = (names.task_definition(), names.task_definition(":*"))
    return policy(
        [
            Statement("StartTheTask", ("ecs:RunTask",), definitions, in_cluster),
            Statement("GiveItItsRoles", ("iam:PassRole",), (names.task_role, names.task_execution_role), to_tasks),
            Statement("KeepWhatFailed", ("sqs:SendMessage",), (names.dead_letters,)),
        ]
    )
