"""Zones: where a wearer must not be (exclusion) or must stay (inclusion), and reading them from GeoJSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from engine.errors import InputError
from engine.kernels import metres_per_e7
from geofence import versions
from geofence.antimeridian import MOST_LON, in_one_piece
from geofence.exceptions import ScheduleException, of_kind, read_exceptions
from geofence.known_keys import refuse_unknown
from geofence.plain_areas import MOST_VERTICES, plain_areas
from geofence.ring import grown
from geofence.schedule import Interval, Schedule, day_start, read_date, read_schedule, read_validity, time_zone, without

KINDS = ("exclusion", "inclusion")
EVERYBODY = ("*",)
GRADES = ("critical", "high", "medium", "low")
MOST_RADIUS_M = 50_000.0
MOST_DEGREES = (360, 180)
"""Of longitude and latitude as written: a ring over the antimeridian may run on beyond 180 degrees."""
FAR_US, ALWAYS = versions.FAR_US, versions.ALWAYS
"""An instant beyond all others; the moments for which a version holds that no other one came before or after."""
EXCEPTION_KINDS = ("authorised", "suspended")
"""Entry or absence authorised, or monitoring suspended: the zone is not in force then."""
PROPERTIES = (
    "id", "name", "kind", "wearers", "radius_m", "buffer_m", "valid_from", "valid_to", "schedule", "timezone", "grade",
    "exceptions", "holds_from", "removed",
)  # fmt: skip
"""What a feature may say of itself here; other properties are other programs' and are passed over."""
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Circle(NamedTuple):
    """A disc in true metres about a WGS84 point."""

    lat_e7: int
    lon_e7: int
    radius_m: float


Place: TypeAlias = Circle | BaseGeometry
"""A disc in metres, or a shapely Polygon or MultiPolygon in degrees; longitudes run on beyond 180 over the antimeridian."""


class Zone(NamedTuple):
    """One zone; `wearers` is EVERYBODY or the ids it is for; `version` is the hash of what was read, which holds for the
    moments of `holds` [us UTC, end excluded]."""

    id: str
    name: str
    kind: str
    wearers: tuple[str, ...]
    place: Place
    version: str
    schedule: Schedule | None = None
    valid_from: str = ""
    valid_to: str = ""
    buffer_m: float = 0.0
    grade: str = ""
    timezone: str = "UTC"
    holds: Interval = ALWAYS
    exceptions: tuple[ScheduleException, ...] = ()

    def concerns(self, wearer: str) -> bool:
        """Whether the zone is for this wearer."""
        return self.wearers == EVERYBODY or wearer in self.wearers

    @property
    def ring(self) -> Place:
        """The zone and the ring of `buffer_m` true metres about it, the place of the early warning."""
        if isinstance(self.place, Circle):
            return self.place._replace(radius_m=self.place.radius_m + self.buffer_m)
        return grown(self.place, self.buffer_m) if self.buffer_m else self.place

    def in_force(self, from_us: int, to_us: int) -> list[Interval]:
        """The intervals of [from_us, to_us] in which the zone is in force, oldest first, exceptions cut out."""
        windows = self.schedule.windows(from_us, to_us) if self.schedule else [(from_us, to_us)]
        first, last = self._validity()
        first, last = max(first, self.holds[0]), min(last, self.holds[1])
        clipped = [(max(a, from_us, first), min(b, to_us, last)) for a, b in windows]
        return without([(a, b) for a, b in clipped if a < b], of_kind(self.exceptions, *EXCEPTION_KINDS))

    def _validity(self) -> Interval:
        if self.schedule:  # its dates are the schedule's own
            return -FAR_US, FAR_US
        zone = time_zone(self.timezone)
        first, last = read_date(self.valid_from, "valid_from"), read_date(self.valid_to, "valid_to")
        return (
            day_start(first, zone) if first else -FAR_US,
            day_start(last + timedelta(days=1), zone) if last and last < date.max else FAR_US,
        )


def version_of(raw: object) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of an object's canonical JSON: names a version of configuration."""
    try:
        return hashlib.sha256(_CANONICAL.encode(raw).encode()).hexdigest()[:12]
    except UnicodeEncodeError:
        raise InputError("a text holds half a surrogate pair", expected="text in UTF-8") from None
    except RecursionError:
        raise InputError("is nested too deeply") from None


