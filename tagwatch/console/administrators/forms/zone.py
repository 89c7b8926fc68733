"""The form of a zone: a circle, a polygon by its corners, or an area as GeoJSON; when it is in force and for whom."""

from __future__ import annotations

import json
from typing import Any

from engine.errors import InputError
from geofence.zone import EXCEPTION_KINDS, GRADES, KINDS, read_zones
from tagwatch.console.administrators.forms.parts import (
    TIMEZONE,
    Fields,
    exception_rows,
    fill_exceptions,
    fill_texts,
    fill_weekly,
    missing_reasons,
    number,
    read_with,
    weekly_rows,
)  # fmt: skip
from tagwatch.console.administrators.places import point_text, read_corners, read_point
from tagwatch.console.administrators.typed import Faults, Typed, sentence

LABELS = {
    "id": "Identifier", "name": "Name", "kind": "Kind", "wearers": "Wearers", "centre": "Centre", "radius_m": "Radius",
    "corners": "Corners", "geometry": "Area", "buffer_m": "Early warning", "grade": "Grade", "timezone": "Time zone",
    "valid_from": "First day", "valid_to": "Last day", "days": "Days", "start": "From", "end": "To", "from": "From",
    "to": "To", "weekly": "Hours", "lat": "Centre", "lon": "Centre", "coordinates": "Area",
}  # fmt: skip
ID = "id"
SHAPES = ("circle", "polygon", "geojson")
CHOICES = {"kind": KINDS, "grade": GRADES, "exception": EXCEPTION_KINDS}
_AREA = ("shape", "centre", "corners", "geometry")
_TYPED = ("id", "name", "kind", "wearers", "radius_m", "buffer_m", "grade", "timezone", "valid_from", "valid_to", "schedule",
          "exceptions")  # fmt: skip


def read(typed: Typed, base: Any, zones: Any) -> tuple[str, Any]:
    """The identifier and the feature; FormError says what is wrong."""
    faults: Faults = {}
    weekly, rows = weekly_rows(typed)
    exceptions, numbers = exception_rows(typed)
    missing_reasons(typed, faults)
    local = typed.text("timezone") or TIMEZONE
    given: dict[str, Any] = {name: typed.text(name) for name in ("id", "name", "kind", "grade", "valid_from", "valid_to")}
    given["wearers"] = "*" if typed.text("whom") == "everybody" else typed.words("wearers")
    given["buffer_m"] = number(typed, "buffer_m", LABELS["buffer_m"], faults)
    old = (base or {}).get("properties", {})
    if weekly:
        given["schedule"] = {**(old.get("schedule") or {}), "timezone": local, "weekly": weekly}
    if "timezone" in old or not (weekly or local == "UTC"):
        given["timezone"] = local
    if exceptions:
        given["exceptions"] = exceptions
    geometry = _geometry(typed, given, faults)
    if base and all(typed.text(name) == text[0] for name, text in fill(base).items() if name in _AREA):
        geometry = base["geometry"]  # with all its digits, and whatever else it said
    foreign = {name: value for name, value in old.items() if name not in (*_TYPED, "holds_from", "removed")}
    given = {
        name: old[name] if name in old and old[name] == value else value for name, value in given.items()
    }  # 500.0 stays 500.0
    properties = {**foreign, **{name: value for name, value in given.items() if value not in ("", None)}}
    properties.setdefault("id", "")
    feature = {**(base or {}), "type": "Feature", "properties": properties, "geometry": geometry}
    told = {"weekly": rows, "exceptions": numbers}
    read_with(lambda: read_zones({"type": "FeatureCollection", "features": [feature]}), LABELS, told, faults)
    return properties["id"], feature


def _geometry(typed: Typed, given: dict[str, Any], faults: Faults) -> Any:
    shape = typed.text("shape")
    try:
        if shape == "polygon":
            return {"type": "Polygon", "coordinates": [read_corners(typed.lines("corners"), "corners")]}
        if shape == "geojson":
            return _from_geojson(typed.text("geometry"))
        given["radius_m"] = number(typed, "radius_m", LABELS["radius_m"], faults)
        if not typed.text("radius_m"):
            faults["radius_m"] = "Radius is missing: expected metres from 1 to 50000"
        lat, lon = read_point(typed.text("centre"), "centre")
        return {"type": "Point", "coordinates": [lon, lat]}
    except InputError as fault:
        faults[fault.field] = sentence(fault, LABELS)
        return None


def _from_geojson(text: str) -> Any:
    expected = "a GeoJSON Polygon or MultiPolygon, or one Feature with such a geometry"
    try:
        found = json.loads(text)
        found = found.get("geometry", found) if found.get("type") == "Feature" else found
    except (ValueError, AttributeError, RecursionError):
        raise InputError("cannot be read", field="geometry", value=text[:60], expected=expected) from None
    if found.get("type") not in ("Polygon", "MultiPolygon"):
        raise InputError(field="geometry", value=str(found.get("type")), expected=expected)
    return found


def fill(content: Any) -> Fields:
    """The fields of a feature; a polygon without holes by its corners, other areas as GeoJSON."""
    given, geometry = content["properties"], content["geometry"]
    fields = fill_texts(given, "id", "name", "kind", "grade", "buffer_m", "radius_m", "valid_from", "valid_to")
    schedule = given.get("schedule") or {}
    everybody = given.get("wearers") == "*"
    fields["whom"] = ["everybody" if everybody else "some"]
    fields["wearers"] = [] if everybody else ["\n".join(given.get("wearers", []))]
    fields["timezone"] = [schedule.get("timezone") or given.get("timezone") or "UTC"]
    fields |= fill_weekly(schedule.get("weekly", [])) | fill_exceptions(given.get("exceptions"))
    if geometry["type"] == "Point":
        lon, lat = geometry["coordinates"][:2]
        return {**fields, "shape": ["circle"], "centre": [point_text(lat, lon)]}
    if geometry["type"] == "Polygon" and len(geometry["coordinates"]) == 1:
        corners = [point_text(point[1], point[0]) for point in geometry["coordinates"][0][:-1]]
        return {**fields, "shape": ["polygon"], "corners": ["\n".join(corners)]}
    return {**fields, "shape": ["geojson"], "geometry": [json.dumps(geometry)]}
