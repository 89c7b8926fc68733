"""GeoJSON trails: Point features with a time each, or lines with `coordTimes`, as converters of GPX write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from engine.errors import InputError
from engine.fixes import OPTIONAL, POSITION, Fixes
from engine.times import parse_time
from ingest.fault import Faults
from ingest.fix_checks import KEYS, check_device, expected, source_code
from ingest.gathered import Gathered, Place
from ingest.geojson_points import NAMES, Point, features_of, points_of, property_of, refuse_zone
from ingest.json_items import Item

_EXPECTED = {column.key: expected(column) for column in (*POSITION, *OPTIONAL)}


def read_geojson(items: Iterable[Item], faults: Faults, stem: str, tz: ZoneInfo | None = None) -> Fixes:
    """The points, in order; the device is `device` of the properties, a line's also its `name`, else the file.

    A feature that cannot be part of a trail is a fault; InputError where the file holds areas or circles: it is of zones.
    """
    gathered = Gathered(faults, KEYS, _as_written)
    row = 0
    for number, item in enumerate(features_of(items, faults.file), start=1):
        refuse_zone(item.value, number, faults.file)
        try:
            points = _points(item)
        except InputError as error:
            row += 1
            code = "bad_feature" if item.error is None else "bad_json"
            gathered.refuse(Place(row, item.line, _where(row, number)), error, code)
            continue
        for point in points:
            row += 1
            _add(point, gathered, Place(row, item.line, _where(row, number)), stem, tz)
    return gathered.fixes()


def _points(item: Item) -> list[Point]:
    if item.error is not None:
        raise item.error
    return points_of(item.value)


def _where(row: int, number: int) -> str:
    return "" if row == number else f"feature {number}"


def _add(point: Point, gathered: Gathered, place: Place, stem: str, tz: ZoneInfo | None) -> None:
    """The point into `gathered`, or one fault for each of its fields that cannot be read."""
    wrong: list[InputError] = []

    def read(field: str, parse: Any) -> Any:
        name, value = property_of(point.properties, field)
        try:
            return None if value is None else parse(value, name)
        except InputError as error:
            wrong.append(error)
            return None

    device = read("device", _device_of)
    time_us = read("time", lambda value, name: parse_time(value, tz, name))
    received_us = read("received", lambda value, name: parse_time(value, tz, name))
    source = read("source", _source_of)
    values: dict[str, float | None] = {
        key: read(key, _number_of(key)) for key in gathered.keys if key not in ("lat", "lon")
    }
    try:
        values["lon"], values["lat"], height = _position(point.coordinates)
        values["altitude_m"] = height if values["altitude_m"] is None else values["altitude_m"]
    except InputError as error:
        wrong.append(error)
    if time_us is None and property_of(point.properties, "time")[1] is None:
        wrong.append(InputError("required", field="time", expected="a time for every point"))
    for told in wrong:
        gathered.refuse(place, told, "bad_time" if told.field in (*NAMES["time"], "received") else "bad_value")
    if not wrong:
        gathered.add(place, device or stem, time_us, values, source or 0, received_us, point)


def _device_of(value: Any, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(field=name, value=value, expected="a device name")
    return check_device(str(value))


def _source_of(value: Any, name: str) -> int:
    return source_code(value if isinstance(value, str) else repr(value))


def _number_of(key: str) -> Any:
    def parse(value: Any, name: str) -> float:
        return _number(value, name, _EXPECTED[key])

    return parse


def _position(coordinates: Any) -> tuple[float, float, float | None]:
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        raise InputError(field="coordinates", value=coordinates, expected="[longitude, latitude] in degrees")
    lon, lat = (_number(value, key, _EXPECTED[key]) for value, key in zip(coordinates, ("lon", "lat"), strict=False))
    height = coordinates[2] if len(coordinates) > 2 else None
    return lon, lat, None if height is None else _number(height, "altitude_m", _EXPECTED["altitude_m"])


def _number(value: Any, name: str, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError("not a number", field=name, value=value, expected=wanted)
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _as_written(point: Point, field: str) -> tuple[str, object]:
    name, value = property_of(point.properties, field)
    if field in ("lat", "lon"):
        name, value = field, point.coordinates[field == "lat"]
    elif value is None and field == "altitude_m":
        value = point.coordinates[2]
    return name, value
