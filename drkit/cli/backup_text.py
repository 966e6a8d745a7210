"""Text for people from the documents of ``drkit backup``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drkit.cli.render import aligned
from drkit.domain.naming import printable

_SHOWN = 40


def run_text(document: Mapping[str, Any]) -> str:
    """One block per region."""
    lines: list[str] = []
    for one in document["backups"]:
        head = f"backup {one['backup_id']} of {one['region']} in {one['seconds']:.2f} s"
        lines.append(f"{head}, {one['written_bytes']:,} new bytes in each of {', '.join(one['copies'])}")
        rows = [
            (f"  {part}", f"{found['rows']:,} rows", f"{found['bytes']:,} bytes", "unchanged" * found["unchanged"])
            for part, found in one["parts"].items()
        ]
        lines += [aligned(rows)]
        lines += [f"  missing: {part}: {printable(reason)}" for part, reason in one["missing"].items()]
        lines += [f"  not in {label}: {printable(reason)}" for label, reason in one["not_copied"].items()]
    for failed in document["failed"]:
        lines.append(f"no backup of {failed['region']}: {printable(failed['error'])}")
        lines += [f"  next: {failed['hint']}"] if failed["hint"] else []
    return "\n".join([*lines, *_notes(document)])


def list_text(document: Mapping[str, Any]) -> str:
    """One line per backup."""
    rows = [
        (
            one["backup_id"],
            one["region"],
            f"{_age(one['age_seconds'])} ago" if one["age_seconds"] >= 0 else "in the future (a clock was wrong)",
            ", ".join(one["parts"]),
            f"{one['bytes']:,} bytes",
            f"{len(one['copies'])} copies" if len(one["copies"]) != 1 else "1 copy",
            "; ".join(
                [f"without {', '.join(one['missing'])}"] * bool(one["missing"])
                + ["of another cluster"] * one["other_cluster"]
            ),
        )
        for one in document["backups"]
    ]
    lines = [aligned(rows)] if rows else ["no backups"]
    lines += [
        f"cannot be read: {one['backup_id']} of {one['region']}: {printable(one['error'])}"
        for one in document["unreadable"]
    ]
    lines += _dark(document)
    return "\n".join([*lines, *_notes(document)])


def show_text(document: Mapping[str, Any]) -> str:
    """A backup and its parts."""
    lines = [
        f"backup {document['backup_id']} of {document['region']}, cluster {printable(document['cluster_id'])}",
        f"  taken     {document['taken_at']} ({_age(document['age_seconds'])} ago), by drkit {document['drkit']}",
        f"  finished  {document['finished_at']}",
        f"  copies    {', '.join(document['copies'])}",
        aligned(
            [
                (
                    f"  {part}",
                    f"{one['rows']:,} rows",
                    f"{one['stored_bytes']:,} bytes",
                    f"stored by {one['written_by']}",
                )
                for part, one in document["parts"].items()
            ]
        ),
    ]
    lines += [f"  missing: {part}: {printable(reason)}" for part, reason in document["missing"].items()]
    lines += [f"  {part} were last backed up in {backup_id}" for part, backup_id in document["earlier"].items()]
    for part, found in document["contents"].items():
        lines += ["", part]
        for name, fields in found.items():
            lines.append(f"  {printable(name)}")
            lines += [f"    {printable(field)}  {printable(value)}" for field, value in fields.items()]
    return "\n".join([*lines, *_notes(document)])


def verify_text(document: Mapping[str, Any]) -> str:
    """The verdict, and what is wrong."""
    read = f"{document['read_objects']} of {document['objects']} objects read, {document['read_bytes']:,} bytes"
    verdict = "are whole" if document["ok"] else "are not all whole"
    lines = [f"{len(document['backups'])} backups {verdict}; {read}"]
    lines += _some(
        f"  {one['backup_id']} of {one['region']} in {one['replica']}: {one['part'] or 'manifest'}: "
        f"{printable(one['what'])}"
        for one in document["problems"]
    )
    return "\n".join([*lines, *_dark(document), *_notes(document)])


def diff_text(document: Mapping[str, Any]) -> str:
    """What differs."""
    first, second = (one.get("backup_id", one["region"]) for one in (document["first"], document["second"]))
    count = len(document["differences"])
    how = f"{count} differences" if count != 1 else "1 difference"
    lines = [f"{how} between {first} and {second} in {', '.join(document['compared'])}"]
    lines += _some(
        f"  {one['part']}  {printable(one['name'])}  {printable(one['text'])}" for one in document["differences"]
    )
    lines += [f"  not compared: {part}: {printable(reason)}" for part, reason in document["unread"].items()]
    for reason in dict.fromkeys(document["left_out"].values()):
        parts = ", ".join(part for part, why in document["left_out"].items() if why == reason)
        lines.append(f"  not compared: {parts}: {reason}")
    return "\n".join([*lines, *_notes(document)])


def prune_text(document: Mapping[str, Any]) -> str:
    """What was, or would be, removed."""
    would = "would be removed" if document["dry_run"] else "removed"
    objects = ", ".join(f"{count} in {label}" for label, count in document["removed_objects"].items()) or "none"
    lines = [
        f"{len(document['removed'])} backups {would}, {len(document['kept'])} kept",
        f"  objects {would}: {objects}" + (f" ({document['orphans']} of no backup)" if document["orphans"] else ""),
    ]
    lines += _some(f"  {'-' if document['dry_run'] else 'removed'} {backup_id}" for backup_id in document["removed"])
    lines += _some(f"  kept {backup_id}: {', '.join(why)}" for backup_id, why in document["kept"].items())
    lines += _some(f"  not removed: {what}: {printable(why)}" for what, why in document["not_removed"].items())
    lines += [f"  note: {count} objects in {label} are not drkit's" for label, count in document["foreign"].items()]
    return "\n".join(lines)


def _some(lines: Iterable[str]) -> Sequence[str]:
    found = list(lines)
    more = len(found) - _SHOWN
    return found if more <= 0 else [*found[:_SHOWN], f"  and {more} more; --output json has all"]


def _notes(document: Mapping[str, Any]) -> list[str]:
    return [f"note: {printable(note)}" for note in document["notes"]]


def _dark(document: Mapping[str, Any]) -> list[str]:
    return [f"{label} does not answer: {printable(reason)}" for label, reason in document["dark"].items()]


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
