"""Kernels of the reachable set between two fixes: how fast must one have been to be in a place on the way? Arrays only.

Coordinates are 1e-7 degrees; discs about fixes are in true metres. All doubt goes towards "could have".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel, kernel_part
from engine.kernels import distance_m, metres_per_e7
from geofence.chord import chord_part
from geofence.polygon_mass import short_way, winding

COULD_NOT, COULD, CROSSED, NO_PAIR = 0, 1, 2, -1
"""What is known of the time since the fix before: CROSSED is the straight way, not a certain entry."""

_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
_GOLDEN_STEPS = 50  # 0.618^50 = 4e-11: micrometres on an edge of 30 km
_TOLERANCE_M = 0.03  # for points that are rounded to the grid, and for rounding
_LEAST_M_PER_E7 = 0.01105  # no 1e-7 degree of latitude is shorter
_POLE = 900_000_000.0


@kernel
def least_way_m(x1: Any, y1: Any, r1_m: float, x2: Any, y2: Any, r2_m: float, place: int, places: Any) -> float:
    """The shortest way [m] from the disc of radius r1_m about the first fix over a point of the place to that of the second.

    That is the minimum over the place of g1 + g2, with g = max(0, distance - radius); over the time between the fixes it is
    the lowest speed at which their space-time prism (Hägerstrand 1970) meets the place. Never above the truth; below it by
    3 cm and by the share that a degree of longitude shrinks over the ellipse in question: at 52 degrees 2e-4 a kilometre.

    g1 + g2 is convex, so its least value on a polygon is on an edge, unless the place holds a point that is best of all.
    Soundness: with s the length of any way over the place, shorter ways stay in the ellipse of length s about the fixes, and
    there the metric is nowhere smaller than that of a plane with the scale of the ellipse's latitude nearest a pole.
    """
    x1, y1, y2 = np.int64(x1), np.int64(y1), np.int64(y2)
    x2 = short_way(x2, x1, x1)
    kx, ky = _least_scale(y1, y2, _longest_needed_m(x1, y1, r1_m, x2, y2, r2_m, place, places), place, places)
    along_x, along_y = (x2 - x1) * kx, (y2 - y1) * ky
    apart_m = math.sqrt(along_x * along_x + along_y * along_y)
    ux, uy = (along_x / apart_m, along_y / apart_m) if apart_m > 0.0 else (1.0, 0.0)
    best = np.inf
    share = _best_share(apart_m, r1_m, r2_m)
    x, y = math.floor(x1 + share * (x2 - x1) + 0.5), math.floor(y1 + share * (y2 - y1) + 0.5)
    for p in range(places.parts[place], places.parts[place + 1]):
        if places.disc[p, 2] > 0.0:
            cx, cy = (short_way(places.disc[p, 0], x1, x1) - x1) * kx, (np.int64(places.disc[p, 1]) - y1) * ky
            a, b = cx * ux + cy * uy, cy * ux - cx * uy
            best = min(best, _least_over(a, abs(b), 0.0, 0.0, places.disc[p, 2], apart_m, r1_m, r2_m))
            continue
        root = places.trees[p]
        origin = short_way(x1, places.run_boxes[root, 0], places.run_boxes[root, 2])
        if winding(x, y, 0.0, 0.0, p, places) != 0:
            return max(0.0, apart_m - r1_m - r2_m - _TOLERANCE_M)
        for r in range(places.polygons[p], places.polygons[p + 1]):
            ring, stop = places.rings[r], places.rings[r + 1]
            vx, vy = (places.xs[ring] - origin) * kx, (places.ys[ring] - y1) * ky
            bx, by = vx * ux + vy * uy, vy * ux - vx * uy
            for k in range(ring + 1, stop):
                ax, ay = bx, by
                vx, vy = (places.xs[k] - origin) * kx, (places.ys[k] - y1) * ky
                bx, by = vx * ux + vy * uy, vy * ux - vx * uy
                length = math.sqrt((bx - ax) ** 2 + (by - ay) ** 2)
                # g1 + g2 changes by at most two metres a metre
                if _way_over(0.5 * (ax + bx), 0.5 * (ay + by), apart_m, r1_m, r2_m) - length < best:
                    best = min(best, _least_over(ax, ay, bx, by, 0.0, apart_m, r1_m, r2_m))
    return max(0.0, best - _TOLERANCE_M)


@kernel
def _longest_needed_m(x1: Any, y1: Any, r1_m: float, x2: Any, y2: Any, r2_m: float, place: int, places: Any) -> float:
    """No better way from fix to fix over the place is longer: that over a vertex or a disc's centre which looks short, with
    the radii used up."""
    ky, kx = metres_per_e7(0.5 * (y1 + y2))
    best, x, y = np.inf, x1, y1
    for p in range(places.parts[place], places.parts[place + 1]):
        if places.disc[p, 2] > 0.0:
            vx, vy = int(places.disc[p, 0]), int(places.disc[p, 1])
            length = _over_m(x1, y1, x2, y2, short_way(vx, x1, x1), vy, kx, ky)
            if length < best:
                best, x, y = length, vx, vy
        for k in range(places.rings[places.polygons[p]], places.rings[places.polygons[p + 1]]):
            vx, vy = int(places.xs[k]), int(places.ys[k])
            length = _over_m(x1, y1, x2, y2, short_way(vx, x1, x1), vy, kx, ky)
            if length < best:
                best, x, y = length, vx, vy
    return max(r1_m, distance_m(y1, x1, y, x)) + max(r2_m, distance_m(y, x, y2, x2))


@kernel
def _over_m(x1: Any, y1: Any, x2: Any, y2: Any, x: Any, y: Any, kx: float, ky: float) -> float:
    return _length_m((x - x1) * kx, (y - y1) * ky) + _length_m((x - x2) * kx, (y - y2) * ky)


@kernel
def _least_scale(y1: Any, y2: Any, longest_m: float, place: int, places: Any) -> tuple[float, float]:
    """Metres for 1e-7 degree of longitude and latitude that are nowhere less within the ellipse and the place's discs."""
    half = 0.5 * longest_m / _LEAST_M_PER_E7
    south, north = 0.5 * (y1 + y2) - half, 0.5 * (y1 + y2) + half
    for p in range(places.parts[place], places.parts[place + 1]):
        if places.disc[p, 2] > 0.0:
            reach = places.disc[p, 2] / _LEAST_M_PER_E7
            south, north = min(south, places.disc[p, 1] - reach), max(north, places.disc[p, 1] + reach)
    _, kx = metres_per_e7(min(_POLE, max(abs(south), abs(north))))
    ky, _ = metres_per_e7(0.0 if south <= 0.0 <= north else min(_POLE, abs(south), abs(north)))
    return kx, ky


