"""What units of schedulers are made of: the jobs as command lines, and the secrets that drkit reads on the machine."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drkit.config.models import MtlsAuth, Settings
from drkit.config.secrets import credential_name
from drkit.domain.calendars import Calendar, calendar_of
from drkit.domain.naming import printable
from drkit.domain.schedules import JobSpec, spread_seconds
from drkit.errors import UsageError

PORT: Final = 9464
_JITTER: Final = 0.1
_LEAST_TIMEOUT_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Credential:
    """A file that drkit reads a secret from. ``name``: that of the systemd credential that may stand in for it."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class UnitJob:
    """One unit. ``arguments``: of drkit. ``calendar``: None for the service, which runs all jobs by itself."""

    label: str
    arguments: tuple[str, ...]
    period_seconds: int
    calendar: Calendar | None = None
    is_service: bool = False

    @property
    def jitter_seconds(self) -> int:
        """By how much a moment may come later."""
        return int(spread_seconds(self.period_seconds, _JITTER))

    @property
    def timeout_seconds(self) -> int:
        """How long one may take: its period, but no less than ten minutes."""
        return max(self.period_seconds, _LEAST_TIMEOUT_SECONDS)

    @property
    def deadline_seconds(self) -> int:
        """How late one may begin. Kubernetes looks every 10 s, and does not begin what is later than that."""
        return max(60, min(self.period_seconds // 2, 3600))


def unit_name(settings: Settings) -> str:
    """What everything of this service is called."""
    return f"drkit-backup-{settings.project}-{settings.environment}"


def service_job(jobs: Sequence[JobSpec], config_path: str, *, listen: str) -> UnitJob:
    """All jobs in one service."""
    every = ",".join(job.text for job in jobs)
    arguments = ("--config", config_path, "backup", "serve", "--every", every, "--listen", listen)
    return UnitJob("serve", arguments, min(job.period_seconds for job in jobs), is_service=True)


def single_job(job: JobSpec, config_path: str, calendar: Calendar | None = None) -> UnitJob:
    """One job, once."""
    what = ("offsets", "watch", "--once") if job.is_look else ("backup", "run", "--all", *_what(job))
    return UnitJob(label_of(job), ("--config", config_path, *what), job.period_seconds, calendar)


def calendar_jobs(jobs: Sequence[JobSpec], unit: str, config_path: str, scheduler: str) -> list[UnitJob]:
    """One unit per job. Raises ``UsageError`` with every job that no calendar has."""
    found = [(job, calendar_of(job, unit)) for job in jobs]
    uneven = [job.text for job, calendar in found if calendar is None]
    if uneven:
        raise UsageError(
            f"{scheduler} cannot run {', '.join(uneven)}: a period there is a part of an hour or of a day, in whole "
            "minutes",
            hint="such as 1m, 15m, 1h, 6h or 1d; in seconds: --format systemd or kubernetes, as a service",
        )
    return [single_job(job, config_path, calendar) for job, calendar in found]


def needs_service(jobs: Sequence[JobSpec]) -> bool:
    """Whether a period is below a minute, which nothing but a service keeps."""
    return any(job.period_seconds < 60 for job in jobs)


def label_of(job: JobSpec) -> str:
    """The job in the names of units and files."""
    return job.name.replace("+", "-")


def secret_files(settings: Settings, config_path: str) -> list[Credential]:
    """Files that drkit reads secrets from, by absolute path."""
    paths = [reference.removeprefix("file:") for reference in _references(settings) if reference.startswith("file:")]
    paths += [
        auth.key_file for region in settings.regions.values() if isinstance(auth := region.cluster.auth, MtlsAuth)
    ]
    absolute = sorted({check_path(absolute_path(path, config_path), "a secret's file") for path in paths})
    found = {credential_name(path): path for path in absolute}
    if len(found) < len(absolute):
        raise UsageError(
            f"two of the secrets' files would have one name: {', '.join(absolute)}", hint="give one another place"
        )
    return [Credential(name, path) for name, path in found.items()]


def secret_variables(settings: Settings) -> list[str]:
    """Environment variables that drkit reads secrets from."""
    references = _references(settings)
    return sorted({reference.removeprefix("env:") for reference in references if reference.startswith("env:")})


def absolute_path(path: str, config_path: str) -> str:
    """A path of drkit.yaml on the machine where the file lies at ``config_path``."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(config_path), path))


def check_path(path: str, what: str) -> str:
    """The path. Raises ``UsageError`` for one that no unit could name."""
    if not path.startswith("/") or not path.isascii() or not path.isprintable():
        raise UsageError(
            f"{what} {printable(path)!r} is no absolute path of printable ASCII characters",
            hint="a unit names it: choose another place",
        )
    return path


def shell_line(words: Sequence[str]) -> str:
    """A command line for a crontab: in ``sh``, and cron takes a percent sign for the end of the line (crontab(5))."""
    return shlex.join(words).replace("%", "\\%")


def systemd_line(words: Sequence[str]) -> str:
    """A command line for ``ExecStart=`` (systemd.service(5), "Command lines")."""
    return " ".join(_systemd_word(word) for word in words)


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(word) & set(" '\"\\;") else escaped


def _what(job: JobSpec) -> Iterator[str]:
    yield "--what"
    yield ",".join(job.parts) if job.parts is not None else "all"


def _references(settings: Settings) -> list[str]:
    found: list[str | None] = []
    for region in settings.regions.values():
        auth = region.cluster.auth
        found += [getattr(auth, "password", None), getattr(auth, "key_password", None)]
        found += [one.password for one in (region.connect, region.schema_registry) if one is not None]
    return [reference for reference in found if reference is not None]
