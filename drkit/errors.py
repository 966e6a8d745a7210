"""Every error that drkit raises on purpose.

::

    DrkitError                  what, why, what to do next; an exit code
    ├── UsageError          2   the command line cannot be acted on
    ├── StoppedError        3   a run stopped part-way and can be resumed
    ├── AuthError           4   a system refused drkit's credentials
    ├── RefusedError        5   a guard refused; nothing was changed
    │   └── UnreachableError    a remote system did not answer within its deadline
    ├── VerificationError   6   done, but verification or an objective missed
    ├── StalePlanError      7   the world moved since the plan was made
    ├── UnknownOutcomeError 8   an effect may or may not have happened
    ├── ConfigError        10   the configuration is invalid (all errors at once)
    ├── LeaseHeldError     11   another process runs a procedure on this service
    └── LeaseLostError     12   another process took over; this one has stopped

Once a run has changed something, the engine turns what stopped it into a ``StoppedError`` (3) that names the
command to resume with; codes 4 and 5 are therefore only seen where nothing was changed.

A message says what happened and why. ``hint`` says what to do next, as a command where there is one.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes. They are only ever added to; a code that a script does not know means failure."""

    DONE = 0
    BUG = 1
    USAGE = 2
    STOPPED = 3
    AUTHENTICATION = 4
    REFUSED = 5
    VERIFICATION = 6
    PLAN_STALE = 7
    OUTCOME_UNKNOWN = 8
    CONFIG = 10
    LEASE_HELD = 11
    LEASE_LOST = 12
    INTERRUPTED = 130


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.BUG: "a bug in drkit",
    ExitCode.USAGE: "wrong usage",
    ExitCode.STOPPED: "stopped part-way, can be resumed",
    ExitCode.AUTHENTICATION: "authentication failed",
    ExitCode.REFUSED: "refused by a guard, nothing changed",
    ExitCode.VERIFICATION: "done, but verification or an objective missed",
    ExitCode.PLAN_STALE: "the plan is stale",
    ExitCode.OUTCOME_UNKNOWN: "outcome unknown",
    ExitCode.CONFIG: "invalid configuration",
    ExitCode.LEASE_HELD: "another process holds the lease",
    ExitCode.LEASE_LOST: "the lease was lost to another process",
    ExitCode.INTERRUPTED: "interrupted",
}


class DrkitError(Exception):
    """An error that the operator can act on.

    ``message`` says what happened and why; ``hint`` what to do next (empty where nothing can be said).
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DrkitError):
    """The command line cannot be acted on."""

    exit_code = ExitCode.USAGE


class StoppedError(DrkitError):
    """A run stopped part-way; its journal says where, and ``drkit resume`` goes on."""

    exit_code = ExitCode.STOPPED


class AuthError(DrkitError):
    """A remote system refused drkit's credentials, or an operation under them."""

    exit_code = ExitCode.AUTHENTICATION


class RefusedError(DrkitError):
    """A guard refused. Nothing was changed."""

    exit_code = ExitCode.REFUSED


class UnreachableError(RefusedError):
    """A remote system did not answer within its deadline, or broke the connection."""


class VerificationError(DrkitError):
    """The work is done, but verification found a difference or an objective was missed."""

    exit_code = ExitCode.VERIFICATION


class StalePlanError(DrkitError):
    """What the plan was made from has changed: plan again."""

    exit_code = ExitCode.PLAN_STALE


class UnknownOutcomeError(DrkitError):
    """An effect was asked for and nobody can tell whether it happened."""

    exit_code = ExitCode.OUTCOME_UNKNOWN


class ConfigError(DrkitError):
    """The configuration is invalid; the message holds every error found, each with its place."""

    exit_code = ExitCode.CONFIG


class LeaseHeldError(DrkitError):
    """Another process holds the lease on this service."""

    exit_code = ExitCode.LEASE_HELD


class LeaseLostError(DrkitError):
    """Another process took the lease or wrote to this run's journal: nothing more may be changed from here."""

    exit_code = ExitCode.LEASE_LOST
