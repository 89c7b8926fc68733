"""The plane around the crime against geodesics: it never draws a way too short, and its excess stays in the bound."""

import numpy as np
import pytest
from pyproj import Geod

from crime_match.plane import bearing_deg
from crime_match.reach_kernels import apart_at_least_m, around_e7, distortion_m, parallel_m
from engine.kernels import offset_m

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
    assert excess_m.max() <= distortion_m(distance_m, vicinity_m) + 1e-6


def test_places_around_have_true_distance_and_bearing():
    assert offset_m(515_000_000, -1_000_000, 515_000_000, -1_000_000) == (0.0, 0.0)
    rng = np.random.default_rng(11)
    for scale_e7 in (1e3, 1e5, 1e6, 1e8):
        for _ in range(200):
            lat, lon = int(rng.uniform(-8.9e8, 8.9e8)), int(rng.uniform(-1.8e9, 1.8e9))
            to = round(np.clip(lat + rng.normal(0, scale_e7), -9e8, 9e8)), round(lon + rng.normal(0, scale_e7))
            azimuth, _, apart_m = WGS84.inv(lon / 1e7, lat / 1e7, to[1] / 1e7, to[0] / 1e7)
            x, y = apart_m * np.sin(np.radians(azimuth)), apart_m * np.cos(np.radians(azimuth))
            assert offset_m(lat, lon, *to) == pytest.approx((x, y), abs=2e-4)


@pytest.mark.parametrize("scale_e7", [1e3, 1e5, 1e6, 1e7, 1e8, 1e9])
def test_no_place_is_nearer_than_the_bound(scale_e7):
    rng = np.random.default_rng(13)
    n = 3000
    lat = np.clip(rng.normal(0, 6e8, n), -9e8, 9e8).astype(np.int64)
    lon = rng.uniform(-1.8e9, 1.8e9, n).astype(np.int64)
    to_lat = np.clip(lat + rng.normal(0, scale_e7, n), -9e8, 9e8).astype(np.int64)
    to_lon = ((lon + rng.normal(0, scale_e7, n) + 1.8e9) % 3.6e9 - 1.8e9).astype(np.int64)
    apart_m = WGS84.inv(lon / 1e7, lat / 1e7, to_lon / 1e7, to_lat / 1e7)[2]
    for k in range(n):
        bound = apart_at_least_m(float(to_lat[k] - lat[k]), around_e7(to_lon[k], lon[k]), parallel_m(float(lat[k])))
        assert bound <= apart_m[k] + 1e-9


def test_bearings():
    assert bearing_deg(0, 0, 0, 10_000) == 90.0
    assert bearing_deg(0, 0, 10_000, 0) == 0.0
    assert bearing_deg(0, 0, 0, -10_000) == 270.0
    assert bearing_deg(0, 0, 0, 0) is None