def read_zones(raw: Any, *, repair: bool = False) -> list[Zone]:
    """Zones of a GeoJSON FeatureCollection, one a version, the versions of an id oldest first where there are several.

    InputError names feature, field, value and what was expected. Invalid geometry is refused with the reason and the place,
    or mended by shapely where `repair` is asked for.
    """
    if not isinstance(raw, dict) or raw.get("type") != "FeatureCollection" or not isinstance(raw.get("features"), list):
        found = raw.get("type") if isinstance(raw, dict) else type(raw).__name__
        raise InputError(field="type", value=found, expected="a GeoJSON FeatureCollection")
    keys: list[versions.Key] = []
    zones: list[Zone | None] = []
    areas = plain_areas(raw["features"])
    for number, (feature, area) in enumerate(zip(raw["features"], areas, strict=True), 1):
        try:
            key = _read_key(feature)
            zones.append(None if key.removed else _read_zone(feature, area, repair))
        except InputError as fault:
            given = feature.get("properties") if isinstance(feature, dict) else None
            name = given.get("id") if isinstance(given, dict) else None
            raise fault.at(f"feature {number}" + (f" (id {name})" if name else "")) from None
        keys.append(key)
    if pair := versions.repeated(keys):
        raise InputError(
            f"is also the id of feature {pair[1] + 1}", place=f"feature {pair[0] + 1}", field="id", value=keys[pair[0]].id,
            expected="an id that no other zone has, or another holds_from",
        )  # fmt: skip
    held = versions.moments(keys)
    in_order = [(zone, held[row]) for row in versions.in_order(keys) if (zone := zones[row])]
    return [zone if holds == ALWAYS else zone._replace(holds=holds) for zone, holds in in_order]


def _read_key(feature: Any) -> versions.Key:
    if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict):
        value = feature.get("properties") if isinstance(feature, dict) else feature
        raise InputError(field="properties", value=value, expected="a GeoJSON Feature with properties")
    name = feature["properties"].get("id")
    if not isinstance(name, str) or not name.strip():
        raise InputError(field="id", value=name, expected="a text that names the zone")
    return versions.read_key(feature["properties"], name)


def _read_zone(feature: Any, area: BaseGeometry | None, repair: bool) -> Zone:
    given = feature["properties"]
    name = given["id"]
    kind = given.get("kind")
    if kind not in KINDS:
        raise InputError(field="kind", value=kind, expected=" or ".join(KINDS))
    grade = given.get("grade") or ""
    if grade and grade not in GRADES:
        raise InputError(field="grade", value=grade, expected=f"one of {', '.join(GRADES)}")
    dates = {key: given.get(key) for key in ("valid_from", "valid_to")}
    read_validity(**dates)
    schedule = _read_schedule(given["schedule"], dates) if given.get("schedule") is not None else None
    zone_name = "UTC" if given.get("timezone") is None else given["timezone"]
    time_zone(zone_name)
    local = schedule.timezone if schedule else zone_name
    place = area or read_place(feature.get("geometry"), given, repair)
    buffer_m = 0.0 if given.get("buffer_m") is None else _metres(given["buffer_m"], "buffer_m", 0.0)
    if buffer_m:
        _refuse_far_ring(place, buffer_m)
    return Zone(
        name, str(given.get("name") or name), kind, read_wearers(given.get("wearers")),
        place, _version(feature), schedule, str(dates["valid_from"] or ""), str(dates["valid_to"] or ""), buffer_m, grade,
        zone_name, exceptions=read_exceptions(given.get("exceptions"), EXCEPTION_KINDS, local),
    )  # fmt: skip


def _read_schedule(raw: Any, dates: dict[str, Any]) -> Schedule:
    schedule = read_schedule(raw, **dates)
    refuse_unknown(raw, ("timezone", "weekly", "note"), "a schedule")
    return schedule


def _refuse_far_ring(place: Place, buffer_m: float) -> None:
    """A ring is a place too: it may reach over no pole, and not too far over the antimeridian."""
    if isinstance(place, Circle):
        try:
            read_circle(place.lat_e7 / 1e7, place.lon_e7 / 1e7, place.radius_m + buffer_m)
        except InputError as fault:
            message = f"makes a disc of {place.radius_m + buffer_m:g} m" + (
                f" that {fault.message}" if fault.message else ""
            )
            raise InputError(message, field="buffer_m", value=buffer_m, expected="a smaller buffer") from None
        return
    west, south, east, north = place.bounds
    high_deg = max(abs(south), abs(north)) + buffer_m / 110_000.0
    wide_deg = buffer_m / 110_000.0 / math.cos(math.radians(min(high_deg, 89.0)))
    if high_deg >= 89.0 or east - west + 2 * wide_deg > 180.0 or max(-west, east) + wide_deg > MOST_LON:
        raise InputError("reaches too far", field="buffer_m", value=buffer_m, expected="a smaller buffer")


def _version(feature: dict[str, Any]) -> str:
    given = feature["properties"]
    return version_of({**feature, "properties": versions.without_key(given)} if "holds_from" in given else feature)


def read_wearers(raw: object) -> tuple[str, ...]:
    """`"*"` or a list of wearer ids."""
    if raw == "*":
        return EVERYBODY
    if isinstance(raw, list) and raw and all(isinstance(w, str) and w for w in raw):
        return tuple(sorted(set(raw)))
    raise InputError(field="wearers", value=raw, expected='"*" for everybody or a list of wearer ids')


