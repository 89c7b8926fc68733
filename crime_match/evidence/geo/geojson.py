"""The map of a pack as GeoJSON (RFC 7946): one collection, one feature a line, times as ISO 8601 in UTC to the microsecond."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from crime_match.evidence.case import Case
from crime_match.evidence.geo.features import Feature, Layer, layers_of
from crime_match.evidence.tables import CRIME_COLUMNS, FIX_COLUMNS
from crime_match.runs.results_geojson import CLOSING, OPENING, SEPARATOR

_TEXTS = {key: "" for key, kind in (*CRIME_COLUMNS.items(), *FIX_COLUMNS.items()) if kind == "text"}
"""The vicinity has these, empty: GDAL takes a column whose texts all look like times for times, so that a tag named T1001 would
be read as 10:01 and local times would lose their zone."""


def write(case: Case, layers: Sequence[Layer] = ()) -> bytes:
    """The crime, its vicinity, ways, circles and fixes; `kind` says which a feature is.

    Times are exact in the file; GDAL reads them to the millisecond. layers: those of the case, if they are at hand.
    """
    lines = [_line(feature) for layer in layers or layers_of(case) for feature in layer.features]
    return OPENING + SEPARATOR.join(lines) + CLOSING


def _line(feature: Feature) -> bytes:
    texts = _TEXTS if feature.kind == "vicinity" else {}
    properties = {"kind": feature.kind, **texts, **feature.properties}
    return msgspec.json.encode({"type": "Feature", "properties": properties, "geometry": feature.geometry})
