"""What maps of the console show, as features of GeoJSON (RFC 7946, WGS84): fixes, ways, gaps, zones, circles in true metres.

`role` says what a feature is; static/map.js draws each role in its own shape, so that colour is never the only sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import shapely
from fastapi.responses import Response
from shapely.geometry import mapping

from crime_match.geojson import discs, point, track
from engine.times import to_iso
from geofence.antimeridian import moved
from geofence.places import E7
from geofence.zone import Circle, Place, Zone

Role = Literal["fix", "way", "gap", "zone", "home", "crime", "vicinity", "position", "street"]
"""fix: a measured place; way: from fix to fix; gap: a way nobody saw; zone: of exclusion or inclusion; home: a curfew's place;
crime: a scene; vicinity: about a scene; position: where a wearer was last; street: of the demo."""
Feature = dict[str, Any]
LonLat = tuple[float, float]
"""A place as (lon, lat) in degrees, the order of GeoJSON."""

_WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)
MEDIA_TYPE = "application/geo+json"


def feature(role: Role, geometry: dict[str, Any] | None, **properties: Any) -> Feature:
    """Any feature; properties that are None or empty are left out. Texts: `label` is drawn and short, `title` is a sentence."""
    told = {name: value for name, value in properties.items() if value is not None and value != ""}
    return {"type": "Feature", "geometry": geometry, "properties": {"role": role, **told}}


def point_feature(role: Role, lat: float, lon: float, *, label: str = "", title: str = "", **more: Any) -> Feature:
    """A point [degrees] of any role, such as home, crime or position."""
    return feature(role, point(lon, lat), label=label, title=title, **more)


def fix_feature(
    lat: float, lon: float, time: str | int, accuracy_m: float | None = None, *, label: str = "", title: str = "",
    weight: bool = True, **more: Any,
) -> Feature:  # fmt: skip
    """A fix [degrees]; time is ISO or in us UTC, accuracy_m draws its circle, `weight` false draws it hollow: it did not count.

    More properties: `grade`, `verdict`, `source`, `p`.
    """
    told = to_iso(time) if isinstance(time, int) else time
    hollow = None if weight else False
    return point_feature("fix", lat, lon, label=label, title=title, time=told, accuracy_m=accuracy_m, weight=hollow, **more)


def way_feature(places: Sequence[LonLat], *, label: str = "", title: str = "", **more: Any) -> Feature:
    """The way through (lon, lat) places, a solid line."""
    return feature("way", track(places), label=label, title=title, **more)


def gap_feature(places: Sequence[LonLat], *, label: str = "", title: str = "", **more: Any) -> Feature:
    """Two (lon, lat) places between which nothing was measured, a dotted line; say in the title how long it was."""
    return feature("gap", track(places), label=label, title=title, **more)


def zone_feature(zone: Zone, *, role: Role = "zone", label: str | None = None, title: str = "", **more: Any) -> Feature:
    """A zone as it is stored, labelled by its name; role "home" for a curfew's place."""
    told = title or f"{zone.name or zone.id}: {zone.kind} zone"
    name = zone.name or zone.id if label is None else label
    return feature(role, place_geometry(zone.place), kind=zone.kind, label=name, title=told, **more)


def ring_feature(zone: Zone) -> Feature | None:
    """The ring of early warning about a zone; None for a zone without one."""
    if not zone.buffer_m:
        return None
    title = f"{zone.name or zone.id}: early warning, {zone.buffer_m:g} m about the zone"
    return feature("zone", place_geometry(zone.ring), kind="buffer", title=title)


def circle_feature(
    lat: float, lon: float, radius_m: float, role: Role = "vicinity", *, label: str = "", title: str = "", **more: Any
) -> Feature:
    """A circle in true metres on the ellipsoid, drawn as a polygon on it."""
    geometry = place_geometry(Circle(round(lat * E7), round(lon * E7), radius_m))
    return feature(role, geometry, label=label, title=title, radius_m=radius_m, **more)


def place_geometry(place: Place) -> dict[str, Any] | None:
    """A zone's place as a geometry, cut at the antimeridian; None for a circle that reaches a pole."""
    if isinstance(place, Circle):
        return discs([place])[0]
    west, _, east, _ = place.bounds
    if west < -180.0 or east > 180.0:
        sides = [moved(place, turn).intersection(_WORLD) for turn in (-360.0, 0.0, 360.0)]
        place = shapely.MultiPolygon([part for side in sides for part in shapely.get_parts(side) if part.area > 0.0])
    geometry: dict[str, Any] = mapping(shapely.orient_polygons(place))
    return geometry


def way_features(times_us: Sequence[int], places: Sequence[LonLat], gap_us: int, *, who: str = "") -> list[Feature]:
    """Ways and the gaps between them, from (lon, lat) fixes in the order of time: silence over gap_us [us] is a gap."""
    found: list[Feature] = []
    begin = 0
    for end in range(1, len(places) + 1):
        silent = end < len(places) and times_us[end] - times_us[end - 1] > gap_us
        if not silent and end < len(places):
            continue
        if end - begin > 1:
            found.append(way_feature(places[begin:end], title=f"Way {who}".strip(), time=to_iso(times_us[end - 1])))
        if silent:
            minutes = (times_us[end] - times_us[end - 1]) / 60_000_000
            title = f"No position for {minutes:.0f} min, from {to_iso(times_us[end - 1])} to {to_iso(times_us[end])}"
            found.append(gap_feature(places[end - 1 : end + 1], title=title, time=to_iso(times_us[end])))
        begin = end
    return [each for each in found if each["geometry"] is not None]


def collection(features: Iterable[Feature | None], **more: Any) -> dict[str, Any]:
    """A FeatureCollection of those that have a geometry; None is passed over. Those drawn below come first."""
    kept = [each for each in features if each is not None and each["geometry"] is not None]
    return {"type": "FeatureCollection", "features": kept, **more}


def answer(features: Iterable[Feature | None], **more: Any) -> Response:
    """The same as a response for a map of `map.html`; not stored by the browser."""
    return Response(msgspec.json.encode(collection(features, **more)), media_type=MEDIA_TYPE)
