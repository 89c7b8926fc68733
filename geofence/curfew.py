"""Curfews: a wearer must be at one of the places within weekly local windows, and reading them from JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from engine.errors import InputError
from geofence.exceptions import ScheduleException, of_kind, read_exceptions
from geofence.known_keys import refuse_unknown
from geofence.schedule import Interval, Schedule, Span, made_windows, read_schedule, without
from geofence.versions import ALWAYS, Key, in_order, moments, read_key, without_key
from geofence.zone import Place, Zone, read_circle, version_of

EXCEPTION_KINDS = ("authorised", "extra")
UNVERIFIED_MINUTES = 30
KEYS = (
    "id", "wearer", "name", "note", "place", "timezone", "weekly", "valid_from", "valid_to", "grace_minutes",
    "unverified_minutes", "exceptions", "holds_from", "removed",
)  # fmt: skip
_PLACE_KEYS = ("lat", "lon", "radius_m", "zone", "name", "note")


class Piece(NamedTuple):
    """[start_us, end_us) of a window, the moments for which its version holds, and the whole window before anything was cut."""

    start_us: int
    end_us: int
    holds: Interval
    whole: Span


class Curfew(NamedTuple):
    """One curfew of one wearer; any of the places will do; `version` is the hash of what was read, which holds for the
    moments of `holds` [us UTC, end excluded]."""

    id: str
    wearer: str
    places: tuple[Place, ...]
    schedule: Schedule
    version: str
    grace_us: int = 0
    exceptions: tuple[ScheduleException, ...] = ()
    holds: Interval = ALWAYS
    unverified_us: int = UNVERIFIED_MINUTES * 60_000_000

    def windows(self, from_us: int, to_us: int) -> list[Interval]:
        """The windows that meet [from_us, to_us], exceptions applied: extra ones added, authorised absences cut out; of each
        the part for which this version holds."""
        return [piece[:2] for piece in self.pieces(from_us, to_us)]

    def pieces(self, from_us: int, to_us: int) -> list[Piece]:
        """The same, each with the whole window that it was cut from."""
        leave, (first, last) = of_kind(self.exceptions, "authorised"), self.holds
        whole = self._whole(from_us, to_us)
        cuts = [(cut, w) for w in whole for cut in (without([w[:2]], leave) if leave else (w[:2],))]
        held = [Piece(max(a, first), min(b, last), self.holds, w) for (a, b), w in cuts]
        return [p for p in held if p.start_us < p.end_us and p.end_us > from_us and p.start_us <= to_us]

    def _whole(self, from_us: int, to_us: int) -> list[Span]:
        """The windows that meet [from_us, to_us] with the extra ones, nothing cut out."""
        extra = [Span(*interval) for interval in of_kind(self.exceptions, "extra")]
        if not extra:
            return self.schedule.made(from_us, to_us)
        low, high = from_us, to_us
        while True:
            windows = made_windows([*self.schedule.spans(low, high), *extra])
            found = [w for w in windows if w.end_us > from_us and w.start_us <= to_us]
            wide = min([from_us, *(w.start_us for w in found)]), max([to_us, *(w.end_us for w in found)])
            if wide == (low, high):
                return found
            low, high = wide  # an extra window may join what lies beyond


def read_curfews(raw: Any, zones: Sequence[Zone] = ()) -> list[Curfew]:
    """Curfews of a JSON list, one a version, the versions of an id oldest first; `zones` are those that a place may name.

    A curfew whose place is a zone has a version for each of the zone's own. InputError names curfew, field and value.
    """
    if not isinstance(raw, list):
        raise InputError(field="curfews", value=type(raw).__name__, expected="a JSON list of curfews")
    by_id: dict[str, list[Zone]] = {}
    for zone in zones:
        by_id.setdefault(zone.id, []).append(zone)
    keys: dict[tuple[str, int], Key] = {}  # in the order of the rows
    read: list[list[Curfew]] = []
    for number, row in enumerate(raw, 1):
        try:
            key, curfews = _read_row(row, by_id)
            if key[:2] in keys:
                raise InputError(field="id", value=key.id, expected="an id that no other curfew has")
        except InputError as fault:
            name = row.get("id") if isinstance(row, dict) else None
            raise fault.at(f"curfew {number}" + (f" (id {name})" if name else "")) from None
        keys[key[:2]] = key
        read.append(curfews)
    rows = list(keys.values())
    held = moments(rows)
    return [part for row in in_order(rows) for curfew in read[row] if (part := _held(curfew, held[row]))]


def _held(curfew: Curfew, interval: Interval) -> Curfew | None:
    start, end = max(curfew.holds[0], interval[0]), min(curfew.holds[1], interval[1])
    if (start, end) == curfew.holds:
        return curfew
    return curfew._replace(holds=(start, end)) if start < end else None


def _read_row(row: Any, zones: dict[str, list[Zone]]) -> tuple[Key, list[Curfew]]:
    """The row's key, and its curfew for each version of the zones that it names."""
    if not isinstance(row, dict):
        raise InputError(field="curfew", value=row, expected="a JSON object")
    if not isinstance(row.get("id"), str) or not row["id"].strip():
        raise InputError(field="id", value=row.get("id"), expected="a text")
    key = read_key(row, row["id"])
    if key.removed:
        return key, []
    if not isinstance(row.get("wearer"), str) or not row["wearer"].strip():
        raise InputError(field="wearer", value=row.get("wearer"), expected="a text")
    refuse_unknown(row, KEYS, "a curfew")
    schedule = read_schedule(row, valid_from=row.get("valid_from"), valid_to=row.get("valid_to"))
    grace_us = _read_minutes(row, "grace_minutes", 0)
    limit_us = _read_minutes(row, "unverified_minutes", UNVERIFIED_MINUTES)
    places = _read_places(row.get("place"), zones)
    exceptions = read_exceptions(row.get("exceptions"), EXCEPTION_KINDS, schedule.timezone)
    content, curfews = (without_key(row) if "holds_from" in row else row), []
    for holds in _between(edge for versions in places for _, edges, _ in versions for edge in edges):
        there = [(place, version) for versions in places for place, (a, b), version in versions if a <= holds[0] < b]
        if there:
            # The version covers the zones it names: a place that moves is another curfew.
            version = version_of([content, [version for _, version in there if version]])
            of_places = tuple(place for place, _ in there)
            curfews.append(
                Curfew(row["id"], row["wearer"], of_places, schedule, version, grace_us, exceptions, holds, limit_us)
            )
    return key, curfews