@kernel
def _length_m(x: float, y: float) -> float:
    return math.sqrt(x * x + y * y)  # the same bits with and without the compiler, as math.hypot is not


@kernel
def _best_share(apart_m: float, r1_m: float, r2_m: float) -> float:
    """Where on the line between the fixes, as a share of it, a point lies over which no way is longer than it must be."""
    if apart_m == 0.0:
        return 0.0
    if apart_m >= r1_m + r2_m:  # between the discs
        return 0.5 * (r1_m + apart_m - r2_m) / apart_m
    return 0.5 * (max(-r1_m, apart_m - r2_m) + min(r1_m, apart_m + r2_m)) / apart_m


@kernel
def _way_over(x: float, y: float, apart_m: float, r1_m: float, r2_m: float) -> float:
    """g1 + g2 of a point, with the first fix at the origin and the second at (apart_m, 0)."""
    return max(0.0, _length_m(x, y) - r1_m) + max(0.0, _length_m(x - apart_m, y) - r2_m)


@kernel
def _way_at(
    t: float, ax: float, ay: float, bx: float, by: float, radius_m: float, apart_m: float, r1_m: float, r2_m: float
) -> float:
    """`_way_over` the point at t [0 to 1] of the edge from a to b; or, with a radius, of the disc about a: of its chord across
    the axis at that angle the point nearest the axis, which is the best of the chord."""
    if radius_m > 0.0:
        angle = math.pi * (t - 0.5)
        x, y = ax + radius_m * math.sin(angle), max(0.0, ay - radius_m * math.cos(angle))
        return _way_over(x, y, apart_m, r1_m, r2_m)
    return _way_over(ax + t * (bx - ax), ay + t * (by - ay), apart_m, r1_m, r2_m)


