"""Exceptions of zones and curfews: intervals in which something else holds, local unless they carry an offset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from engine.errors import InputError
from geofence.known_keys import refuse_unknown
from geofence.schedule import Interval, read_interval, time_zone

_KEYS = ("from", "to", "kind", "reason")


class ScheduleException(NamedTuple):
    """An interval [us UTC] of a kind: absence or entry authorised, monitoring suspended, or an extra window."""

    start_us: int
    end_us: int
    kind: str
    reason: str


def read_exceptions(raw: Any, kinds: Sequence[str], zone_name: str) -> tuple[ScheduleException, ...]:
    """The exceptions of a list of `{"from", "to", "kind", "reason"}`; InputError names number, field and value."""
    rows = raw or []
    if not isinstance(rows, list):
        raise InputError(field="exceptions", value=raw, expected="a list")
    read = []
    for number, row in enumerate(rows, 1):
        kind = row.get("kind") if isinstance(row, dict) else None
        if not isinstance(kind, str) or kind not in kinds:
            raise InputError(field="kind", value=kind, expected=" or ".join(kinds))
        try:
            refuse_unknown(row, _KEYS, "an exception")
            start, end = read_interval(row.get("from"), row.get("to"), time_zone(zone_name))
        except InputError as fault:
            raise (fault.at(f"exception {number}") if len(rows) > 1 else fault) from None
        read.append(ScheduleException(start, end, kind, str(row.get("reason") or "")))
    return tuple(read)


def of_kind(exceptions: Iterable[ScheduleException], *kinds: str) -> list[Interval]:
    """The intervals of these kinds."""
    return [(e.start_us, e.end_us) for e in exceptions if e.kind in kinds]
