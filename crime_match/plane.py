"""The plane around the crime: distance and bearing from it are true (azimuthal equidistant on WGS84)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

_WGS84 = Geod(ellps="WGS84")
_LEAST_CURVATURE_RADIUS_M = 6_356_752.0  # where the Gaussian curvature of WGS84 is largest, at the equator


def around(
    lat_e7: int, lon_e7: int, lats_e7: NDArray[np.int32], lons_e7: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (n,) [1e-7 degree] to x (east), y (north) [m] around a centre, by Karney's geodesics."""
    n = len(lats_e7)
    azimuth, _, distance_m = _WGS84.inv(np.full(n, lon_e7 / 1e7), np.full(n, lat_e7 / 1e7), lons_e7 / 1e7, lats_e7 / 1e7)
    angle = np.radians(np.asarray(azimuth, np.float64))
    return distance_m * np.sin(angle), distance_m * np.cos(angle)


def distortion_m(distance_m: NDArray[np.float64], vicinity_m: float) -> NDArray[np.float64]:
    """How much longer the plane may draw the way from a point of the vicinity to a place at this distance [m].

    It never draws it shorter: WGS84 is curved like a sphere everywhere, so Toponogov's theorem holds. By comparison with
    the sphere of its greatest curvature the excess is about R^2 D / (6 rho^2); a quarter instead of a sixth bounds it up to
    5000 km (at 100 m and 100 km: 0.006 mm), beyond which the triangle inequality does. Near the antipode, where the
    distance kernel answers from a mean sphere, a hundredth of the distance is added.
    """
    near = vicinity_m**2 * (distance_m + vicinity_m) / (4.0 * _LEAST_CURVATURE_RADIUS_M**2)
    bound = np.minimum(np.where(distance_m < 5e6, near, np.inf), 2.0 * vicinity_m)
    return np.where(distance_m > 1.9e7, bound + 0.01 * distance_m, bound)


def bearing_deg(lat1_e7: int, lon1_e7: int, lat2_e7: int, lon2_e7: int) -> float | None:
    """Bearing of the way from one place to another, clockwise from north, to 0.1 degree; None where they coincide."""
    if lat1_e7 == lat2_e7 and lon1_e7 == lon2_e7:
        return None
    azimuth, _, _ = _WGS84.inv(lon1_e7 / 1e7, lat1_e7 / 1e7, lon2_e7 / 1e7, lat2_e7 / 1e7)
    return round(float(azimuth) % 360.0, 1) % 360.0
