"""Kernels of a polygon's mass: how much of a normal distribution about a fix lies over it, or which side it is on. Arrays only.

Coordinates are int32 1e-7 degrees, edges are straight in longitude and latitude, rings of shells run counter-clockwise and
those of holes clockwise; runs of edges (`geofence.edge_runs`) that are out of reach are passed over whole.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel
from geofence.normal import tabled_phi

TURN = 3_600_000_000  # once round the world [1e-7 degree]
REACH = 6.0  # sigmas beyond which the error counts for nothing: it has a mass of 1.5e-8 there
_LONG = 8.0  # sigmas from which on an edge is cut where it leaves the reach
_TWO_PI = 2.0 * math.pi


def _rule(n: int) -> list[tuple[float, float]]:
    """Nodes and weights of Gauss and Legendre on [0, 1], by Newton's method, so that every machine has the same."""
    rule = []
    for k in range(n):
        x, slope = math.cos(math.pi * (k + 0.75) / (n + 0.5)), 0.0
        for _ in range(8):
            below, p = 1.0, x
            for m in range(1, n):
                below, p = p, ((2 * m + 1) * x * p - m * below) / (m + 1)
            slope = n * (x * p - below) / (x * x - 1.0)
            x -= p / slope
        rule.append((0.5 + 0.5 * x, 1.0 / ((1.0 - x * x) * slope * slope)))
    return rule


# Rules of 1 to 12 nodes end to end: that of n nodes begins at n (n - 1) / 2
_RULES = np.array([pair for n in range(1, 13) for pair in _rule(n)])
_NODES, _WEIGHTS = np.ascontiguousarray(_RULES.T)
_OFF_MIDDLE_2, _OFF_MIDDLE_3 = math.sqrt(1.0 / 12.0), math.sqrt(0.15)
# Longest edge [sigma] for which 4, 5, ... nodes leave less than 1e-7 (measured over random edges), by its square in eighths
_LONGEST = (1.7, 2.5, 3.4, 4.3, 5.2, 6.0, 7.0, 7.9)
_N_NODES = np.array([4 + sum(math.sqrt((k + 1) / 8.0) > most for most in _LONGEST) for k in range(513)])


def _radial(u: float) -> list[float]:
    """Cubic (4) about u = r^2, good to 1e-9 within 1/8, for (1 - exp(-u / 2)) / (2 pi u), the mean of exp(-u s / 2) / (4 pi)
    over s in [0, 1]: its derivatives are moments of s, by their series for small u, by recurrence beyond."""
    v, taylor, moment = 0.5 * u, [], 0.0
    for n in range(5):
        if v < 8.0:
            moment, term = 0.0, math.exp(-v) / (n + 1)
            for k in range(1, 60):
                moment, term = moment + term, term * v / (n + 1 + k)
        else:
            moment = (n * moment - math.exp(-v)) / v if n else -math.expm1(-v) / v
        taylor.append(moment * (-0.5) ** n / math.factorial(n) / (2.0 * _TWO_PI))
    # d^4 is (d / 8)^2 - (1 / 8)^4 / 8 to within a Chebyshev polynomial
    return [taylor[0] - taylor[4] / 8.0**5, taylor[1], taylor[2] + taylor[4] / 8.0**2, taylor[3]]


_RADIAL = np.array([_radial(0.25 * k + 0.125) for k in range(1601)])


@kernel
def short_way(x: Any, west: Any, east: Any) -> Any:
    """Longitude x [1e-7 degree], or x a turn on or back where that is nearer to the middle of west and east."""
    lon = np.int64(x)
    from_middle = 2 * lon - np.int64(west) - np.int64(east)
    if from_middle > TURN:
        return lon - TURN
    return lon + TURN if from_middle < -TURN else lon


@kernel
def _turn(x: float, y: float) -> float:
    return math.atan2(y, x) / _TWO_PI


@kernel
def _passes(ay: float, by: float, left: bool) -> float:
    """Turns to count where an edge from ay to by goes from one side of the negative x axis to the other; `left` says whether
    the fix lies on its left."""
    down, up = ay >= 0.0 > by, ay < 0.0 <= by
    return 1.0 if down and left else -1.0 if up and not left else 0.0