def _between(edges: Iterable[int]) -> list[Interval]:
    cuts = sorted({*ALWAYS, *edges})
    return list(pairwise(cuts))


def _read_minutes(row: dict[str, Any], key: str, otherwise: int) -> int:
    """Minutes of a day, in microseconds."""
    raw = row.get(key, otherwise)
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw <= 24 * 60:
        raise InputError(field=key, value=raw, expected="minutes from 0 to 1440")
    return round(raw * 60_000_000)


_Version = tuple[Place, Interval, str]
"""A place, the moments for which it is that, and the version of the zone that it is (empty: of the curfew itself)."""


def _read_places(raw: Any, zones: dict[str, list[Zone]]) -> list[list[_Version]]:
    """The versions of each place."""
    expected = '{"lat", "lon", "radius_m"} or {"zone": id} or a list of these'
    rows = raw if isinstance(raw, list) else [raw]
    if not rows:
        raise InputError(field="place", value=raw, expected=expected)
    places: list[list[_Version]] = []
    for row in rows:
        if not isinstance(row, dict):
            raise InputError(field="place", value=row, expected=expected)
        refuse_unknown(row, _PLACE_KEYS, "a place")
        if "zone" in row:
            if not isinstance(row["zone"], str) or row["zone"] not in zones:
                raise InputError(field="place", value=row["zone"], expected="the id of a zone in the zones file")
            if not {"lat", "lon", "radius_m"}.isdisjoint(row):
                raise InputError("is a zone and a disc", field="place", value=row, expected=expected)
            places.append([(zone.place, zone.holds, zone.version) for zone in zones[row["zone"]]])
        else:
            places.append([(read_circle(row.get("lat"), row.get("lon"), row.get("radius_m")), ALWAYS, "")])
    return places
