"""JSON trails: whether the entries are GeoJSON or OwnTracks is told by the first of them that is either."""

from __future__ import annotations

from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from engine.errors import InputError
from engine.fixes import Fixes
from ingest.fault import Faults
from ingest.geojson_points import is_geojson
from ingest.geojson_trail import read_geojson
from ingest.json_items import items_of
from ingest.owntracks_json import read_owntracks

_LOOKED_AT = 1000
_EXPECTED = "GeoJSON points, or OwnTracks objects with _type"


def read_json_trail(data: bytes, faults: Faults, stem: str, tz: ZoneInfo | None = None) -> Fixes:
    """The fixes of a JSON file; an empty list has none. InputError where it is JSON of another kind."""
    items = items_of(data, faults.file)
    for item in islice(items, _LOOKED_AT):
        if is_geojson(item.value):
            return read_geojson(items, faults, stem, tz)
        if isinstance(item.value, dict) and "_type" in item.value:
            return read_owntracks(items, faults, stem)
    if items:
        first = next((item for item in items if item.error is None), items[0])
        raise InputError(f"this is JSON, not a trail ({_shape(first.value)})", place=faults.file, expected=_EXPECTED)
    return Fixes.empty()


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return f"its first entry has the keys {', '.join(map(str, list(value)[:8])) or 'of nothing'}"
    return f"its first entry is {repr(value)[:40]}"
