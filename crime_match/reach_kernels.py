"""Kernels of the reachable set: the lowest speed at which the prism of two fixes meets the vicinity, bounds first.

Arrays only. Every fix is widened by TOLERANCE_M and by the plane's distortion, so that rounding never excludes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crime_match.kernels import lowest_speed_within, speed_needed_mps
from engine.jit import kernel
from engine.kernels import distance_m, offset_m

TOLERANCE_M = 1e-3
_LEAST_S = 1e-6
_LEAST_CURVATURE_RADIUS_M = 6_356_752.0  # where the Gaussian curvature of WGS84 is largest, at the equator
LEAST_M_PER_E7 = 0.01105  # no 1e-7 degree of latitude is shorter
_MOST_M_PER_E7 = 0.0111695  # nor one longer
_RAD_PER_E7 = math.pi / 180.0 * 1e-7
_WIDE_E7 = 200_000_000.0  # 20 degrees


@kernel
def distortion_m(apart_m: float, vicinity_m: float) -> float:
    """How much longer the plane may draw the way from a point of the vicinity to a place at this distance [m].

    The plane is azimuthal equidistant around the crime. It never draws a way shorter: WGS84 is curved like a sphere
    everywhere, so Toponogov's theorem holds. By comparison with the sphere of its greatest curvature the excess is about
    R^2 D / (6 rho^2); a quarter instead of a sixth bounds it up to 5000 km (at 100 m and 100 km: 0.006 mm), beyond which
    the triangle inequality does. Near the antipode, where distances come from a mean sphere, a hundredth of the distance
    is added.
    """
    bound = 2.0 * vicinity_m
    if apart_m < 5e6:
        near = vicinity_m * vicinity_m * (apart_m + vicinity_m)
        bound = min(bound, near / (4.0 * _LEAST_CURVATURE_RADIUS_M * _LEAST_CURVATURE_RADIUS_M))
    return bound + 0.01 * apart_m if apart_m > 1.9e7 else bound


@kernel
def parallel_m(lat_e7: float) -> float:
    """Metres that 1e-7 degree of longitude has at least, between a place at this latitude and any within 200 km of it."""
    most = min(abs(lat_e7) * 1e-7 + 2.0, 90.0)
    here, there = math.cos(math.radians(lat_e7 * 1e-7)), math.cos(math.radians(most))
    return 0.98 * LEAST_M_PER_E7 * math.sqrt(max(0.0, here * there))


@kernel
def apart_at_least_m(dlat_e7: float, dlon_e7: float, parallel: float) -> float:
    """A bound below on the distance of two places, or of a box by its least differences [m]; one is the crime with its
    `parallel_m`.

    No distance on WGS84 is shorter than on a sphere of its least radius of curvature, 6335439 m, at the same latitudes and
    longitudes. There hav d = hav dlat + cos cos hav dlon, and the sines fall short of their arcs by less than the constants
    do: hav dlon is taken no further than at 20 degrees. `parallel` holds up to 2 degrees of latitude, 221 km, so no more
    than 200 km is told by longitude.
    """
    north_m = abs(dlat_e7) * LEAST_M_PER_E7
    east_m = min(abs(dlon_e7), _WIDE_E7) * parallel
    return max(north_m, min(math.sqrt(north_m * north_m + east_m * east_m), 200_000.0))


@kernel
def apart_at_most_m(dlat_e7: float, dlon_e7: float, across: float) -> float:
    """A bound above on the distance of two places [m], one of which is the crime; across: the cosine of its latitude.

    The length of a straight line of latitude and longitude by the largest radius of curvature of WGS84, 6399594 m.
    """
    north_m, widest = abs(dlat_e7) * _MOST_M_PER_E7, min(1.0, across + abs(dlat_e7) * _RAD_PER_E7)
    return math.hypot(north_m, dlon_e7 * _MOST_M_PER_E7 * widest)


@kernel
def around_e7(lon_e7: Any, crime_lon_e7: Any) -> float:
    """How far a longitude is from the crime's, the short way round [1e-7 degree]."""
    apart = abs(np.int64(lon_e7) - crime_lon_e7)
    return float(min(apart, 3_600_000_000 - apart))


@kernel
def seconds(length_us: Any) -> float:
    """A length of time as seconds, no less than a microsecond."""
    return float(max(length_us * 1e-6, _LEAST_S))


@kernel
def speed_to_the_rim_mps(
    lat_e7: int, lon_e7: int, across: float, reach_m: float, has_one: bool, lat1_e7: Any, lon1_e7: Any, exclusion1_m: float,
    has_two: bool, lat2_e7: Any, lon2_e7: Any, exclusion2_m: float, elapsed_s: float, left_s: float, gap_s: float,
) -> float:  # fmt: skip
    """A bound above on `gap_speed_mps`: the speed that leads by one point, near the vicinity's rim towards the fixes.

    The point lies at 98 % of the radius by scales that are within 1 % for places so near, so it is surely inside; inf where
    they are not.
    """
    one_lat, one_lon = (lat1_e7, lon1_e7) if has_one else (lat2_e7, lon2_e7)
    two_lat, two_lon = (lat2_e7, lon2_e7) if has_two else (lat1_e7, lon1_e7)
    north1, east1 = float(np.int64(one_lat) - lat_e7), float(np.int64(one_lon) - lon_e7)
    north2, east2 = float(np.int64(two_lat) - lat_e7), float(np.int64(two_lon) - lon_e7)
    if across < 0.2 or reach_m > 5_000.0 or max(abs(north1), abs(north2), abs(east1), abs(east2)) > 2e7:
        return np.inf
    north_m, east_m = 0.5 * (north1 + north2) * _MOST_M_PER_E7, 0.5 * (east1 + east2) * _MOST_M_PER_E7 * across
    apart_m = math.hypot(north_m, east_m)
    part = 0.98 * reach_m / apart_m if apart_m > 0.98 * reach_m else 1.0
    north, east = part * 0.5 * (north1 + north2), part * 0.5 * (east1 + east2)
    widest = across + abs(north) * _RAD_PER_E7
    far1 = apart_at_most_m(north1 - north, east1 - east, widest) - exclusion1_m if has_one else 0.0
    far2 = apart_at_most_m(north2 - north, east2 - east, widest) - exclusion2_m if has_two else 0.0
    return speed_needed_mps(far1, far2, elapsed_s, left_s, gap_s)


