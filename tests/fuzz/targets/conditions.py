"""Files of conditions and teams: zones, curfews, proximities, teams, by the readers that the commands and the console use."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Hashable
from typing import Any

from alerts.duty_hours import on_duty
from alerts.teams import read_teams
from engine.errors import InputError
from geofence.curfew import read_curfews
from geofence.places import compile_places
from geofence.proximity import read_proximities
from geofence.zone import Circle, read_zones
from ingest.fault import Fault
from tagwatch.configuration import read_json
from tagwatch.configuration_files import faults_of, read
from tests.fuzz.laws import from_stdin
from tests.fuzz.target import Target, is_one_in, require

_FROM_US, _TO_US = 1_795_000_000_000_000, 1_795_900_000_000_000
_WEEKLY = [{"days": ["mon", "tue"], "start": "19:00", "end": "07:00"}, {"days": ["sat"], "start": "00:00", "end": "24:00"}]
_EXCEPTION = {"from": "2026-11-22T18:00", "to": "2026-11-23T09:00+01:00", "kind": "authorised", "reason": "work"}
_SCHEDULE = {"timezone": "Europe/London", "weekly": _WEEKLY}
_RING = [[-0.1, 51.5], [-0.09, 51.5], [-0.09, 51.51], [-0.1, 51.51], [-0.1, 51.5]]
_HOLE = [[-0.098, 51.502], [-0.098, 51.504], [-0.096, 51.504], [-0.098, 51.502]]
_FAR = [[10, 10], [11, 10], [11, 11], [10, 10]]
_ACROSS = [[179.9, 10], [-179.9, 10], [-179.9, 10.1], [179.9, 10.1], [179.9, 10]]


def _zone(geometry: Any, **properties: Any) -> dict[str, Any]:
    told = {"id": "Z1", "name": "Home", "kind": "exclusion", "wearers": ["W1", "W2"], **properties}
    return {"type": "Feature", "geometry": geometry, "properties": told}


def zone_documents() -> list[Any]:
    """Files of zones of every form."""
    area = _zone(
        {"type": "Polygon", "coordinates": [_RING, _HOLE]}, buffer_m=50, schedule=_SCHEDULE, exceptions=[_EXCEPTION]
    )
    parts = _zone(
        {"type": "MultiPolygon", "coordinates": [[_RING], [_FAR]]},
        id="Z2",
        kind="inclusion",
        valid_from="2026-01-01",
        grade="high",
    )
    across = _zone(
        {"type": "Polygon", "coordinates": [_ACROSS]}, id="Z3", wearers="*", timezone="Europe/Paris", valid_to="2027-01-01"
    )
    disc = _zone({"type": "Point", "coordinates": [-0.1, 51.5]}, id="Z4", radius_m=200.5, holds_from="2026-01-01T00:00:00Z")
    gone = {**_zone(None, id="Z4", holds_from="2026-06-01T00:00:00Z", removed=True), "geometry": None}
    bow = _zone({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}, id="Z5")
    return [
        {"type": "FeatureCollection", "features": each}
        for each in ([area], [parts, across], [disc, gone], [area, bow], [across])
    ]


_CURFEW = {
    "id": "C1", "wearer": "W1", "place": [{"lat": 51.5, "lon": -0.1, "radius_m": 100}], "timezone": "Europe/London", "weekly": _WEEKLY,
    "valid_from": "2026-01-01", "valid_to": "2026-12-31", "grace_minutes": 5, "unverified_minutes": 20,
    "exceptions": [_EXCEPTION, {**_EXCEPTION, "kind": "extra"}],
}  # fmt: skip
_CURFEWS = [[_CURFEW], [{**_CURFEW, "place": {"zone": "Z1"}}, {**_CURFEW, "holds_from": "2026-06-01T00:00:00Z"}]]
_PROXIMITY = {
    "id": "P1", "name": "apart", "wearer": "W1", "protected": "V1", "radius_m": 500, "stale_minutes": 10, "schedule": _SCHEDULE,
    "valid_from": "2026-01-01", "exceptions": [_EXCEPTION], "grade": "critical",
}  # fmt: skip
_TEAM = {"id": "A", "timezone": "Europe/London", "members": [{"name": "Sam", "role": "police_manager", "channels": ["mailto:sam@example.org", "mqtt:teams/a"],
         "grades": ["critical"], "hours": "Mo-Fr 08:00-18:00; Sa 09:00-12:00"}]}  # fmt: skip
KNOWN = read_zones(zone_documents()[0])


def _of(documents: list[Any]) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


def _read(kind: str, data: bytes) -> Any:
    """By the readers of `tagwatch ... import` and `... check`, which must agree whether a file is right."""
    faults = _checked(kind, data) if is_one_in(8, data) else None
    try:
        raw = from_stdin(lambda path: read(kind, path, KNOWN, False), data)
    except InputError:
        require(faults is None or bool(faults), "refused by the import and right for the check")
        raise
    require(not faults, "taken by the import and wrong for the check")
    return raw


def _checked(kind: str, data: bytes) -> list[Fault]:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(data)
        file.flush()
        return faults_of(kind, file.name, KNOWN, repair=False)


def _zones(data: bytes) -> Hashable:
    found = read_zones(_read("zones", data))
    for zone in found:
        compile_places([[zone.place]])
        zone.in_force(_FROM_US, _TO_US)
        require(zone.id.strip() != "" and len(zone.version) == 12, "a zone without an id")
        require(not isinstance(zone.place, Circle) or 1 <= zone.place.radius_m <= 50_000, "a disc out of bounds")
    require(found == read_zones(from_stdin(read_json, data)), "read twice, and something else came")
    return len(found), tuple({type(zone.place).__name__ for zone in found}), any(zone.schedule for zone in found)


def _repaired(data: bytes) -> Hashable:
    found = read_zones(from_stdin(read_json, data), repair=True)
    for zone in found:
        compile_places([[zone.ring]])
    return len(found)


def _curfews(data: bytes) -> Hashable:
    found = read_curfews(_read("curfews", data), KNOWN)
    for curfew in found:
        windows = curfew.windows(_FROM_US, _TO_US)
        require(all(start < end for start, end in windows), "a window that ends before it begins")
        require(curfew.grace_us >= 0 and bool(curfew.places), "a curfew without a place")
    return len(found), sum(len(curfew.exceptions) for curfew in found) > 0


def _proximities(data: bytes) -> Hashable:
    found = read_proximities(_read("proximities", data))
    for one in found:
        one.in_force(_FROM_US, _TO_US)
        require(1 <= one.radius_m <= 50_000 and one.wearer != one.protected, "a proximity out of bounds")
    return len(found)


def _teams(data: bytes) -> Hashable:
    found = read_teams(_read("teams", data))
    for team in found:
        for member in team.members:
            on_duty(member.hours, _FROM_US)
            require(
                all("\n" not in channel and "\r" not in channel for channel in member.channels), "a channel of two lines"
            )
    return len(found)


_KEYS = tuple(
    f'"{key}":'.encode()
    for key in {*_CURFEW, *_PROXIMITY, *_TEAM, *_EXCEPTION, "holds_from", "removed", "buffer_m", "coordinates"}
)

TARGETS = (
    Target("zones", _zones, lambda: _of(zone_documents()), ("json",), _KEYS),
    Target("zones_repaired", _repaired, lambda: _of(zone_documents()), ("json",), _KEYS, share=0.5),
    Target("curfews", _curfews, lambda: _of(_CURFEWS), ("json",), _KEYS),
    Target("proximities", _proximities, lambda: _of([[_PROXIMITY]]), ("json",), _KEYS),
    Target("teams", _teams, lambda: _of([[_TEAM]]), ("json",), _KEYS),
)