@kernel
def _least_over(
    ax: float, ay: float, bx: float, by: float, radius_m: float, apart_m: float, r1_m: float, r2_m: float
) -> float:
    """The least of `_way_at`, which is quasi-convex in t, by golden section (Kiefer 1953)."""
    low, high = 0.0, 1.0
    left, right = 1.0 - _GOLDEN, _GOLDEN
    at_left = _way_at(left, ax, ay, bx, by, radius_m, apart_m, r1_m, r2_m)
    at_right = _way_at(right, ax, ay, bx, by, radius_m, apart_m, r1_m, r2_m)
    best = min(at_left, at_right)
    for _ in range(_GOLDEN_STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = _way_at(left, ax, ay, bx, by, radius_m, apart_m, r1_m, r2_m)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = _way_at(right, ax, ay, bx, by, radius_m, apart_m, r1_m, r2_m)
        best = min(best, at_left, at_right)
    return best


@kernel_part
def _box_m(x: Any, y: Any, place: int, places: Any) -> float:
    """No more than the distance of a fix to a place: that to its box."""
    x = short_way(x, places.box[place, 0], places.box[place, 2])
    dx = max(places.box[place, 0] - x, x - places.box[place, 2], 0.0) * places.size[place, 2]
    dy = max(places.box[place, 1] - y, y - places.box[place, 3], 0.0) * places.size[place, 3]
    return _length_m(dx, dy)


@kernel
def classify_gaps(
    columns: Any, exclusion_m: Any, start: int, weightless: int, most_mps: float, place: int, places: Any,
    kinds: Any, speeds_mps: Any,
) -> None:  # fmt: skip
    """What is known of a place since the fix before, for each fix from row `start` of a trail on; weightless ones do not count.

    columns: `geofence.filter.Columns` of the trail (n,); exclusion_m (n,) holds the truth with 99.9 %. Fills, at the row of the
    later fix, kinds (n,) int8 with COULD_NOT, COULD, CROSSED or NO_PAIR, and speeds_mps (n,) with the lowest speed
    at which the wearer could have been there: for COULD_NOT a speed above most_mps that is not more than it.
    """
    i = -1
    for j in range(start, len(columns.time_us)):
        kinds[j], speeds_mps[j] = NO_PAIR, np.inf
        if columns.flags[j] & weightless:
            continue
        if i >= 0 and columns.time_us[j] > columns.time_us[i]:
            dt_s = (columns.time_us[j] - columns.time_us[i]) * 1e-6
            x1, y1 = np.int64(columns.lon_e7[i]), np.int64(columns.lat_e7[i])
            x2, y2 = np.int64(columns.lon_e7[j]), np.int64(columns.lat_e7[j])
            way_m = max(0.0, _box_m(x1, y1, place, places) - exclusion_m[i])
            way_m += max(0.0, _box_m(x2, y2, place, places) - exclusion_m[j])
            first, last, _ = chord_part(x1, y1, x2, y2, place, places)
            if first <= last or way_m <= most_mps * dt_s:
                way_m = least_way_m(x1, y1, exclusion_m[i], x2, y2, exclusion_m[j], place, places)
            kinds[j] = CROSSED if first <= last else (COULD if way_m <= most_mps * dt_s else COULD_NOT)
            speeds_mps[j] = way_m / dt_s
        i = j
