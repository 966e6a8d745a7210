"""SCRAM users, groups and schemas on both sides. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from drkit.domain.inventory import GroupInventory, RegistryInventory, ScramUser, SubjectVersion
from drkit.domain.naming import printable
from drkit.domain.parity_finding import Finding, Kind, Severity
from drkit.domain.provisioning import RegisterSchema
from drkit.domain.scope import NameFilter

_MISSING: Final = "missing"


def compare_users(
    source: Mapping[str, ScramUser],
    target: Mapping[str, ScramUser],
    applications: Collection[str],
    left_out: Collection[str],
) -> Iterator[Finding]:
    """Users, or their mechanisms, that the target lacks. ``applications``, ``left_out``: principals (``User:name``)."""
    for name, user in sorted(source.items()):
        principal = f"User:{name}"
        there = target[name].mechanisms if name in target else {}
        lacking = sorted(user.mechanisms.keys() - there.keys())
        if lacking and principal not in left_out:
            yield Finding(
                kind=Kind.SCRAM_USER,
                severity=Severity.PROBLEM if principal in applications else Severity.NOTE,
                resource=f"user {printable(name)}",
                source=", ".join(sorted(user.mechanisms)),
                target=", ".join(sorted(there)) or _MISSING,
                why="who uses it cannot log in; MM2 copies no users",
                person="it has a secret, which Kafka never gives out: kafka-configs --alter --entity-type users",
            )


def compare_groups(
    groups: Mapping[str, GroupInventory], scope: NameFilter, topics: NameFilter, own: Collection[str]
) -> Iterator[Finding]:
    """Groups with positions on the service's topics that the filters leave out. ``own``: drkit's."""
    for name, group in sorted(groups.items()):
        positions = [partition for partition in group.positions if topics.matches(partition.topic)]
        if positions and name not in own and not scope.matches(name):
            yield Finding(
                kind=Kind.GROUP,
                severity=Severity.NOTE,
                resource=f"group {printable(name)}",
                source=f"{len(positions)} positions",
                target="left out",
                why="it would begin where its auto.offset.reset says",
                person="replication.groups or replication.groups_exclude leaves it out: is that meant?",
            )


def compare_schemas(source: RegistryInventory, target: RegistryInventory) -> Iterator[Finding]:
    """Versions that the target lacks, or has under another id: a record names its schema by the id alone."""
    there = {(one.subject, one.version): one for one in target.versions}
    taken = {one.schema_id: one.schema for one in target.versions}
    # A schema comes behind those that it imports, which have lower ids.
    for one in sorted(source.versions, key=lambda version: (version.schema_id, version.subject, version.version)):
        found = there.get((one.subject, one.version))
        if found is not None and (found.schema_id, found.schema) == (one.schema_id, one.schema):
            continue
        person = _person(one, found, taken.get(one.schema_id))
        yield Finding(
            kind=Kind.SCHEMA,
            severity=Severity.PROBLEM,
            resource=printable(f"version {one.version} of subject {one.subject}"),
            source=f"id {one.schema_id}",
            target=_MISSING if found is None else f"id {found.schema_id}",
            why="records that name it cannot be read, or are read with another schema",
            change=None if person else RegisterSchema(one),
            person=person,
        )


def _person(one: SubjectVersion, found: SubjectVersion | None, holder: str | None) -> str:
    if found is not None:
        return "the version is there already as another schema, or under another id; neither can be changed"
    if holder is not None and holder != one.schema:
        return f"id {one.schema_id} is another schema's there"
    return ""
