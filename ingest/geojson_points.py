"""GeoJSON cut into points: features of collections, the points of lines with their times, and no areas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from engine.errors import InputError
from ingest.json_items import Item

TYPES = ("FeatureCollection", "Feature", "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
         "GeometryCollection")  # fmt: skip
NAMES: dict[str, tuple[str, ...]] = {
    "device": ("device", "device_id", "deviceid"),
    "time": ("time", "timestamp", "datetime", "recorded_at"),
    "accuracy_m": ("accuracy_m", "accuracy", "horizontal_accuracy"),
    "altitude_m": ("altitude_m", "altitude", "elevation", "ele"),
}
"""Properties read besides the canonical ones, in this order, where all who write them mean the same unit. Not `speed`
(metres a second, km/h or knots) and not `battery_level` (percent or share)."""
_TRAIL = "Point features with device and time, or LineString features with coordTimes"


class Point(NamedTuple):
    """One point as written: its coordinates and the properties that hold for it."""

    coordinates: Any
    properties: dict[str, Any]


def is_geojson(value: Any) -> bool:
    """Whether a decoded JSON value says that it is GeoJSON."""
    return isinstance(value, dict) and value.get("type") in TYPES


def features_of(items: Iterable[Item], file: str) -> Iterator[Item]:
    """All features with their line, those of collections one by one."""
    for item in items:
        whole = item.value
        if not isinstance(whole, dict) or whole.get("type") != "FeatureCollection":
            yield item
            continue
        _check_reference(whole, file)
        features = whole.get("features")
        if not isinstance(features, list):
            raise InputError("a FeatureCollection without a list of features", place=file, expected=_TRAIL)
        for feature in features:
            yield item._replace(value=feature)


def _check_reference(collection: dict[str, Any], file: str) -> None:
    """RFC 7946 knows WGS84 only; the drafts before it could name another reference system."""
    told = collection.get("crs")
    named = told.get("properties") if isinstance(told, dict) else None
    name = named.get("name", told) if isinstance(named, dict) else told
    if told and not any(known in str(name) for known in ("CRS84", "4326")):
        raise InputError(place=file, field="crs", value=name, expected="WGS84 (CRS84 or EPSG:4326)")


def refuse_zone(feature: Any, number: int, file: str) -> None:
    """InputError where a feature is an area, or a circle (a Point with `radius_m` and no time): such a file is of zones."""
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    properties = _properties(feature)
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    circle = kind == "Point" and "radius_m" in properties and property_of(properties, "time")[1] is None
    if circle or kind in ("Polygon", "MultiPolygon"):
        what = "a circle" if circle else f"a {kind}"
        raise InputError(f"feature {number} is {what}: this is a file of zones, not a trail", place=file, expected=_TRAIL)


def points_of(feature: Any) -> list[Point]:
    """The points of one feature; InputError where it has none that could have a time."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        value = feature.get("type") if isinstance(feature, dict) else feature
        message = "a geometry alone has no time" if is_geojson(feature) else ""
        raise InputError(message, field="type", value=value, expected="Feature")
    geometry, properties = feature.get("geometry"), _properties(feature)
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    coordinates = geometry.get("coordinates") if isinstance(geometry, dict) else None
    if kind == "Point":
        return [Point(coordinates, properties)]
    if kind == "LineString":
        return _points_of_line(coordinates, _line_times(properties), properties)
    if kind == "MultiLineString":
        parts, times = _list(coordinates, "coordinates"), _list(_line_times(properties), "coordTimes")
        if len(parts) != len(times):
            raise InputError(field="coordTimes", value=len(times), expected=f"a list for each of {len(parts)} lines")
        return [p for part, told in zip(parts, times, strict=True) for p in _points_of_line(part, told, properties)]
    raise InputError(field="geometry", value=kind, expected="Point, LineString or MultiLineString")


def property_of(properties: dict[str, Any], field: str) -> tuple[str, Any]:
    """The first name under which a field has a value, and that value; else its first name and None."""
    names = NAMES.get(field, (field,))
    for name in names:
        if properties.get(name) is not None:
            return name, properties[name]
    return names[0], None


def _properties(feature: Any) -> dict[str, Any]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    return properties if isinstance(properties, dict) else {}


def _line_times(properties: dict[str, Any]) -> Any:
    """Times of a line's points: `coordTimes`, or `times` in `coordinateProperties`, as toGeoJSON writes them."""
    inner = properties.get("coordinateProperties")
    return properties.get("coordTimes", inner.get("times") if isinstance(inner, dict) else None)


def _points_of_line(coordinates: Any, times: Any, properties: dict[str, Any]) -> list[Point]:
    positions, told = _list(coordinates, "coordinates"), _list(times, "coordTimes")
    if len(positions) != len(told):
        raise InputError(field="coordTimes", value=len(told), expected=f"a time for each of {len(positions)} points")
    device = property_of(properties, "device")[1]
    device = properties.get("name") if device is None else device
    return [Point(at, {"device": device, "time": time}) for at, time in zip(positions, told, strict=True)]


def _list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(field=field, value=value, expected="a list")
    return value
