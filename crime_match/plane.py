"""The bearing of the way from one place to another, on WGS84."""

from __future__ import annotations

from pyproj import Geod

_WGS84 = Geod(ellps="WGS84")


def bearing_deg(lat1_e7: int, lon1_e7: int, lat2_e7: int, lon2_e7: int) -> float | None:
    """Bearing of the way from one place to another, clockwise from north, to 0.1 degree; None where they coincide."""
    if lat1_e7 == lat2_e7 and lon1_e7 == lon2_e7:
        return None
    azimuth, _, _ = _WGS84.inv(lon1_e7 / 1e7, lat1_e7 / 1e7, lon2_e7 / 1e7, lat2_e7 / 1e7)
    return round(float(azimuth) % 360.0, 1) % 360.0
