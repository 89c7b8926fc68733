"""Kernels of the straight way between two fixes: which part of it lies in a place? Arrays only.

Straight is straight in longitude and latitude, as the edges of zones are (RFC 7946). Coordinates are 1e-7 degrees.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel, kernel_part
from engine.kernels import metres_per_e7, vincenty_m
from geofence.polygon_mass import short_way, winding

_RAD_PER_E7 = math.pi / 180.0 * 1e-7
_NEVER = (2.0, -1.0, 0.0)


@kernel_part
def chord_part(x1: Any, y1: Any, x2: Any, y2: Any, place: int, places: Any) -> tuple[float, float, float]:
    """The part of the chord from (x1, y1) to (x2, y2) that a place takes: first and last meeting [0 to 1], share inside.

    first > last where they do not meet. The place is closed. Whether a polygon is met is exact in int64 for chords up to 90
    degrees wide; discs to 0.1 mm. The chord takes the shorter way round the world. A stretch that runs exactly along an edge
    is met, and counts in the share as inside or not, as one beside it would.
    """
    box = places.box
    x1, y1 = np.int64(x1), np.int64(y1)
    dx, dy = short_way(x2, x1, x1) - x1, np.int64(y2) - y1
    west = short_way(x1, box[place, 0], box[place, 2])
    if west + max(0, dx) < box[place, 0] or west + min(0, dx) > box[place, 2]:
        return _NEVER
    if y1 + max(0, dy) < box[place, 1] or y1 + min(0, dy) > box[place, 3]:
        return _NEVER
    return _place_part(x1, y1, dx, dy, place, places)


@kernel
def _place_part(x1: Any, y1: Any, dx: Any, dy: Any, place: int, places: Any) -> tuple[float, float, float]:
    first, last, share = _NEVER
    for p in range(places.parts[place], places.parts[place + 1]):
        if places.disc[p, 2] > 0.0:
            a, b = _disc_part(x1, y1, dx, dy, places.disc[p, 0], places.disc[p, 1], places.disc[p, 2])
            inside = max(0.0, b - a)
        else:
            a, b, inside = _polygon_part(x1, y1, dx, dy, p, places)
        first, last, share = min(first, a), max(last, b), share + inside
    return first, last, min(1.0, max(0.0, share))


@kernel
def _polygon_part(x: Any, y: Any, dx: Any, dy: Any, part: int, places: Any) -> tuple[float, float, float]:
    """Runs of edges wholly on one side of the chord's line are passed over. Of the edges that cut the line, the sum of their
    places along it, those that leave less those that enter, is the share inside: rings have their inside on the left."""
    first, last, share = _NEVER
    boxes, runs, xs, ys = places.run_boxes, places.runs, places.xs, places.ys
    run, stop = places.trees[part], places.trees[part + 1]
    x = short_way(x, boxes[run, 0], boxes[run, 2])
    if dx == 0 and dy == 0:
        return (0.0, 1.0, 1.0) if winding(x, y, 0.0, 0.0, part, places) != 0 else (first, last, share)
    n_ahead = n_beyond = 0  # edges that cut the line ahead of the chord's start, and beyond its end: odd means inside
    while run < stop:
        if _is_aside(boxes[run, 0] - x, boxes[run, 1] - y, boxes[run, 2] - x, boxes[run, 3] - y, dx, dy):
            run = runs[run, 2]
            continue
        is_leaf = runs[run, 2] == run + 1
        for k in range(runs[run, 0], runs[run, 1] if is_leaf else runs[run, 0]):
            ax, ay, bx, by = xs[k] - x, ys[k] - y, xs[k + 1] - x, ys[k + 1] - y
            side_a, side_b = dx * ay - dy * ax, dx * by - dy * bx
            if (side_a > 0 and side_b > 0) or (side_a < 0 and side_b < 0):
                continue
            # which sides of the edge's line the chord's ends lie on
            start = (by - ay) * ax - (bx - ax) * ay
            end = start + (bx - ax) * dy - (by - ay) * dx
            if start == end:  # parallel, so on the chord's line
                if _boxes_meet(ax, ay, bx, by, dx, dy):
                    t, u = _along(ax, ay, dx, dy), _along(bx, by, dx, dy)
                    first, last = min(first, t, u), max(last, t, u)
                continue
            t = min(1.0, max(0.0, float(start) / (float(start) - float(end))))
            if not ((start > 0 and end > 0) or (start < 0 and end < 0)):
                first, last = min(first, t), max(last, t)
            if (side_a > 0) != (side_b > 0):
                share += t if side_b > 0 else -t
                n_ahead += int(start != 0 and (start > 0) == (start > end))
                n_beyond += int(end != 0 and (end > 0) == (start > end))
        run += 1
    return 0.0 if n_ahead % 2 else first, 1.0 if n_beyond % 2 else last, share


@kernel
def _is_aside(west: int, south: int, east: int, north: int, dx: int, dy: int) -> bool:
    """Whether a box lies strictly on one side of the line from the origin through (dx, dy)."""
    least = dx * (south if dx > 0 else north) - dy * (east if dy > 0 else west)
    most = dx * (north if dx > 0 else south) - dy * (west if dy > 0 else east)
    return least > 0 or most < 0


@kernel
def _boxes_meet(ax: int, ay: int, bx: int, by: int, dx: int, dy: int) -> bool:
    """Whether the box of a and b meets that of the origin and (dx, dy)."""
    wide = min(ax, bx) <= max(0, dx) and max(ax, bx) >= min(0, dx)
    return wide and min(ay, by) <= max(0, dy) and max(ay, by) >= min(0, dy)


@kernel
def _along(x: int, y: int, dx: int, dy: int) -> float:
    """Where a point of the line from the origin through (dx, dy) lies on it, cut to [0, 1]."""
    t = float(x) / float(dx) if abs(dx) >= abs(dy) else float(y) / float(dy)
    return min(1.0, max(0.0, t))


@kernel
def _disc_part(x: Any, y: Any, dx: Any, dy: Any, lon: float, lat: float, radius_m: float) -> tuple[float, float]:
    """Where a chord meets a disc of true metres: the foot of its centre in the plane at the latitude between the two, three
    times over; whether it is met is judged by the distance on WGS84 there, in which an error of the foot is of second order."""
    x = short_way(x, int(lon), int(lon))
    middle, foot, nearest, length_m = lat, 0.0, 0.0, 0.0
    for _ in range(3):
        ky, kx = metres_per_e7(middle)
        ux, uy = dx * kx, dy * ky
        length_m = math.sqrt(ux * ux + uy * uy)
        foot = ((lon - x) * kx * ux + (lat - y) * ky * uy) / (length_m * length_m) if length_m > 0.0 else 0.0
        nearest = min(1.0, max(0.0, foot))
        middle = 0.5 * (lat + y + nearest * dy)
    apart_m = _apart_m(x + nearest * dx, y + nearest * dy, lon, lat)
    if apart_m > radius_m:
        return 2.0, -1.0
    if length_m == 0.0:
        return 0.0, 1.0
    off2 = apart_m * apart_m - ((foot - nearest) * length_m) ** 2
    half = math.sqrt(max(0.0, radius_m * radius_m - off2)) / length_m
    return max(0.0, min(nearest, foot - half)), min(1.0, max(nearest, foot + half))


@kernel
def _apart_m(x1: float, y1: float, x2: float, y2: float) -> float:
    """`engine.kernels.distance_m` between the points of the grid: a chord's points lie between them."""
    if abs(x1 - x2) < 2e5 and abs(y1 - y2) < 2e5:
        ky, kx = metres_per_e7(0.5 * (y1 + y2))
        return math.sqrt(((x1 - x2) * kx) ** 2 + ((y1 - y2) * ky) ** 2)
    return vincenty_m(y1 * _RAD_PER_E7, y2 * _RAD_PER_E7, (x2 - x1) * _RAD_PER_E7)
