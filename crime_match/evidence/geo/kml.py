"""The map of a pack as KML 2.2 (OGC 07-147r2): a folder a layer, a TimeStamp or TimeSpan on all that has a time."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

from crime_match.evidence.case import Case
from crime_match.evidence.geo.features import Feature, Layer, layers_of
from crime_match.geojson import Geometry

_OPENING = ('<?xml version="1.0" encoding="UTF-8"?>', '<kml xmlns="http://www.opengis.net/kml/2.2">', "<Document>")
_CLOSING = ("</Document>", "</kml>", "")
_TYPES = {"int": "int", "float": "double", "bool": "bool", "text": "string", "time": "string"}
_STYLES = {
    "crime": ("ff0000ff", "00000000"), "vicinity": ("ff0000ff", "1a0000ff"), "track": ("ff8c5a00", "00000000"),
    "placed": ("ff0000ff", "330000ff"), "window": ("ff8c5a00", "268c5a00"), "beside": ("ff808080", "1a808080"),
    "weightless": ("ff00a5ff", "0000a5ff"),
}  # fmt: skip
"""Colours of lines and icons, and of areas, as aabbggrr."""
_TOLD = {
    "crime": ("type", "from_local", "to_local", "verdict", "text"), "vicinity": ("radius_m",),
    "widened vicinity": ("radius_m",), "track": ("from", "to"), "circle": ("radius_m",),
    "fix": ("time_local", "device", "source", "radius_m", "distance_m", "flags"),
}  # fmt: skip
"""What the balloon of a feature says."""
_ELSEWHERE = frozenset({"lat", "lon", "time_local", "origin_file", "origin_sha256", "origin_row", "origin_position"})
"""Columns that are the geometry's, the balloon's or only the table's: in KML each would cost a hundred bytes a fix."""


def write(case: Case, layers: Sequence[Layer] = ()) -> bytes:
    """Times are exact in the file, to the microsecond; GDAL reads them to the millisecond, Google Earth to the second.

    Fixes are placemarks with a TimeStamp and not a gx:Track: each keeps its number and readings, and every reader knows it.
    Where a fix came from is in fixes.csv under its number. What stands in a balloon is escaped twice, since Google Earth takes
    it for HTML. layers: those of the case, if they are at hand.
    """
    layers = layers or layers_of(case)
    crime = layers[0].features[0].properties
    name = _leaf("name", f"{crime['force']} {crime['reference']}: {crime['wearer']}")
    folders = (line for layer in layers for line in _folder(layer))
    return "\n".join([*_OPENING, name, *map(_style, _STYLES), *map(_schema, layers), *folders, *_CLOSING]).encode()


def _leaf(name: str, text: str) -> str:
    """An element that holds text, which is escaped."""
    return f"<{name}>{escape(text)}</{name}>"


def _style(name: str) -> str:
    line, area = _STYLES[name]
    scale = _leaf("scale", "1.1" if name in ("crime", "placed") else "0.6")
    return (
        f'<Style id="style-{name}"><IconStyle>{_leaf("color", line)}{scale}</IconStyle>'
        f"<LabelStyle>{_leaf('scale', '0.8')}</LabelStyle><LineStyle>{_leaf('color', line)}</LineStyle>"
        f"<PolyStyle>{_leaf('color', area)}</PolyStyle><BalloonStyle>{_leaf('text', '$[description]')}</BalloonStyle></Style>"
    )


def _schema(layer: Layer) -> str:
    columns = ((key, kind) for key, kind in layer.columns.items() if key not in _ELSEWHERE)
    fields = "".join(f'<SimpleField type="{_TYPES[kind]}" name="{key}"/>' for key, kind in columns)
    return f'<Schema name="{layer.name}" id="schema-{layer.name}">{fields}</Schema>'


def _folder(layer: Layer) -> Iterator[str]:
    yield f"<Folder>{_leaf('name', layer.name)}"
    yield from (_placemark(layer.name, feature) for feature in layer.features)
    yield "</Folder>"


def _placemark(layer: str, feature: Feature) -> str:
    head = f"{_leaf('name', _name(feature))}{_leaf('description', _description(feature))}{_time(feature)}"
    style = _leaf("styleUrl", f"#style-{_style_of(feature)}")
    place = _geometry(feature.geometry) if feature.geometry else ""
    return f"<Placemark>{head}{style}{_data(layer, feature)}{place}</Placemark>"


def _time(feature: Feature) -> str:
    told = feature.properties
    if "time" in told:
        return f"<TimeStamp>{_leaf('when', told['time'])}</TimeStamp>"
    if "from" in told:
        return f"<TimeSpan>{_leaf('begin', told['from'])}{_leaf('end', told['to'])}</TimeSpan>"
    return ""


def _data(layer: str, feature: Feature) -> str:
    told = ((k, value) for k, value in feature.properties.items() if value not in (None, "") and k not in _ELSEWHERE)
    values = "".join([f'<SimpleData name="{key}">{escape(_plain(value))}</SimpleData>' for key, value in told])
    return f'<ExtendedData><SchemaData schemaUrl="#schema-{layer}">{values}</SchemaData></ExtendedData>'


def _name(feature: Feature) -> str:
    told = feature.properties
    if feature.kind == "fix":
        return f"{told['number']} {told['label']}".strip()
    if feature.kind == "circle":
        return f"circle of {told['number']}"
    if feature.kind == "track":
        return f"{told['first']} to {told['last']}"
    return str(told["reference"]) if feature.kind == "crime" else feature.kind


def _description(feature: Feature) -> str:
    told = feature.properties
    lines = (f"{key}: {_plain(told[key])}" for key in _TOLD[feature.kind] if told[key] not in (None, ""))
    return "<br>".join([html.escape(line).replace("$", "&#36;") for line in lines])  # $[...] would be filled in


def _style_of(feature: Feature) -> str:
    told = feature.properties
    if feature.kind not in ("fix", "circle"):
        return "vicinity" if "vicinity" in feature.kind else feature.kind
    if not told["carries_weight"]:
        return "weightless"
    return "placed" if told["label"] else "window" if told["when"] == "window" else "beside"


def _geometry(geometry: Geometry) -> str:
    kind, coordinates = geometry["type"], geometry["coordinates"]
    if kind.startswith("Multi"):
        parts = (_geometry({"type": kind.removeprefix("Multi"), "coordinates": part}) for part in coordinates)
        return f"<MultiGeometry>{''.join(parts)}</MultiGeometry>"
    if kind == "Polygon":
        [ring] = coordinates
        return f"<Polygon><outerBoundaryIs><LinearRing>{_positions(ring)}</LinearRing></outerBoundaryIs></Polygon>"
    if kind == "LineString":
        return f"<LineString>{_leaf('tessellate', '1')}{_positions(coordinates)}</LineString>"
    return f"<Point>{_positions([coordinates])}</Point>"


def _positions(places: Any) -> str:
    return _leaf("coordinates", " ".join([f"{lon:.7f},{lat:.7f}" for lon, lat in places]))


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
