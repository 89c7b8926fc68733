"""Places, circles and ways as geometries of GeoJSON (RFC 7946), cut where they cross the antimeridian."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod

from geofence.antimeridian import moved
from geofence.zone import Circle

SEGMENTS = 64
"""A circle is drawn by so many corners that lie on it: at 100 m its edges are 0.12 m inside."""
_LEAST_M_A_DEGREE = 110_500.0  # a degree of latitude is never shorter
_WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)
_WGS84 = Geod(ellps="WGS84")

Geometry = dict[str, Any]
Position = tuple[float, float]


def point(lon: float, lat: float) -> Geometry:
    """A place, to the grid of 1e-7 degree."""
    return {"type": "Point", "coordinates": (round(lon, 7), round(lat, 7))}


def track(way: Sequence[Position]) -> Geometry | None:
    """A line through (lon, lat), cut where it crosses the antimeridian (RFC 7946, 3.1.9); None where there is no way between
    the places."""
    parts = [[way[0]]]
    for (lon1, lat1), (lon2, lat2) in pairwise(way):
        if abs(lon2 - lon1) > 180.0:
            edge = math.copysign(180.0, lon1)
            share = (edge - lon1) / (lon2 + 2.0 * edge - lon1)
            lat = round(lat1 + share * (lat2 - lat1), 7)
            parts[-1].append((edge, lat))
            parts.append([(-edge, lat)])
        parts[-1].append((lon2, lat2))
    lines = [part for part in parts if len(set(part)) > 1]
    if len(lines) > 1:
        return {"type": "MultiLineString", "coordinates": lines}
    return {"type": "LineString", "coordinates": lines[0]} if lines else None


def discs(circles: Sequence[Circle], segments: int = SEGMENTS) -> list[Geometry | None]:
    """Circles as polygons of so many corners on the geodesic circle, counter-clockwise, cut at the antimeridian; None for one
    that may reach a pole."""
    rings = _rings(circles, segments)
    polar = [abs(c.lat_e7) / 1e7 + c.radius_m / _LEAST_M_A_DEGREE >= 90.0 for c in circles]
    over: list[bool] = np.any(np.abs(rings[:, :, 0]) > 180.0, axis=1).tolist()
    plain = _to_grid(rings)
    return [
        None if polar[k] else _cut(rings[k]) if over[k] else {"type": "Polygon", "coordinates": [_corners(plain[k])]}
        for k in range(len(circles))
    ]


def _rings(circles: Sequence[Circle], segments: int) -> NDArray[np.float64]:
    """Corners (n, segments + 1, 2) from north by west; over the antimeridian longitudes run on."""
    place = np.array([(c.lon_e7, c.lat_e7) for c in circles], np.float64).reshape(-1, 2) / 1e7
    centre_lon, lat = np.repeat(place, segments, axis=0).T
    azimuth = np.tile(np.linspace(0.0, 360.0, segments, endpoint=False), len(circles))
    lon, lat, _ = _WGS84.fwd(centre_lon, lat, azimuth, np.repeat([float(c.radius_m) for c in circles], segments))
    lon += 360.0 * np.rint((centre_lon - lon) / 360.0)
    corners = np.stack([lon, lat], axis=1).reshape(-1, segments, 2)
    closed: NDArray[np.float64] = corners[:, np.append(-np.arange(segments), 0)]
    return closed


def _cut(ring: NDArray[np.float64]) -> Geometry:
    """A ring that crosses the antimeridian as the parts on each side of it."""
    area = shapely.Polygon(ring[::-1])
    sides = [moved(area, turn).intersection(_WORLD) for turn in (-360.0, 0.0, 360.0)]
    parts = [part for side in sides for part in shapely.get_parts(side) if part.area > 0.0]
    whole = shapely.orient_polygons(shapely.MultiPolygon(parts))
    rings = [_to_grid(shapely.get_coordinates(part.exterior)) for part in whole.geoms]
    return {"type": "MultiPolygon", "coordinates": [[_corners(ring)] for ring in rings]}


def _to_grid(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    grid: NDArray[np.float64] = np.rint(degrees * 1e7) / 1e7
    return grid


def _corners(ring: NDArray[np.float64]) -> list[Position]:
    """As tuples: of the lists that `tolist` makes each would stay with the garbage collector."""
    lon, lat = ring.T.tolist()
    return list(zip(lon, lat, strict=True))
