"""What has to change for the connectors to be as rendered: a pure difference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_SENSITIVE = re.compile(r"password|secret|jaas|credential|token|ssl\.keystore\.key", re.IGNORECASE)
_HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs; None where it is not set. Sensitive values are replaced by ``(hidden)``."""

    key: str
    live: str | None
    wanted: str | None


class ActionKind(StrEnum):
    """What is done to a connector."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class ConnectorAction:
    """One connector's difference; ``changes`` is empty unless it is updated."""

    name: str
    kind: ActionKind
    changes: tuple[Change, ...] = ()


def differences(live: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """The settings that differ, by key. Connect adds ``name`` to what it returns: it is not compared."""
    keys = sorted((live.keys() | wanted.keys()) - {"name"})
    return tuple(
        Change(key, _shown(key, live.get(key)), _shown(key, wanted.get(key)))
        for key in keys
        if live.get(key) != wanted.get(key)
    )


def plan_apply(
    live: Mapping[str, Mapping[str, str]], wanted: Mapping[str, Mapping[str, str]]
) -> tuple[ConnectorAction, ...]:
    """One action for each wanted connector, in their order.

    ``live``: the configuration by connector; a connector that does not exist is missing or has an empty one. Connectors
    that are not wanted are left alone: they may be somebody else's.
    """
    return tuple(_action(name, live.get(name, {}), config) for name, config in wanted.items())


def _action(name: str, live: Mapping[str, str], wanted: Mapping[str, str]) -> ConnectorAction:
    if not live:
        return ConnectorAction(name, ActionKind.CREATE)
    changes = differences(live, wanted)
    return ConnectorAction(name, ActionKind.UPDATE if changes else ActionKind.KEEP, changes)


def _shown(key: str, value: str | None) -> str | None:
    return _HIDDEN if value is not None and _SENSITIVE.search(key) else value
