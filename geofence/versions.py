"""Rows of one id that follow one another in a file: each holds from its `holds_from` until the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.errors import InputError
from engine.times import parse_time
from geofence.schedule import Interval

FAR_US = 2**62
ALWAYS = (-FAR_US, FAR_US)
"""The moments for which a version holds that no other one came before or after."""


class Key(NamedTuple):
    """What a row is a version of, from when on it holds, and whether it only ends what was before it."""

    id: str
    from_us: int
    removed: bool


def read_key(given: Mapping[str, Any], name: str) -> Key:
    """The key of a row of this id; InputError where it ends something without saying when."""
    removed, start = given.get("removed"), given.get("holds_from")
    if removed not in (None, True, False):
        raise InputError(field="removed", value=removed, expected="true or false")
    if removed and start is None:
        raise InputError(field="holds_from", expected="the instant from which on it is removed")
    if start is None:
        return Key(name, -FAR_US, False)
    try:
        from_us = parse_time(start if isinstance(start, str) else "")
    except InputError as fault:
        expected = "ISO 8601 with an offset, such as 2026-03-29T01:30:00Z"
        raise InputError(fault.message, field="holds_from", value=start, expected=expected) from None
    return Key(name, from_us, bool(removed))


def without_key(given: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a row: what its version is the hash of."""
    return {key: value for key, value in given.items() if key not in ("holds_from", "removed")}


def repeated(keys: Sequence[Key]) -> tuple[int, int] | None:
    """The first row that holds from the same instant as another of its id, and that other one; None where all differ."""
    seen: dict[tuple[str, int], int] = {}
    for row, key in enumerate(keys):
        first = seen.setdefault(key[:2], row)
        if first != row:
            return row, first
    return None


def moments(keys: Sequence[Key]) -> list[Interval]:
    """For each row the moments [us UTC, end excluded] for which it holds."""
    starts: dict[str, list[int]] = {}
    for key in keys:
        starts.setdefault(key.id, []).append(key.from_us)
    return [(key.from_us, _next(starts[key.id], key.from_us)) for key in keys]


def _next(starts: list[int], after_us: int) -> int:
    return FAR_US if len(starts) == 1 else min((start for start in starts if start > after_us), default=FAR_US)


def in_order(keys: Sequence[Key]) -> list[int]:
    """The rows that are not removals: ids as they first come, versions of one id oldest first."""
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        first.setdefault(key.id, row)
    rows = sorted(range(len(keys)), key=lambda row: (first[keys[row].id], keys[row].from_us))
    return [row for row in rows if not keys[row].removed]
