"""What was asked of a restore, and how a run that does it has it on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from drkit.domain.inventory import Part
from drkit.domain.objectives import Acceptance, as_acceptance
from drkit.domain.restoration import RESTORABLE, Choice

_NAMES: Final = ("topics", "groups")


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which backup goes where. ``target``: None for the region that it was taken of.

    ``accept_other_cluster``: the region's cluster is another one than the backup's. ``accept_replay``: as of a move,
    for positions that are translated.
    """

    backup_id: str
    target: str | None = None
    choice: Choice = field(default_factory=Choice)
    accept_other_cluster: bool = False
    accept_replay: Acceptance = None

    def options(self) -> dict[str, Any]:
        """As a run's plan has it; what was not asked for is left out."""
        choice = asdict(self.choice)
        named = {name: sorted(choice.pop(name)) or None for name in _NAMES}
        return {
            "backup_id": self.backup_id,
            **choice,
            **named,
            "parts": [part.value for part in RESTORABLE if part in self.choice.parts],
            "accept_other_cluster": self.accept_other_cluster,
            "accept_replay": self.accept_replay,
        }

    @classmethod
    def of(cls, target: str, options: Mapping[str, Any]) -> RestoreRequest:
        """The inverse, from what is on record; the target is the run's."""
        return cls(
            backup_id=str(options["backup_id"]),
            target=target,
            choice=Choice(
                parts=frozenset(Part(part) for part in options["parts"]),
                topics=frozenset(options.get("topics", ())),
                groups=frozenset(options.get("groups", ())),
                replace=bool(options.get("replace")),
                accept_positions=bool(options.get("accept_positions")),
                skip_active=bool(options.get("skip_active")),
                replication_factor=options.get("replication_factor"),
            ),
            accept_other_cluster=bool(options.get("accept_other_cluster")),
            accept_replay=as_acceptance(options.get("accept_replay")),
        )