def read_place(geometry: Any, given: dict[str, Any], repair: bool) -> Place:
    """Polygon or MultiPolygon, or Point with `radius_m`, from its GeoJSON geometry."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind == "Point":
        coordinates = geometry.get("coordinates")
        if not isinstance(coordinates, list) or len(coordinates) < 2:
            raise InputError(field="coordinates", value=coordinates, expected="[longitude, latitude]")
        return read_circle(coordinates[1], coordinates[0], given.get("radius_m"))
    if kind not in ("Polygon", "MultiPolygon"):
        raise InputError(field="geometry", value=kind, expected="Polygon, MultiPolygon, or Point with radius_m")
    coordinates = geometry.get("coordinates")
    _refuse_endless(coordinates, kind)
    _refuse_odd_numbers(coordinates)
    try:
        area = shapely.force_2d(shape(geometry))
    except (ValueError, TypeError, AttributeError, IndexError, shapely.errors.ShapelyError) as fault:
        raise InputError(
            f"cannot be read ({fault})", field="coordinates", value=coordinates, expected=f"a GeoJSON {kind}"
        ) from None
    return _valid(area, repair)


def read_circle(lat: object, lon: object, radius_m: object) -> Circle:
    """A disc of true metres; InputError where it reaches over a pole, or so near to one that it is a quarter turn wide."""
    circle = Circle(_degrees(lat, "lat", 90), _degrees(lon, "lon", 180), _metres(radius_m, "radius_m", 1.0))
    _, m_per_e7 = metres_per_e7(float(min(abs(circle.lat_e7) + round(circle.radius_m * 100), 900_000_000)))
    if circle.radius_m >= 340_000_000 * m_per_e7:
        raise InputError("reaches over a pole", field="radius_m", value=radius_m, expected="a disc that ends before it")
    return circle


def _refuse_endless(raw: object, kind: str) -> None:
    """No area of the world needs so many vertices, and a check of each fix against them would keep all others waiting."""
    parts = raw if kind == "MultiPolygon" else [raw]
    rings = (ring for part in (parts if isinstance(parts, list) else ()) if isinstance(part, list) for ring in part)
    n_vertices = sum(len(ring) for ring in rings if isinstance(ring, list))
    if n_vertices > MOST_VERTICES:
        expected = f"at most {MOST_VERTICES:,}"
        raise InputError(f"has {n_vertices:,} vertices", field="geometry", value=kind, expected=expected)


def _refuse_odd_numbers(raw: object, path: str = "coordinates", depth: int = 4) -> None:
    """shapely takes `true` and `"1"` for numbers, and a vertex that is not a number slips through every comparison."""
    if not isinstance(raw, (list, tuple)):
        raise InputError(field=path, value=raw, expected="a list")
    if not depth:
        raise InputError("is a list in too many lists", field=path, expected="a GeoJSON Polygon or MultiPolygon")
    for k, item in enumerate(raw):
        if isinstance(item, bool) or not isinstance(item, (int, float, list, tuple)):
            raise InputError(field=f"{path}[{k}]", value=item, expected="a number or a list")
        if isinstance(item, (list, tuple)):
            _refuse_odd_numbers(item, f"{path}[{k}]", depth - 1)
        elif k < 2 and not -MOST_DEGREES[k] <= item <= MOST_DEGREES[k]:
            raise InputError(field=f"{path}[{k}]", value=item, expected="[longitude, latitude] in degrees")
        elif not abs(item) <= 1e15:  # what stands third says nothing here, but one of 400 digits fits no float
            raise InputError(field=f"{path}[{k}]", value=item, expected="a height in metres")


def _valid(area: BaseGeometry, repair: bool) -> BaseGeometry:
    if area.is_empty:
        raise InputError(field="geometry", value=area.wkt, expected="an area")
    west, south, east, north = area.bounds
    if not (south >= -90 and north <= 90):
        raise InputError(
            "reaches outside the world", field="coordinates", value=[west, south, east, north],
            expected="[longitude, latitude] in degrees",
        )  # fmt: skip
    area = in_one_piece(area)
    if not shapely.is_valid(area):
        if not repair:
            raise InputError(
                f"is not valid: {shapely.is_valid_reason(area)}", field="geometry", value=area.geom_type,
                expected="a valid area (or ask for it to be repaired)",
            )  # fmt: skip
        area = polygons_of(shapely.make_valid(area))
    if area.is_empty or shapely.area(shapely.transform(area, lambda c: np.rint(c * 1e7))) == 0.0:
        raise InputError("is no larger than the grid of 1e-7 degree", field="geometry", value=area.wkt, expected="an area")
    return area


def polygons_of(area: BaseGeometry) -> BaseGeometry:
    """The polygons of a geometry, lines and points that a repair may leave dropped."""
    parts = [part for part in shapely.get_parts(area, return_index=False) if part.geom_type in ("Polygon", "MultiPolygon")]
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def _degrees(raw: object, field: str, most: int) -> int:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not -most <= raw <= most:
        raise InputError(field=field, value=raw, expected=f"degrees from -{most} to {most}")
    return round(raw * 10_000_000)


def _metres(raw: object, field: str, least: float) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not least <= raw <= MOST_RADIUS_M:
        raise InputError(field=field, value=raw, expected=f"metres from {least:g} to {MOST_RADIUS_M:g}")
    return float(raw)


def wearers_unknown(zones: Iterable[Zone], known: set[str]) -> list[tuple[str, str]]:
    """(zone, wearer) pairs in which a zone names a wearer who is not known."""
    return [(z.id, w) for z in zones if z.wearers != EVERYBODY for w in z.wearers if w not in known]
