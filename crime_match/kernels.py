"""Kernels of the crime match: lens area of two circles, and the lowest speed at which a wearer could have been there.

Arrays only; units are in the names. The vicinity is a disc around the origin of a plane in which distance and bearing from
the origin are true (azimuthal equidistant around the crime).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel
from engine.kernels import distance_m

OVERLAP = 0.5
"""A fix places where at least this share of its circle lies in the vicinity (the ministry's rule)."""
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
_GOLDEN_STEPS = 64  # 0.618^64 = 4e-14 of half a turn: below a micrometre for a vicinity of 1000 km


@kernel
def lens_share(apart_m: float, fix_m: float, vicinity_m: float) -> float:
    """Share of a fix's circle that lies inside the vicinity circle, their centres `apart_m` from each other [0 to 1].

    Lens area as two circular segments, r^2 (a - sin a cos a) each, with the half angles by atan2 from Heron's product: arc
    cosines would lose half the digits for small circles. A radius of 0 is a point: inside or not, the rim counts.
    """
    if fix_m <= 0.0:
        return 1.0 if apart_m <= vicinity_m else 0.0
    if apart_m >= fix_m + vicinity_m:
        return 0.0
    if apart_m <= vicinity_m - fix_m:
        return 1.0
    if apart_m <= fix_m - vicinity_m:
        return (vicinity_m / fix_m) ** 2
    both, differ = fix_m + vicinity_m, fix_m - vicinity_m
    if apart_m < 1e-12 * both:  # the same circle but for rounding: squares of the rest would underflow
        return 1.0
    root = math.sqrt((apart_m + both) * (both - apart_m) * (apart_m + differ) * (apart_m - differ))
    fix_angle = math.atan2(root, apart_m * apart_m + both * differ)
    vicinity_angle = math.atan2(root, apart_m * apart_m - both * differ)
    fix_part = fix_angle - math.sin(fix_angle) * math.cos(fix_angle)
    vicinity_part = vicinity_angle - math.sin(vicinity_angle) * math.cos(vicinity_angle)
    return min(1.0, (fix_part + (vicinity_m / fix_m) ** 2 * vicinity_part) / math.pi)


@kernel
def lens_shares(apart_m: Any, fix_m: Any, vicinity_m: float) -> NDArray[np.float64]:
    """`lens_share` of n fixes: distances and radii of shape (n,) [m] to shares (n,)."""
    out = np.empty(len(apart_m), np.float64)
    for i in range(len(out)):
        out[i] = lens_share(apart_m[i], fix_m[i], vicinity_m)
    return out


@kernel
def speed_needed_mps(before_m: float, after_m: float, elapsed_s: float, left_s: float, gap_s: float) -> float:
    """The speed that reaches a point `before_m` from the fix before within elapsed_s, and the fix after, `after_m` on, in
    left_s, both within gap_s; distances are those that the fixes' radii leave over."""
    from_before, to_after = max(0.0, before_m), max(0.0, after_m)
    return max(from_before / elapsed_s, to_after / left_s, (from_before + to_after) / gap_s)


@kernel
def lowest_speed_mps(
    x1: float, y1: float, r1: float, x2: float, y2: float, r2: float, vicinity_m: float,
    elapsed_s: float, left_s: float, gap_s: float,
) -> float:  # fmt: skip
    """The lowest speed at which the space-time prism of two fixes meets the vicinity at some instant of a time span.

    The prism at t is the disc (x1, y1), r1 + v (t - t1), cut with the disc (x2, y2), r2 + v (t2 - t). For a span [a, b]
    inside [t1, t2]: elapsed_s = b - t1, left_s = t2 - a, gap_s = t2 - t1. A point p of the vicinity can be visited in the
    span if and only if max(t1 + g1/v, a) <= min(t2 - g2/v, b), g being the distance that the radius leaves over. So the
    answer is the minimum over the vicinity of max(g1/elapsed, g2/left, (g1 + g2)/gap), which is convex in p. With the line
    through both fixes as axis it never falls with the distance from that axis; of each chord across the vicinity the point
    nearest the axis is best, and what is left is one-dimensional and quasi-convex: golden section finds it (Kiefer 1953).
    A fix that is not there has the radius inf, the place of the other, and times of inf.
    """
    return lowest_speed_within(x1, y1, r1, x2, y2, r2, vicinity_m, elapsed_s, left_s, gap_s, 0.0, np.inf)


@kernel
def lowest_speed_within(
    x1: float, y1: float, r1: float, x2: float, y2: float, r2: float, vicinity_m: float,
    elapsed_s: float, left_s: float, gap_s: float, enough_mps: float, most_mps: float,
) -> float:  # fmt: skip
    """`lowest_speed_mps`, but an answer up to enough_mps may be a bound above, one over most_mps a bound below.

    No point of the vicinity is farther from another than the angle between them times its radius, so the speed changes by
    no more than that over the shortest time; what is left of the search cannot fall below.
    """
    axis = math.hypot(x2 - x1, y2 - y1)
    ux, uy = ((x2 - x1) / axis, (y2 - y1) / axis) if axis > 0.0 else (1.0, 0.0)
    along, off = -(x1 * ux + y1 * uy), abs(x1 * uy - y1 * ux)
    low, high = -0.5 * math.pi, 0.5 * math.pi
    best = np.inf
    steepest = vicinity_m * max(1.0 / elapsed_s, 1.0 / left_s, 2.0 / gap_s)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left = _speed_at(left, along, off, axis, r1, r2, vicinity_m, elapsed_s, left_s, gap_s)
    at_right = _speed_at(right, along, off, axis, r1, r2, vicinity_m, elapsed_s, left_s, gap_s)
    for _ in range(_GOLDEN_STEPS):
        best = min(best, at_left, at_right)
        if best <= enough_mps:
            break
        least = min(at_left, at_right) - steepest * (high - low)
        if least > most_mps:
            return least
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = _speed_at(left, along, off, axis, r1, r2, vicinity_m, elapsed_s, left_s, gap_s)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = _speed_at(right, along, off, axis, r1, r2, vicinity_m, elapsed_s, left_s, gap_s)
    return min(best, at_left, at_right)


@kernel
def _speed_at(
    angle: float, along: float, off: float, axis: float, r1: float, r2: float, vicinity_m: float,
    elapsed_s: float, left_s: float, gap_s: float,
) -> float:  # fmt: skip
    """Speed needed for the point nearest the axis on one chord of the vicinity; the angle, unlike the chord's place,
    keeps the search smooth at the vicinity's ends."""
    x = along + vicinity_m * math.sin(angle)
    y = max(0.0, off - vicinity_m * math.cos(angle))
    return speed_needed_mps(math.hypot(x, y) - r1, math.hypot(x - axis, y) - r2, elapsed_s, left_s, gap_s)


@kernel
def contradictions(
    first: int, stop: int, time_us: Any, lat_e7: Any, lon_e7: Any, radius_m: Any, speed_mps: float, pairs: Any
) -> int:
    """Pairs of fixes that no path at this speed can join, of which the rows first:stop are in: written to pairs (m, 2), the
    earlier first; returns how many there are, which may be more than there is room for.

    Columns of shape (n,) in time order [us, 1e-7 degree, m]. A pair is joined where distance - both radii <= speed x time; each
    row is compared with all others but those that it surely joins, as so much time lies between.
    """
    n, found = len(time_us), 0
    south, north, west, east = np.int64(2**31), np.int64(-(2**31)), np.int64(2**31), np.int64(-(2**31))
    for i in range(n):
        south, north = min(south, np.int64(lat_e7[i])), max(north, np.int64(lat_e7[i]))
        west, east = min(west, np.int64(lon_e7[i])), max(east, np.int64(lon_e7[i]))
    for i in range(first, stop):
        lat, lon = np.int64(lat_e7[i]), np.int64(lon_e7[i])
        widest_m = _longest_m(max(north - lat, lat - south), max(east - lon, lon - west)) - radius_m[i]
        for step in (1, -1):
            j = i + step if step > 0 else min(i, first) - 1
            while 0 <= j < n and speed_mps * (abs(time_us[j] - time_us[i]) * 1e-6) < widest_m:
                reach_m = radius_m[i] + radius_m[j] + speed_mps * (abs(time_us[j] - time_us[i]) * 1e-6)
                if (
                    _longest_m(abs(lat_e7[j] - lat), abs(lon_e7[j] - lon)) > reach_m
                    and distance_m(lat_e7[i], lon_e7[i], lat_e7[j], lon_e7[j]) > reach_m
                ):
                    if found < len(pairs):
                        pairs[found, 0], pairs[found, 1] = min(i, j), max(i, j)
                    found += 1
                j += step
    return found


@kernel
def _longest_m(dlat_e7: Any, dlon_e7: Any) -> float:
    """A bound above on a distance [m]: no 1e-7 degree is longer than 0.0112 m, whichever way round."""
    return 0.0112 * math.hypot(float(dlat_e7), float(min(dlon_e7, 1_800_000_000)))
