"""What the command line chooses for every command: the configuration, and what stands in for a dark state bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drkit.errors import UsageError

_LOCAL: Final = "local:"


@dataclass(frozen=True, slots=True)
class Chosen:
    """``state``: None for the state bucket, or ``local:DIR``. ``primary``: who is primary, where no lineage says so."""

    config_path: str | None = None
    state: str | None = None
    primary: str | None = None

    @property
    def state_directory(self) -> Path | None:
        """The directory that stands in for the state bucket, absolute; None for the bucket.

        Raises ``UsageError`` for anything but ``local:DIR``, and for a primary that is named beside the bucket.
        """
        if not self.state:
            if self.primary:
                raise UsageError(
                    "--primary goes with --state local:DIR only",
                    hint="the lineage in the state bucket says which region is primary: leave --primary away",
                )
            return None
        directory = self.state.removeprefix(_LOCAL)
        if not self.state.startswith(_LOCAL) or not directory:
            raise UsageError(f"--state is {self.state!r}", hint="it is local:DIR; the state bucket is the default")
        return Path(directory).expanduser().absolute()
