"""The early-warning ring: an area made larger by true metres."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

_STEP_M = 1_000.0
"""The longest edge that is projected by its ends: one that is straight in degrees bends by L^2 tan(lat) / 8R between them,
0.02 m at most (an edge along a parallel is the shorter for it, the nearer to a pole)."""
_QUARTER_SEGMENTS = 16


def grown(area: BaseGeometry, by_m: float) -> BaseGeometry:
    """The area and all that lies within by_m metres of it; longitudes run on beyond 180 as those of the area do.

    It is buffered in the azimuthal equidistant plane about its middle on WGS84 (Snyder, Map projections: a working manual,
    USGS 1395, pages 191-202). Away from the middle by d that plane is too wide across by a share of d^2 / 6R^2, 4e-5 at 100 km;
    corners are rounded by 64 edges a turn, hollows simplified by GEOS: all in all the edge is within 1 % of by_m of where it
    should be for areas up to 1,000 km across, and the area itself is covered.
    """
    west, south, east, north = area.bounds
    middle = (west + east) / 2.0
    plane = pyproj.Proj(proj="aeqd", lat_0=(south + north) / 2.0, lon_0=0.0, ellps="WGS84")

    def to_plane(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        return _pairs(plane(degrees[:, 0] - middle, degrees[:, 1]))

    def to_degrees(metres: NDArray[np.float64]) -> NDArray[np.float64]:
        degrees = _pairs(plane(metres[:, 0], metres[:, 1], inverse=True))
        degrees[:, 0] += middle
        return degrees

    fine = shapely.segmentize(area, _STEP_M / 111_320.0)
    outline = shapely.transform(fine, to_plane).buffer(by_m, quad_segs=_QUARTER_SEGMENTS)
    ring: BaseGeometry = shapely.transform(shapely.segmentize(outline, _STEP_M), to_degrees)
    return shapely.union(ring, area)


def _pairs(columns: Any) -> NDArray[np.float64]:
    return np.column_stack([np.asarray(column, np.float64) for column in columns])
