"""Which backups are kept: examples, and properties against counting by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.inventory import Part
from drkit.domain.retention import JUST_NOW, Held, Keep, Reasons, kept, rescued

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def held(number: int, at: datetime, parts: tuple[Part, ...] = (Part.TOPICS,), region: str = "taipei") -> Held:
    return Held(f"{number:06d}", region, at, at, frozenset(parts))


def hourly(count: int, parts: tuple[Part, ...] = (Part.TOPICS,)) -> list[Held]:
    """One an hour, until two hours ago."""
    return [held(number, NOW - timedelta(hours=count - number + 1), parts) for number in range(count)]


def names(reasons: Reasons) -> list[int]:
    return [int(name) for name, why in reasons.items() if why]


def test_the_last_ones_are_kept() -> None:
    assert names(kept(hourly(10), Keep(last=3), NOW)) == [7, 8, 9]


def test_the_newest_of_each_day_is_kept() -> None:
    """72 hours until 10:00."""
    found = kept(hourly(72), Keep(daily=3), NOW)
    assert [(NOW - timedelta(hours=72 - number + 1)).isoformat()[5:13] for number in names(found)] == [
        "02-27T23",
        "02-28T23",
        "03-01T10",
    ]


def test_nothing_is_kept_without_a_reason_but_what_must_be() -> None:
    assert kept(hourly(3), Keep(), NOW) == {"000000": (), "000001": (), "000002": ("newest",)}


def test_what_was_superseded_just_now_is_kept() -> None:
    at = [NOW - timedelta(hours=3), NOW - timedelta(hours=2), NOW - JUST_NOW + timedelta(seconds=1)]
    assert names(kept([held(n, one) for n, one in enumerate(at)], Keep(), NOW)) == [1, 2]


def test_what_was_made_just_now_is_kept_also_where_its_id_is_old() -> None:
    """It was begun before the newest, and finished after it."""
    slow = replace(held(0, NOW - timedelta(hours=3)), finished_at=NOW - timedelta(minutes=1))
    found = [slow, held(1, NOW - timedelta(hours=2)), held(2, NOW - timedelta(hours=1, minutes=30))]
    assert names(kept(found, Keep(), NOW)) == [0, 2]


def test_each_part_has_a_newest_and_counts_of_its_own() -> None:
    """Everything once, then groups alone: the one with topics stays for them."""
    found = [held(0, NOW - timedelta(days=9), (Part.TOPICS, Part.GROUPS))]
    found += [held(n, NOW - timedelta(hours=9 - n), (Part.GROUPS,)) for n in range(1, 6)]
    assert names(kept(found, Keep(last=2), NOW)) == [0, 4, 5]


def test_what_is_in_use_or_shared_with_the_newest_is_kept() -> None:
    found = hourly(4)
    found[3] = Held("000003", "taipei", found[3].taken_at, found[3].finished_at, found[3].parts, frozenset({"000000"}))
    assert names(kept(found, Keep(), NOW, in_use={"000001", "gone"})) == [0, 1, 3]


def test_a_clock_that_was_ahead_removes_nothing_else() -> None:
    """One says that it is of next year: it stays until then, and the newer ones behind it are what is kept."""
    found = [*hourly(4), held(4, NOW + timedelta(days=365)), held(5, NOW - timedelta(hours=1, minutes=1))]
    assert names(kept(found, Keep(last=1), NOW)) == [3, 4, 5]


def test_the_newest_that_is_in_every_bucket_is_kept() -> None:
    found = [replace(one, in_every_bucket=number in (0, 1)) for number, one in enumerate(hourly(4))]
    reasons = kept(found, Keep(), NOW)
    assert names(reasons) == [1, 3]
    assert reasons["000001"] == ("newest in every bucket",)


def test_the_only_whole_one_is_kept() -> None:
    found = hourly(4)
    reasons = kept(found, Keep(last=1), NOW)
    assert names(rescued(found, reasons, lambda *_: True)) == [3]
    assert names(rescued(found, reasons, lambda name, _: name in ("000000", "000001"))) == [1, 3]
    assert names(rescued(found, reasons, lambda *_: False)) == [3]


_HELD = st.lists(
    st.tuples(
        st.integers(-3000, 200),
        st.frozensets(st.sampled_from([Part.TOPICS, Part.GROUPS]), min_size=1),
        st.sampled_from(["taipei", "tokyo"]),
        st.booleans(),
    ),
    max_size=30,
)
_KEEP = st.builds(Keep, *[st.integers(0, 4)] * 5)


@given(_HELD, _KEEP, st.sets(st.integers(0, 29)), st.sets(st.integers(0, 29)))
def test_kept_is_what_counting_by_hand_keeps(
    given_held: list[tuple[int, frozenset[Part], str, bool]], keep: Keep, used: set[int], broken: set[int]
) -> None:
    """Of clocks that say anything."""
    backups = [
        replace(held(n, NOW + timedelta(hours=hours), tuple(parts), region), in_every_bucket=everywhere)
        for n, (hours, parts, region, everywhere) in enumerate(given_held)
    ]
    in_use = {f"{n:06d}" for n in used}
    reasons = kept(backups, keep, NOW, in_use)
    expected = {one.backup_id for one in backups if one.backup_id in in_use}
    for region in ("taipei", "tokyo"):
        for part in Part:
            line = [one for one in backups if one.region == region and part in one.parts][::-1]
            expected |= {one.backup_id for one in line[: max(keep.last, 1)]}
            expected |= {one.backup_id for one in line if NOW - one.finished_at < JUST_NOW}
            expected |= set([one.backup_id for one in line if one.in_every_bucket][:1])
            expected |= {b.backup_id for a, b in pairwise(line) if NOW - a.finished_at < JUST_NOW}
            for count, form in (
                (keep.hourly, "%Y%m%d%H"),
                (keep.daily, "%Y%m%d"),
                (keep.weekly, "%G%V"),
                (keep.monthly, "%Y%m"),
            ):
                first = {f"{one.taken_at:{form}}": one.backup_id for one in line[::-1]}
                order = list(dict.fromkeys(f"{one.taken_at:{form}}" for one in line))
                expected |= {first[period] for period in order[:count]}
    assert {name for name, why in reasons.items() if why} == expected
    left = rescued(backups, reasons, lambda name, _: int(name) not in broken)
    for one in backups:
        for part in one.parts:
            others = [
                b for b in backups if b.region == one.region and part in b.parts and int(b.backup_id) not in broken
            ]
            assert not others or any(left[b.backup_id] for b in others)