@kernel
def triangle_mass(ax: float, ay: float, dx: float, dy: float) -> float:
    """Signed mass of a standard normal about the origin over the triangle (origin, a, a + d), |d| up to 8, to 1e-7.

    It is cross(a, d) / 2 pi times the mean along the edge of (1 - exp(-r^2 / 2)) / r^2, which is smooth everywhere, on the
    edge and at its ends too: few nodes do.
    """
    length2, cross = dx * dx + dy * dy, ax * dy - ay * dx
    mx, my = ax + 0.5 * dx, ay + 0.5 * dy
    if length2 < 0.05:  # two nodes
        ex, ey = _OFF_MIDDLE_2 * dx, _OFF_MIDDLE_2 * dy
        return cross * 0.5 * (_radial_at(mx - ex, my - ey) + _radial_at(mx + ex, my + ey))
    if length2 < 0.9:  # three
        ex, ey = _OFF_MIDDLE_3 * dx, _OFF_MIDDLE_3 * dy
        sides = _radial_at(mx - ex, my - ey) + _radial_at(mx + ex, my + ey)
        return cross * (_radial_at(mx, my) * (4.0 / 9.0) + sides * (5.0 / 18.0))
    n = _N_NODES[int(length2 * 8.0)]
    first, total = n * (n - 1) // 2, 0.0
    for k in range(first, first + n):
        total += _WEIGHTS[k] * _radial_at(ax + _NODES[k] * dx, ay + _NODES[k] * dy)
    return total * cross


@kernel
def _radial_at(x: float, y: float) -> float:
    """(1 - exp(-r^2 / 2)) / (2 pi r^2) at a point, r up to 20."""
    r2 = x * x + y * y
    row = int(r2 * 4.0)
    d = r2 - (row * 0.25 + 0.125)
    value: float = (_RADIAL[row, 0] + d * _RADIAL[row, 1]) + d * d * (_RADIAL[row, 2] + d * _RADIAL[row, 3])
    return value


@kernel
def polygon_mass(x: int, y: int, sigma: float, kx: float, ky: float, part: int, places: Any) -> float:
    """Mass of an isotropic normal (sigma [m]) at a point over one polygon, to 1e-7; kx, ky [m per 1e-7 degree].

    Triangles from the fix to the edges near it, and for each chain of edges out of the error's reach the angle it is seen
    under, in turns: the mass beyond them is at most exp(-REACH^2 / 2) of that. Runs of edges out of reach are passed over.
    """
    boxes, runs, xs, ys = places.run_boxes, places.runs, places.xs, places.ys
    run, end = places.trees[part], places.trees[part + 1]
    fx, fy = kx / sigma, ky / sigma
    wide, high = REACH / fx, REACH / fy
    lon, lat = short_way(x, boxes[run, 0], boxes[run, 2]), np.int64(y)
    total, joint, begun, away = 0.0, np.int64(-1), False, False
    while run < end:
        first, last, after = runs[run, 0], runs[run, 1], runs[run, 2]
        if first != joint:  # another ring: close the one before
            if away != begun:
                begin = _turn((xs[joint] - lon) * fx, (ys[joint] - lat) * fy)
                total += begin if away else -begin
            begun = away = abs(xs[first] - lon) > wide or abs(ys[first] - lat) > high
            joint = first
        left = lon - boxes[run, 2] > wide
        if left or boxes[run, 0] - lon > wide or boxes[run, 1] - lat > high or lat - boxes[run, 3] > high:
            if not away:
                total -= _turn((xs[first] - lon) * fx, (ys[first] - lat) * fy)
                away = True
            if left:
                total += _passes(float(ys[first] - lat), float(ys[last] - lat), ys[last] < lat)
            joint, run = last, after
        else:
            run += 1
            if run == after:
                bx, by = (xs[first] - lon) * fx, (ys[first] - lat) * fy
                for k in range(first + 1, last + 1):
                    ax, ay = bx, by
                    bx, by = (xs[k] - lon) * fx, (ys[k] - lat) * fy
                    total, away = _edge_mass(total, away, ax, ay, bx, by)
                joint = last
    if away != begun:
        begin = _turn((xs[joint] - lon) * fx, (ys[joint] - lat) * fy)
        total += begin if away else -begin
    return min(1.0, max(0.0, total))


