"""The plane around the crime against geodesics: it never draws a way too short, and its excess stays in the bound."""

import numpy as np
import pytest
from pyproj import Geod

from crime_match.plane import around, bearing_deg, distortion_m

WGS84 = Geod(ellps="WGS84")


@pytest.mark.parametrize("vicinity_m", [10.0, 100.0, 2000.0, 50_000.0])
@pytest.mark.parametrize("distance_m", [50.0, 1e3, 3e4, 1e6, 4.9e6, 1.2e7])
def test_distortion_is_bounded_and_on_the_cautious_side(vicinity_m, distance_m):
    rng = np.random.default_rng(7)
    n = 2000
    lat, lon = rng.uniform(-85, 85, n), np.zeros(n)
    bearing, within = rng.uniform(0, 360, n), rng.uniform(0, 360, n)
    away = vicinity_m * np.sqrt(rng.uniform(0, 1, n))
    fix_lon, fix_lat, _ = WGS84.fwd(lon, lat, bearing, np.full(n, distance_m))
    point_lon, point_lat, _ = WGS84.fwd(lon, lat, within, away)
    true_m = WGS84.inv(fix_lon, fix_lat, point_lon, point_lat)[2]
    bearing, within = np.radians(bearing), np.radians(within)
    drawn_m = np.hypot(
        distance_m * np.sin(bearing) - away * np.sin(within), distance_m * np.cos(bearing) - away * np.cos(within)
    )
    excess_m = drawn_m - true_m
    assert excess_m.min() > -1e-6
    assert excess_m.max() <= distortion_m(np.array([distance_m]), vicinity_m)[0] + 1e-6


def test_places_around_have_true_distance_and_bearing():
    lats, lons = np.array([515_000_000, 515_090_000], np.int32), np.array([-1_000_000, -1_000_000], np.int32)
    x, y = around(515_000_000, -1_000_000, lats, lons)
    assert (x[0], y[0]) == (0.0, 0.0)
    assert x[1] == pytest.approx(0.0, abs=1e-9)
    assert y[1] == pytest.approx(WGS84.inv(-0.1, 51.5, -0.1, 51.509)[2], abs=1e-9)


def test_bearings():
    assert bearing_deg(0, 0, 0, 10_000) == 90.0
    assert bearing_deg(0, 0, 10_000, 0) == 0.0
    assert bearing_deg(0, 0, 0, -10_000) == 270.0
    assert bearing_deg(0, 0, 0, 0) is None
