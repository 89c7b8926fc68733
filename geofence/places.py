"""Places in flat columns for the kernels: discs and polygons snapped to 1e-7 degrees, with boxes, areas and widths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from engine.kernels import metres_per_e7
from geofence.antimeridian import moved
from geofence.edge_runs import edge_runs
from geofence.zone import Circle, Place

_WGS84 = Geod(ellps="WGS84")
E7 = 10_000_000
_RAD_PER_E7 = math.pi / 180.0 / E7


class Places(NamedTuple):
    """Flat columns of all places; the order of fields is the order of the kernels' last arguments.

    box (n, 4) west south east north [1e-7 degree], where longitudes run on over the antimeridian; size (n, 4) area [m2], width
    of the widest part, 4 area / perimeter [m], metres per 1e-7 degree of longitude and latitude; parts (n + 1,) cuts the
    parts; disc (n_parts, 3) lon, lat [1e-7 degree], radius [m], 0 for polygons;
    xs, ys (n_vertices,) int32 lon and lat; rings cuts vertices, polygons (n_parts + 1,) cuts rings. run_boxes and runs are
    those of `EdgeRuns` for all rings; trees (n_parts + 1,) cuts them.
    """

    box: NDArray[np.float64]
    size: NDArray[np.float64]
    parts: NDArray[np.int64]
    disc: NDArray[np.float64]
    xs: NDArray[np.int32]
    ys: NDArray[np.int32]
    rings: NDArray[np.int64]
    polygons: NDArray[np.int64]
    run_boxes: NDArray[np.int32]
    runs: NDArray[np.int64]
    trees: NDArray[np.int64]

    @property
    def shapes(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32], NDArray[np.int32],
                              NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
        """The columns that say where a place is: parts, disc, xs, ys, rings, polygons."""
        return self.parts, self.disc, self.xs, self.ys, self.rings, self.polygons


_Rings: TypeAlias = list[NDArray[np.float64]]
"""The rings of a polygon [degrees], each (n, 2) and closed: the shell counter-clockwise, holes clockwise."""


def compile_places(places: Sequence[Sequence[Place]]) -> Places:
    """Flat columns of places, each a union of discs and polygons; those that overlap are joined, so parts are disjoint."""
    box, size, parts, disc, polygons = [], [], [0], [], [0]
    rings: list[int] = [0]
    vertices: _Rings = [np.empty((0, 2))]
    for place, plain in zip(places, _plain_rings(places), strict=True):
        shapes = [plain] if plain else [s if isinstance(s, Circle) else _rings(s) for s in _disjoint(place)]
        box.append(_box(shapes))
        size.append(_size(shapes, box[-1]))
        for shape in shapes:
            if isinstance(shape, Circle):
                disc.append((shape.lon_e7, shape.lat_e7, shape.radius_m))
            else:
                disc.append((0, 0, 0.0))
                vertices += shape
                for ring in shape:
                    rings.append(rings[-1] + len(ring))
            polygons.append(len(rings) - 1)
        parts.append(len(disc))
    snapped = np.rint(np.concatenate(vertices) * E7).astype(np.int32)
    columns = snapped[:, 0].copy(), snapped[:, 1].copy(), np.array(rings, np.int64)
    run_boxes, runs, trees = edge_runs(*columns)
    return Places(
        np.array(box, np.float64).reshape(-1, 4), np.array(size, np.float64).reshape(-1, 4), np.array(parts, np.int64),
        np.array(disc, np.float64).reshape(-1, 3), *columns,
        np.array(polygons, np.int64), run_boxes, runs, trees[polygons],
    )  # fmt: skip


def outline(circle: Circle, n: int = 128) -> BaseGeometry:
    """A disc as a polygon in degrees, its corners on the geodesic circle."""
    azimuth = np.linspace(0.0, 360.0, n, endpoint=False)
    lon, lat = np.full(n, circle.lon_e7 / E7), np.full(n, circle.lat_e7 / E7)
    lon, lat, _ = _WGS84.fwd(lon, lat, azimuth, np.full(n, circle.radius_m))
    lon += 360.0 * np.rint((circle.lon_e7 / E7 - lon) / 360.0)  # over the antimeridian they run on
    return shapely.Polygon(np.column_stack([lon, lat]))


def _disjoint(place: Sequence[Place]) -> list[Place]:
    if len(place) == 1:  # the parts of one valid area do not overlap
        return [place[0]] if isinstance(place[0], Circle) else list(shapely.get_parts(place[0]))
    areas = [outline(p, 512) if isinstance(p, Circle) else p for p in place]
    areas = [moved(area, 360.0 * round((_middle(areas[0]) - _middle(area)) / 360.0)) for area in areas]
    overlap = any(areas[i].intersects(areas[k]) for i in range(len(areas)) for k in range(i))
    if overlap:
        parts = shapely.get_parts(shapely.union_all(areas))
        return [moved(part, -360.0 * round(_middle(part) / 360.0)) for part in parts]
    flat: list[Place] = []
    for p in place:
        flat += [p] if isinstance(p, Circle) else list(shapely.get_parts(p))
    return flat


def _middle(area: BaseGeometry) -> float:
    west, _, east, _ = area.bounds
    return float(west + east) / 2.0


def _plain_rings(places: Sequence[Sequence[Place]]) -> list[_Rings | None]:
    """The rings of the places that are one polygon, found all at once; None for the others."""
    found: list[_Rings | None] = [None] * len(places)
    rows = [k for k, place in enumerate(places) if len(place) == 1 and getattr(place[0], "geom_type", "") == "Polygon"]
    if rows:
        oriented = shapely.orient_polygons(np.array([places[k][0] for k in rows], object))
        _, points, (cuts, polygons) = shapely.to_ragged_array(oriented, include_z=False)
        for k, first, last in zip(rows, polygons[:-1].tolist(), polygons[1:].tolist(), strict=True):
            found[k] = [points[cuts[r] : cuts[r + 1]] for r in range(first, last)]
    return found


def _rings(polygon: BaseGeometry) -> _Rings:
    oriented = shapely.orient_polygons(polygon)
    return [shapely.get_coordinates(r) for r in (oriented.exterior, *oriented.interiors)]


def _box(shapes: Sequence[Circle | _Rings]) -> tuple[float, float, float, float]:
    bounds = []
    for shape in shapes:
        if isinstance(shape, Circle):
            ky, kx = metres_per_e7(float(shape.lat_e7))
            north = shape.radius_m / ky * 1.001
            east = math.asin(min(1.0, shape.radius_m / kx * _RAD_PER_E7)) / _RAD_PER_E7 * 1.01  # widest nearer to the pole
            bounds.append((shape.lon_e7 - east, shape.lat_e7 - north, shape.lon_e7 + east, shape.lat_e7 + north))
        else:
            (west, south), (east, north) = (shape[0].min(axis=0) * E7).tolist(), (shape[0].max(axis=0) * E7).tolist()
            bounds.append((west - 1, south - 1, east + 1, north + 1))
    if len(bounds) == 1:
        return bounds[0]
    columns = np.array(bounds)
    return (*columns[:, :2].min(axis=0), *columns[:, 2:].max(axis=0))


def _size(shapes: Sequence[Circle | _Rings], box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    area = width = 0.0
    for shape in shapes:
        if isinstance(shape, Circle):
            one_area, perimeter = math.pi * shape.radius_m**2, 2 * math.pi * shape.radius_m
        else:
            one_area, perimeter = _WGS84.polygon_area_perimeter(shape[0][:, 0], shape[0][:, 1])
            for hole in shape[1:]:  # they run the other way: their areas are negative
                one_area += _WGS84.polygon_area_perimeter(hole[:, 0], hole[:, 1])[0]
        area += abs(one_area)
        width = max(width, 4.0 * abs(one_area) / perimeter if perimeter else 0.0)
    # Half a degree towards the pole: the box distance that uses it is then never too large for a fix within 50 km.
    ky, kx = metres_per_e7(min(89.0 * E7, max(abs(box[1]), abs(box[3])) + 0.5 * E7))
    return area, width, kx, min(ky, metres_per_e7(0.0)[0])
