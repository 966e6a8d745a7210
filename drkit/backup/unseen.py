"""What a backup may lack without any error: Kafka does not mention what drkit may not describe.

With ``allow.everyone.if.no.acl.found=true``, as on Amazon MSK, the first ACL on a topic or group hides it from all whom
no ACL names. Where the ACLs were read, drkit asks by name for what they name and it did not see. Topics that only a
prefixed ACL hides cannot be found out that way.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from drkit.backup.survey import Region, Surveyed
from drkit.domain.inventory import Inventory, Part
from drkit.domain.naming import printable
from drkit.engine.calls import attempt
from drkit.errors import AuthError, DrkitError

_TOPIC: Final = re.compile(r"(?!__)[a-zA-Z0-9._-]{1,249}")
_OF_TOPICS: Final = (Part.TOPICS, Part.GROUPS, Part.LOGS)
_NAMED: Final = 3


def with_unseen(region: Region, surveyed: Surveyed) -> Surveyed:
    """The same, with an error for every part that was read and may lack something; without ACLs nothing is known."""
    found = surveyed.inventory
    if found.acls is None:
        return surveyed
    errors = dict(surveyed.errors)
    of_topics = [part for part in _OF_TOPICS if surveyed.has(part)]
    if of_topics and (error := _unseen_topics(region, found)):
        errors |= dict.fromkeys(of_topics, error)
    if found.groups is not None and Part.GROUPS not in errors and (error := _unseen_groups(region, found)):
        errors[Part.GROUPS] = error
    return Surveyed(found, errors)


def _unseen_topics(region: Region, found: Inventory) -> DrkitError | None:
    seen = found.topics or {}
    names = [name for name in _literal(found, "topic") if name not in seen and _TOPIC.fullmatch(name)]
    hidden = attempt(region.reader.hidden_topics, names) if names else []
    if isinstance(hidden, DrkitError):
        return hidden
    return _may_not_see(region, "topic", sorted(hidden)) if hidden else None


def _unseen_groups(region: Region, found: Inventory) -> DrkitError | None:
    names = [name for name in _literal(found, "group") if name not in (found.groups or {})]
    hidden = [name for name in names if isinstance(attempt(region.reader.describe_groups, [name]), AuthError)]
    return _may_not_see(region, "group", hidden) if hidden else None


def _literal(found: Inventory, resource_type: str) -> list[str]:
    return sorted(
        {
            acl.resource_name
            for acl in found.acls or ()
            if acl.resource_type == resource_type and acl.pattern_type == "literal" and acl.resource_name != "*"
        }
    )


def _may_not_see(region: Region, kind: str, hidden: Collection[str]) -> AuthError:
    some = ", ".join(printable(name) for name in list(hidden)[:_NAMED]) + (", ..." if len(hidden) > _NAMED else "")
    several = "s" if len(hidden) > 1 else ""
    return AuthError(
        f"drkit may not see {len(hidden)} {kind}{several} of {region.region} that ACLs name: {some}",
        hint=f"allow drkit's principal Describe on them: what it may not describe of a {kind} is in no backup",
    )
