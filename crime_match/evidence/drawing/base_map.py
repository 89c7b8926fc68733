"""The base map: streets, rails, buildings, water and green from a file that the force provides, drawn faintly under a map."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray

from crime_match.evidence.drawing.plane import Floats, Frame, Plane
from crime_match.evidence.drawing.svg import element, number
from engine.errors import InputError

_LEAST_MM = 0.25
_SIMPLE_MM = 0.06
_MOST_POINTS = 40_000


class BaseMap(NamedTuple):
    """A file that GDAL reads (GeoPackage, GeoJSON) of lines and polygons with a field `kind`, and whom the map credits."""

    path: Path
    attribution: str = ""
    layer: str | None = None


class Look(NamedTuple):
    """How a kind is drawn, and up to which scale [m of ground per mm of paper]."""

    fill: str | None
    stroke: str | None
    width: float
    most_m_per_mm: float = float("inf")


LOOKS = {  # in the order of drawing
    "green": Look("#eef4e6", None, 0.0, 500.0),
    "water": Look("#e3eef6", "#e3eef6", 0.3),
    "building": Look("#ebe8e4", "#d9d5cf", 0.08, 12.0),
    "path": Look(None, "#e2ddd6", 0.15, 8.0),
    "road": Look(None, "#d8d3cb", 0.35, 60.0),
    "main road": Look(None, "#cdc6bb", 0.6),
    "rail": Look(None, "#bdbdbd", 0.25),
}
_MAIN = ("motorway", "trunk", "primary", "secondary")
_ROADS = ("tertiary", "unclassified", "residential", "living_street", "service", "pedestrian", "road")
_PATHS = ("footway", "path", "steps", "cycleway", "track", "bridleway")


def draw_base(base: BaseMap, plane: Plane, frame: Frame) -> list[str]:
    """The features in the frame, faint, one path of each kind; whatever has no known kind is left out."""
    geometries, kinds = _read(base, plane, frame)
    paper = _on_paper(geometries, plane, frame)
    drawn, left = [], _MOST_POINTS
    for kind, look in reversed(LOOKS.items()):  # streets before buildings, where there is too much for the paper
        if frame.m_per_mm > look.most_m_per_mm:
            continue
        shapes = _visible(paper[kinds == kind], frame)
        left -= int(shapely.get_num_coordinates(shapes).sum())
        if left < 0:
            break
        drawn.append(_path(shapes, look, kind))
    return drawn[::-1]


def kind_of(told: str) -> str:
    """The kind under which a feature is drawn; classes of OpenStreetMap's ways are known too. Empty: not drawn."""
    name = told.strip().lower()
    if name in LOOKS:
        return name
    stem = name.removesuffix("_link")
    for kind, names in (("main road", _MAIN), ("road", _ROADS), ("path", _PATHS), ("water", ("river", "stream", "canal"))):
        if stem in names:
            return kind
    return "rail" if stem.startswith("rail_") else ""


def _read(base: BaseMap, plane: Plane, frame: Frame) -> tuple[NDArray[np.object_], NDArray[np.str_]]:
    """Geometries in WGS84 and their kinds, of the features that may lie in the frame."""
    box = _box(plane, frame)
    try:
        found = pyogrio.read_dataframe(base.path, layer=base.layer, columns=["kind"], **_within(base, box))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as fault:
        raise InputError("is no base map", place=base.path.name, expected="a GeoPackage or GeoJSON file") from fault
    if "kind" not in found:
        raise InputError("has no field kind", place=base.path.name, expected="a base map whose features have one")
    if found.crs is not None and found.crs.to_epsg() != 4326:
        found = found.to_crs(4326)
    kinds = np.array([kind_of(str(told)) for told in found["kind"]], np.str_)
    usable = (kinds != "") & ~shapely.is_empty(found.geometry.values) & ~shapely.is_missing(found.geometry.values)
    return np.asarray(found.geometry.values, object)[usable], kinds[usable]


def _within(base: BaseMap, box: tuple[float, float, float, float] | None) -> dict[str, object]:
    """The box in the file's own coordinates; none where the frame has no box in longitude (a pole, the antimeridian)."""
    if box is None:
        return {}
    crs = pyogrio.read_info(base.path, layer=base.layer)["crs"]
    if crs in (None, "EPSG:4326"):
        return {"bbox": box}
    return {"bbox": pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform_bounds(*box)}


def _box(plane: Plane, frame: Frame) -> tuple[float, float, float, float] | None:
    east, north = np.meshgrid(np.linspace(frame.west_m, frame.east_m, 9), np.linspace(frame.south_m, frame.north_m, 9))
    lat, lon = plane.back(east, north)
    if np.abs(lat).max() > 85.0 or np.abs(lon).max() >= 180.0:
        return None
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def _on_paper(geometries: NDArray[np.object_], plane: Plane, frame: Frame) -> NDArray[np.object_]:
    def project(places: Floats) -> Floats:
        return np.array(frame.points(np.column_stack(plane.of(places[:, 1], places[:, 0]))), np.float64).reshape(-1, 2)

    return np.asarray(shapely.transform(geometries, project), object)


def _visible(shapes: NDArray[np.object_], frame: Frame) -> NDArray[np.object_]:
    """Cut at the frame, simplified below what is seen, without what is too small."""
    shapes = shapely.make_valid(shapes)
    shapes = shapely.clip_by_rect(shapes, frame.left - 1.0, frame.top - 1.0, frame.right + 1.0, frame.bottom + 1.0)
    shapes = shapely.simplify(shapes, _SIMPLE_MM)
    bounds = shapely.bounds(shapes)
    size = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    return np.asarray(shapes[np.nan_to_num(size, nan=0.0) >= _LEAST_MM], object)


def _path(shapes: NDArray[np.object_], look: Look, kind: str) -> str:
    areas = look.fill is not None
    data = "".join(_rings(shapely.get_parts(shapes)))
    return element(
        "path", class_=f"base-{kind.replace(' ', '-')}", d=data, fill=look.fill or "none", stroke=look.stroke,
        stroke_width=look.width if look.stroke else None, stroke_linejoin="round", stroke_linecap="round",
        fill_rule="evenodd" if areas else None,
    ) if data else ""  # fmt: skip


def _rings(parts: Iterable[shapely.Geometry]) -> Iterable[str]:
    for part in parts:
        if part.geom_type == "Polygon":
            for ring in (part.exterior, *part.interiors):
                yield _outline(ring) + "Z"
        elif part.geom_type == "LineString":
            yield _outline(part)
        elif hasattr(part, "geoms"):
            yield from _rings(part.geoms)


def _outline(ring: shapely.Geometry) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in shapely.get_coordinates(ring).tolist())
