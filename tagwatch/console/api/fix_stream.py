"""A wearer's fixes as they are sent: read from the store a day at a time, so that no trail is ever whole in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal

import msgspec
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from crime_match.geojson import point
from engine.times import DAY_US
from tagwatch.console.api.answers import CACHE
from tagwatch.console.api.call import is_head
from tagwatch.console.managers.trail_reading import read_trail
from tagwatch.console.managers.trail_window import Window
from tagwatch.console.managers.trail_words import fix_rows
from tagwatch.console.office import Office
from tagwatch.monitor import Conditions

PORTION_US, AT_ONCE = DAY_US, 500
Form = Literal["ndjson", "geojson"]
NDJSON, GEOJSON = "application/x-ndjson", "application/geo+json"
_NUMBER: dict[str, Any] = {"type": ["number", "null"]}
_FIX = {
    "type": "object",
    "description": "`radius_m`: the circle used, also where `accuracy_m` is null; `weight`: whether it may decide anything",
    "required": ["time", "lat", "lon", "accuracy_m", "radius_m", "source", "device", "flags", "weight", "received"],
    "properties": {
        "time": {"type": "string", "format": "date-time"}, "lat": {"type": "number"}, "lon": {"type": "number"},
        "accuracy_m": _NUMBER, "radius_m": {"type": "number"}, "source": {"type": "string"}, "speed_mps": _NUMBER,
        "course_deg": _NUMBER, "altitude_m": _NUMBER, "hdop": _NUMBER, "satellites": _NUMBER, "battery_pct": _NUMBER,
        "device": {"type": "string"}, "flags": {"type": "array", "items": {"type": "string"}}, "weight": {"type": "boolean"},
        "received": {"type": "string", "format": "date-time"},
    },
}  # fmt: skip
FIXES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Fixes: lines of JSON, or points of GeoJSON", "content": {
        NDJSON: {"schema": {"type": "string"}, "x-item-schema": _FIX},
        GEOJSON: {"schema": {"type": "object", "required": ["type", "features"]}},
    }}
}  # fmt: skip
"""The answer, for the contract."""


def fix_answer(
    request: Request, office: Office, conditions: Conditions, wearer: str, from_us: int, to_us: int, form: Form
) -> Response:
    """The fixes in [from_us, to_us]; whether these may be seen is asked before."""
    media_type = NDJSON if form == "ndjson" else GEOJSON
    headers = {"cache-control": CACHE}
    if is_head(request):
        return Response(media_type=media_type, headers=headers)
    rows = read_rows(office, conditions, wearer, from_us, to_us)
    return StreamingResponse((as_lines if form == "ndjson" else as_points)(rows), media_type=media_type, headers=headers)


def read_rows(office: Office, conditions: Conditions, wearer: str, from_us: int, to_us: int) -> Iterator[dict[str, Any]]:
    """The fixes as rows, in the order of time. A connection is held for the reading of a portion, not for the sending."""
    for start_us in range(from_us, to_us + 1, PORTION_US):
        window = Window(start_us, min(start_us + PORTION_US - 1, to_us), "UTC")
        with office.database.reading() as connection:
            trail = read_trail(connection, conditions, wearer, window)
        for row in fix_rows(trail, range(len(trail)), "UTC"):
            del row["local_time"]
            yield row


def as_lines(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Lines of JSON, some at a time."""
    each = iter(rows)
    while some := list(islice(each, AT_ONCE)):
        yield b"".join(msgspec.json.encode(row) + b"\n" for row in some)


def as_points(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """A FeatureCollection of points, some at a time."""
    yield b'{"type":"FeatureCollection","features":['
    each, before = iter(rows), b""
    while some := list(islice(each, AT_ONCE)):
        yield before + b",".join(msgspec.json.encode(_point(row)) for row in some)
        before = b","
    yield b"]}"


def _point(row: dict[str, Any]) -> dict[str, Any]:
    place = point(row.pop("lon"), row.pop("lat"))
    return {"type": "Feature", "geometry": place, "properties": row}
