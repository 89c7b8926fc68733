"""Curfews: a wearer must be at one of the places within weekly local windows, and reading them from JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from engine.errors import InputError
from geofence.schedule import Interval, Schedule, merged, read_interval, read_schedule, time_zone, without
from geofence.zone import ALWAYS, Place, Zone, read_circle, version_of

EXCEPTION_KINDS = ("authorised", "extra")


class CurfewException(NamedTuple):
    """An interval [us UTC] of authorised absence, or an extra window."""

    start_us: int
    end_us: int
    kind: str
    reason: str


class Curfew(NamedTuple):
    """One curfew of one wearer; any of the places will do; `version` is the hash of what was read, which holds for the
    moments of `holds` [us UTC, end excluded]."""

    id: str
    wearer: str
    places: tuple[Place, ...]
    schedule: Schedule
    version: str
    grace_us: int = 0
    exceptions: tuple[CurfewException, ...] = ()
    holds: Interval = ALWAYS

    def windows(self, from_us: int, to_us: int) -> list[Interval]:
        """The windows that meet [from_us, to_us], exceptions applied: extra ones added, authorised absences cut out; of each
        the part for which this version holds."""
        extra = [(e.start_us, e.end_us) for e in self.exceptions if e.kind == "extra"]
        leave = [(e.start_us, e.end_us) for e in self.exceptions if e.kind == "authorised"]
        every = merged([*self.schedule.windows(from_us, to_us), *extra])
        held = [(max(a, self.holds[0]), min(b, self.holds[1])) for a, b in without(every, leave)]
        return [(a, b) for a, b in held if a < b and b > from_us and a <= to_us]


def read_curfews(raw: Any, zones: Sequence[Zone] = ()) -> list[Curfew]:
    """Curfews of a JSON list; `zones` are those that a place may name. InputError names curfew, field and value."""
    if not isinstance(raw, list):
        raise InputError(field="curfews", value=type(raw).__name__, expected="a JSON list of curfews")
    by_id = {zone.id: zone for zone in zones}
    curfews: dict[str, Curfew] = {}
    for number, row in enumerate(raw, 1):
        try:
            curfew = _read_curfew(row, by_id)
            if curfew.id in curfews:
                raise InputError(field="id", value=curfew.id, expected="an id that no other curfew has")
        except InputError as fault:
            name = row.get("id") if isinstance(row, dict) else None
            raise fault.at(f"curfew {number}" + (f" (id {name})" if name else "")) from None
        curfews[curfew.id] = curfew
    return list(curfews.values())


def _read_curfew(row: Any, zones: dict[str, Zone]) -> Curfew:
    if not isinstance(row, dict):
        raise InputError(field="curfew", value=row, expected="a JSON object")
    for key in ("id", "wearer"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise InputError(field=key, value=row.get(key), expected="a text")
    schedule = read_schedule(row, valid_from=row.get("valid_from"), valid_to=row.get("valid_to"))
    grace = row.get("grace_minutes", 0)
    if isinstance(grace, bool) or not isinstance(grace, (int, float)) or not 0 <= grace <= 24 * 60:
        raise InputError(field="grace_minutes", value=grace, expected="minutes from 0 to 1440")
    places = _read_places(row.get("place"), zones)
    # The version covers the zones it names: a place that moves is another curfew.
    version = version_of([row, [zones[p["zone"]].version for p in _place_rows(row["place"]) if "zone" in p]])
    return Curfew(
        row["id"], row["wearer"], places, schedule, version, round(grace * 60_000_000),
        tuple(_read_exceptions(row.get("exceptions"), schedule.timezone)),
    )  # fmt: skip


def _place_rows(raw: Any) -> list[dict[str, Any]]:
    return raw if isinstance(raw, list) else [raw]


def _read_places(raw: Any, zones: dict[str, Zone]) -> tuple[Place, ...]:
    expected = '{"lat", "lon", "radius_m"} or {"zone": id} or a list of these'
    rows = _place_rows(raw)
    if not rows:
        raise InputError(field="place", value=raw, expected=expected)
    places: list[Place] = []
    for row in rows:
        if not isinstance(row, dict):
            raise InputError(field="place", value=row, expected=expected)
        if "zone" in row:
            if not isinstance(row["zone"], str) or row["zone"] not in zones:
                raise InputError(field="place", value=row["zone"], expected="the id of a zone in the zones file")
            places.append(zones[row["zone"]].place)
        else:
            places.append(read_circle(row.get("lat"), row.get("lon"), row.get("radius_m")))
    return tuple(places)


def _read_exceptions(raw: Any, zone_name: str) -> list[CurfewException]:
    rows = raw or []
    if not isinstance(rows, list):
        raise InputError(field="exceptions", value=raw, expected="a list")
    read = []
    for row in rows:
        kind = row.get("kind") if isinstance(row, dict) else None
        if kind not in EXCEPTION_KINDS:
            raise InputError(field="kind", value=kind, expected=" or ".join(EXCEPTION_KINDS))
        start, end = read_interval(row.get("from"), row.get("to"), time_zone(zone_name))
        read.append(CurfewException(start, end, kind, str(row.get("reason") or "")))
    return read