@kernel
def _edge_mass(total: float, away: bool, ax: float, ay: float, bx: float, by: float) -> tuple[float, bool]:
    """Add one edge to the total; `away` says whether the edge before was out of reach, so that a chain is under way."""
    dx, dy = bx - ax, by - ay
    left = (ax < -REACH) & (bx < -REACH)
    if left | ((ax > REACH) & (bx > REACH)) | ((ay > REACH) & (by > REACH)) | ((ay < -REACH) & (by < -REACH)):
        if not away:
            total -= _turn(ax, ay)
        return total + (_passes(ay, by, by < 0.0) if left else 0.0), True
    if dx * dx + dy * dy >= _LONG * _LONG:
        return _long_mass(total, away, ax, ay, bx, by)
    if away:
        total += _turn(ax, ay)
    return total + triangle_mass(ax, ay, dx, dy), False


@kernel
def _long_mass(total: float, away: bool, ax: float, ay: float, bx: float, by: float) -> tuple[float, bool]:
    """An edge of many sigmas: the piece of it within reach, cut at the circle of REACH, and the pieces out of reach."""
    dx, dy = bx - ax, by - ay
    length, cross = math.sqrt(dx * dx + dy * dy), ax * by - ay * bx
    ux, uy, h = dx / length, dy / length, cross / length
    left = cross > 0.0 or (cross == 0.0 and dx < 0.0)
    half = math.sqrt(max(0.0, REACH * REACH - h * h))
    t1 = ax * ux + ay * uy
    t2 = t1 + length
    through, near = t1 <= -half and t2 >= half, t1 < half and t2 > -half
    if not away and (through or not near or t1 < -half):
        total -= _turn(ax, ay)
        away = True
    if through or not near:
        beyond_it = tabled_phi(-abs(h)) if through else 0.0
        return total + _passes(ay, by, left) - (beyond_it if left else -beyond_it), away
    px, py, qx, qy = ax, ay, bx, by
    if t1 < -half:
        px, py = h * uy - half * ux, -h * ux - half * uy
        total += _passes(ay, py, left)
    if away:
        total += _turn(px, py)
    away = t2 > half
    if away:
        qx, qy = h * uy + half * ux, -h * ux + half * uy
        total += _passes(qy, by, left) - _turn(qx, qy)
    dx, dy = qx - px, qy - py
    if dx * dx + dy * dy >= _LONG * _LONG:
        dx, dy = 0.5 * dx, 0.5 * dy
        total += triangle_mass(px + dx, py + dy, dx, dy)
    return total + triangle_mass(px, py, dx, dy), away


@kernel
def winding(x: int, y: int, wide: float, high: float, part: int, places: Any) -> int:
    """Whether a polygon holds the point (1) or not (0); -1 where its boundary meets the box of half sides wide, high [1e-7
    degree] about the point, closed. Counts the runs of edges right of the box that pass the point's latitude."""
    boxes, runs, xs, ys = places.run_boxes, places.runs, places.xs, places.ys
    run, end = places.trees[part], places.trees[part + 1]
    lon, lat, turns = short_way(x, boxes[run, 0], boxes[run, 2]), np.int64(y), 0
    while run < end:
        first, last, after = runs[run, 0], runs[run, 1], runs[run, 2]
        if boxes[run, 1] - lat > high or lat - boxes[run, 3] > high or lon - boxes[run, 2] > wide:
            run = after
        elif boxes[run, 0] - lon > wide:
            turns += int(ys[last] > lat) - int(ys[first] > lat)
            run = after
        else:
            run += 1
            if run == after:
                for k in range(first, last):
                    ax, ay, bx, by = xs[k] - lon, ys[k] - lat, xs[k + 1] - lon, ys[k + 1] - lat
                    if min(ay, by) > high or max(ay, by) < -high or max(ax, bx) < -wide:
                        continue
                    if min(ax, bx) <= wide:
                        side = _side(ax, ay, bx, by, wide, high)
                        if side == 0:
                            return -1
                        if side < 0:
                            continue
                    turns += int(by > 0) - int(ay > 0)
    return turns


@kernel
def _side(ax: int, ay: int, bx: int, by: int, wide: float, high: float) -> int:
    """Where an edge passes the box about the origin: 0 meets it, 1 crosses the x axis right of it or not at all, -1 left."""
    dx, dy = float(bx - ax), float(by - ay)
    cross, reach = float(ax * by - ay * bx), abs(dx) * high + abs(dy) * wide
    if abs(cross) <= reach:
        return 0
    return 1 if (cross > 0.0) == (dy > 0.0) else -1
