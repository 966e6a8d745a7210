"""What was asked of a restore, and how a run that does it has it on record."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from drkit.domain.inventory import Part
from drkit.domain.objectives import Acceptance, as_acceptance
from drkit.domain.restoration import RESTORABLE, Choice
from drkit.errors import UsageError

_NAMES: Final = ("topics", "groups")


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which backup goes where: its id, the beginning of one, or ``latest`` of ``region``.

    ``region``: whose backups are meant; None: any's. ``target``: None for the region that the backup was taken of.

    ``accept_other_cluster``: the region's cluster is another one than the backup's. ``accept_replay``: as of a move,
    for positions that are translated.
    """

    backup_id: str
    target: str | None = None
    region: str | None = None
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


def chosen_parts(only: Collection[str], topics: Collection[str], groups: Collection[str]) -> frozenset[Part]:
    """Which parts are meant: those that were said, else those of which something was named, else all.

    Raises ``UsageError`` where something was named of a part that is not restored.
    """
    said = frozenset(Part(name) for name in only)
    named = frozenset({*([Part.TOPICS] if topics else []), *([Part.GROUPS] if groups else [])})
    if groups and said and Part.GROUPS not in said:
        raise UsageError("--group is given, and groups are not restored", hint="add --only groups")
    if topics and said and said.isdisjoint({Part.TOPICS, Part.GROUPS}):
        raise UsageError("--topic is given, and neither topics nor groups are restored", hint="add --only topics")
    beside = said - {Part.TOPICS, Part.GROUPS} if named else frozenset()
    if beside:
        raise UsageError(
            f"--topic and --group say nothing of {', '.join(sorted(beside))}",
            hint="restore those in a run of their own",
        )
    return said or named or frozenset(RESTORABLE)
