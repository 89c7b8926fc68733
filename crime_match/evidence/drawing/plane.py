"""The plane of a map: metres east and north of the place, and the frame of paper on it.

The projection is the azimuthal equidistant one about the place on WGS84 (Snyder, Map Projections: A Working Manual,
1987, p. 191): distances from the place and directions at it are true, so the vicinity is a circle and the distance to a fix
a ruler's. It has no seam at the antimeridian and none at a pole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Geod

_WGS84 = Geod(ellps="WGS84")
Floats = NDArray[np.float64]
Point = tuple[float, float]


class Plane(NamedTuple):
    """The plane that touches the ground at a place [degrees, WGS84]."""

    lat: float
    lon: float

    def of(self, lat: ArrayLike, lon: ArrayLike) -> tuple[Floats, Floats]:
        """Metres east and north of the place; arrays (n,) of degrees to arrays (n,)."""
        lats, lons = np.asarray(lat, np.float64).ravel(), np.asarray(lon, np.float64).ravel()
        azimuth, _, apart_m = _WGS84.inv(np.full(lats.size, self.lon), np.full(lats.size, self.lat), lons, lats)
        angle = np.radians(azimuth)
        return apart_m * np.sin(angle), apart_m * np.cos(angle)

    def back(self, east_m: ArrayLike, north_m: ArrayLike) -> tuple[Floats, Floats]:
        """Latitude and longitude [degrees] of places on the plane (n,); longitudes count on from the place's, past 180 too."""
        east, north = np.asarray(east_m, np.float64).ravel(), np.asarray(north_m, np.float64).ravel()
        azimuth, apart_m = np.degrees(np.arctan2(east, north)), np.hypot(east, north)
        lon, lat, _ = _WGS84.fwd(np.full(east.size, self.lon), np.full(east.size, self.lat), azimuth, apart_m)
        return np.asarray(lat), self.lon + (np.asarray(lon) - self.lon + 180.0) % 360.0 - 180.0


class Frame(NamedTuple):
    """A rectangle of paper [mm, y downwards] that shows a rectangle of the plane [m]; the scale is m_per_mm."""

    left: float
    top: float
    width: float
    height: float
    west_m: float
    north_m: float
    m_per_mm: float

    def at(self, east_m: float, north_m: float) -> Point:
        """Where a place of the plane lies on the paper [mm]."""
        return self.left + (east_m - self.west_m) / self.m_per_mm, self.top + (self.north_m - north_m) / self.m_per_mm

    def points(self, ground_m: Floats) -> list[Point]:
        """The same for many places (n, 2), as pairs."""
        x = self.left + (ground_m[:, 0] - self.west_m) / self.m_per_mm
        y = self.top + (self.north_m - ground_m[:, 1]) / self.m_per_mm
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def holds(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Whether a point of the paper lies in the frame, that far from its edge."""
        return self.left + margin <= x <= self.right - margin and self.top + margin <= y <= self.bottom - margin

    @property
    def right(self) -> float:
        """Right edge [mm]."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge [mm]."""
        return self.top + self.height

    @property
    def east_m(self) -> float:
        """Eastern edge [m]."""
        return self.west_m + self.width * self.m_per_mm

    @property
    def south_m(self) -> float:
        """Southern edge [m]."""
        return self.north_m - self.height * self.m_per_mm


def frame_about(
    places: Iterable[Point], left: float, top: float, width: float, heights: tuple[float, float], least_m: float
) -> Frame:  # fmt: skip
    """The frame of this width that holds all places (east, north) [m] with a margin, as high as they need within limits, and
    at least `least_m` wide on the ground."""
    east, north = np.array(list(places), np.float64).T
    wide_m, high_m = 1.16 * float(np.ptp(east)), 1.16 * float(np.ptp(north))
    m_per_mm = rounded_up(max(wide_m / width, high_m / heights[1], least_m / width))
    height = min(max(heights[0], math.ceil(high_m / m_per_mm)), heights[1])
    middle_m = (float(east.max() + east.min()) / 2.0, float(north.max() + north.min()) / 2.0)
    return Frame(
        left, top, width, height, middle_m[0] - width * m_per_mm / 2.0, middle_m[1] + height * m_per_mm / 2.0, m_per_mm
    )


def rounded_up(value: float) -> float:
    """The next number above of two digits, the second one even or 5: a scale that people can say."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step for step in (k * power / 10.0 for k in _SCALES) if step >= value * (1.0 - 1e-12))


def nice_step(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above a value."""
    power = 10.0 ** math.floor(math.log10(value) + 1e-12)
    return max(k * power for k in (1, 2, 5) if k * power <= value * (1.0 + 1e-12))


_SCALES = (10, 12, 14, 15, 16, 18, 20, 22, 24, 25, 26, 28, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100)