@kernel
def gap_speed_mps(
    lat_e7: int, lon_e7: int, parallel: float, across: float, reach_m: float,
    has_one: bool, lat1_e7: Any, lon1_e7: Any, exclusion1_m: float,
    has_two: bool, lat2_e7: Any, lon2_e7: Any, exclusion2_m: float,
    elapsed_s: float, left_s: float, gap_s: float, enough_mps: float, most_mps: float,
) -> float:  # fmt: skip
    """The lowest speed at which the prism of two fixes (either may be lacking, with times of inf) meets the vicinity.

    Solved exactly only where bounds do not tell: an answer above most_mps may be a bound below, one up to enough_mps a
    bound above. The vicinity is the disc of reach_m around the crime.
    """
    vicinity_m = reach_m + TOLERANCE_M
    dlat1, dlon1 = float(np.int64(lat1_e7) - lat_e7), around_e7(lon1_e7, lon_e7)
    dlat2, dlon2 = float(np.int64(lat2_e7) - lat_e7), around_e7(lon2_e7, lon_e7)
    near1 = apart_at_least_m(dlat1, dlon1, parallel) if has_one else -np.inf
    near2 = apart_at_least_m(dlat2, dlon2, parallel) if has_two else -np.inf
    slack_m = vicinity_m + distortion_m(1e6, reach_m) + 1.0  # a place that is farther than 1000 km is far beyond its bound
    if near1 < 1e6 and near2 < 1e6:
        low = speed_needed_mps(near1 - exclusion1_m - slack_m, near2 - exclusion2_m - slack_m, elapsed_s, left_s, gap_s)
        if low > most_mps:
            return low
    far1 = apart_at_most_m(dlat1, dlon1, across) - exclusion1_m if has_one else 0.0
    far2 = apart_at_most_m(dlat2, dlon2, across) - exclusion2_m if has_two else 0.0
    high = speed_needed_mps(far1, far2, elapsed_s, left_s, gap_s)
    if high <= enough_mps:
        return high
    if enough_mps > 0.0:
        high = speed_to_the_rim_mps(
            lat_e7, lon_e7, across, reach_m, has_one, lat1_e7, lon1_e7, exclusion1_m,
            has_two, lat2_e7, lon2_e7, exclusion2_m, elapsed_s, left_s, gap_s,
        )  # fmt: skip
        if high <= enough_mps:
            return high
    x1, y1, r1, d1 = 0.0, 0.0, np.inf, 0.0
    x2, y2, r2, d2 = 0.0, 0.0, np.inf, 0.0
    if has_one:
        d1 = distance_m(lat_e7, lon_e7, lat1_e7, lon1_e7)
        r1 = exclusion1_m + TOLERANCE_M + distortion_m(d1, reach_m)
    if has_two:
        d2 = distance_m(lat_e7, lon_e7, lat2_e7, lon2_e7)
        r2 = exclusion2_m + TOLERANCE_M + distortion_m(d2, reach_m)
    low = speed_needed_mps(d1 - r1 - vicinity_m - TOLERANCE_M, d2 - r2 - vicinity_m - TOLERANCE_M, elapsed_s, left_s, gap_s)
    if low > most_mps:
        return low
    high = speed_needed_mps(d1 - r1 + TOLERANCE_M, d2 - r2 + TOLERANCE_M, elapsed_s, left_s, gap_s)
    if high <= enough_mps:
        return high
    if has_one:
        x1, y1 = offset_m(lat_e7, lon_e7, lat1_e7, lon1_e7)
    if has_two:
        x2, y2 = offset_m(lat_e7, lon_e7, lat2_e7, lon2_e7)
    # a fix that is not there takes the place of the other one: the axis through both then goes through the one
    if not has_one:
        x1, y1 = x2, y2
    if not has_two:
        x2, y2 = x1, y1
    return lowest_speed_within(
        x1, y1, r1, x2, y2, r2, vicinity_m, elapsed_s, left_s, gap_s, enough_mps, most_mps
    )  # fmt: skip


@kernel
def lowest_of_pairs(
    lat_e7: int, lon_e7: int, reach_m: float, lats_e7: Any, lons_e7: Any, exclusion_m: Any,
    before: Any, after: Any, elapsed_s: Any, left_s: Any, gap_s: Any,
) -> float:  # fmt: skip
    """The least `gap_speed_mps` of n pairs: before, after (n,) index lats_e7, lons_e7, exclusion_m, -1 where there is none;
    times (n,) [s], inf where there is none."""
    parallel, across = parallel_m(float(lat_e7)), math.cos(lat_e7 * _RAD_PER_E7)
    best = np.inf
    for k in range(len(before)):
        i, j = max(before[k], 0), max(after[k], 0)
        best = min(best, gap_speed_mps(
            lat_e7, lon_e7, parallel, across, reach_m, before[k] >= 0, lats_e7[i], lons_e7[i], exclusion_m[i],
            after[k] >= 0, lats_e7[j], lons_e7[j], exclusion_m[j], elapsed_s[k], left_s[k], gap_s[k], 0.0, best,
        ))  # fmt: skip
        if best == 0.0:
            break
    return best
