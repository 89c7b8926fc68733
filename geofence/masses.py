"""Kernels of P(inside): the mass of a fix's error over discs, polygons and places. Arrays only.

A place is a run of discs and polygons in flat columns (`geofence.places`): coordinates are int32 1e-7 degrees, edges are
straight in longitude and latitude, rings of shells run counter-clockwise and those of holes clockwise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel
from engine.kernels import distance_m, metres_per_e7

# Gauss-Legendre nodes and weights on [0, 1]
_NODES = {n: np.polynomial.legendre.leggauss(n) for n in (10, 12, 32)}
_X10, _X12, _X32 = ((_NODES[n][0] + 1.0) / 2.0 for n in _NODES)
_W10, _W12, _W32 = (_NODES[n][1] / 2.0 for n in _NODES)
_SQRT2 = math.sqrt(2.0)


@kernel
def phi(x: float) -> float:
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-x / _SQRT2)


@kernel
def owens_t(h: float, a: float) -> float:
    """Owen's T function (Owen 1956, Ann. Math. Stat. 27), to 1e-8: quadrature for |a| <= 1, his identity beyond."""
    h, b = abs(h), abs(a)
    if h > 9.0 or b == 0.0:
        return 0.0
    if b > 1.0:
        other = h * b
        t = 0.5 * (phi(h) + phi(other)) - phi(h) * phi(other) - _owens_t_small(other, 1.0 / b)
    else:
        t = _owens_t_small(h, b)
    return t if a > 0.0 else -t


@kernel
def _owens_t_small(h: float, a: float) -> float:
    if h > 9.0:
        return 0.0
    total = 0.0
    for k in range(10):
        x2 = 1.0 + (a * _X10[k]) ** 2
        total += _W10[k] * math.exp(-0.5 * h * h * x2) / x2
    return total * a / (2.0 * math.pi)


@kernel
def edge_mass(ax: float, ay: float, bx: float, by: float) -> float:
    """Signed mass of a standard normal about the origin over the triangle (origin, a, b), in units of sigma.

    With h the distance of the edge's line and t the positions along it from the foot, it is the angle at the origin over
    2 pi less the difference of Owen's T at (h, t / h); summed over a polygon's edges it is exact.
    """
    dx, dy = bx - ax, by - ay
    length = math.sqrt(dx * dx + dy * dy)
    if length == 0.0:
        return 0.0
    cross = ax * by - ay * bx
    h = abs(cross) / length
    if h < 1e-9:
        return 0.0
    t1, t2 = (ax * dx + ay * dy) / length, (bx * dx + by * dy) / length
    angle = math.atan2(t2, h) - math.atan2(t1, h)
    mass = angle / (2.0 * math.pi) - (owens_t(h, t2 / h) - owens_t(h, t1 / h))
    return mass if cross > 0.0 else -mass


@kernel
def disc_mass(distance: float, radius: float, sigma: float) -> float:
    """Mass of an isotropic normal at `distance` from the centre of a disc, over the disc (all metres), to 5e-6.

    One axis is integrated in closed form, the other by Gauss-Legendre over x = radius sin t, with as many nodes as the
    width in sigmas asks for (each case measured against the non-central chi-square distribution).
    """
    low, high = max(-radius, distance - 6.5 * sigma), min(radius, distance + 6.5 * sigma)
    if low >= high:
        return 0.0
    width = (high - low) / sigma
    if width < 3.0:
        return _disc_mass(distance, radius, sigma, low, high, _X12, _W12)
    return _disc_mass(distance, radius, sigma, low, high, _X32, _W32)


@kernel
def _disc_mass(distance: float, radius: float, sigma: float, low: float, high: float, nodes: Any, weights: Any) -> float:
    t1, t2 = math.asin(low / radius), math.asin(high / radius)
    width, total = t2 - t1, 0.0
    for k in range(len(nodes)):
        t = t1 + width * nodes[k]
        u, c = (radius * math.sin(t) - distance) / sigma, radius * math.cos(t)
        total += weights[k] * math.exp(-0.5 * u * u) * math.erf(c / sigma / _SQRT2) * c
    return min(1.0, total * width / (sigma * math.sqrt(2.0 * math.pi)))


@kernel
def polygon_mass(
    x: int, y: int, sigma: float, kx: float, ky: float, xs: Any, ys: Any, rings: Any, first: int, last: int
) -> float:
    """Mass of an isotropic normal (sigma [m]) at a point over the polygon of rings first:last; kx, ky [m per 1e-7 degree]."""
    total, fx, fy = 0.0, kx / sigma, ky / sigma
    for r in range(first, last):
        bx, by = (xs[rings[r]] - x) * fx, (ys[rings[r]] - y) * fy
        for k in range(rings[r] + 1, rings[r + 1]):
            ax, ay = bx, by
            bx, by = (xs[k] - x) * fx, (ys[k] - y) * fy
            total += edge_mass(ax, ay, bx, by)
    return min(1.0, max(0.0, total))


@kernel
def ring_distance_m(x: int, y: int, kx: float, ky: float, xs: Any, ys: Any, start: int, stop: int) -> float:
    """Distance [m] of a point to a ring, in the plane that touches at the point."""
    best = np.inf
    bx, by = (xs[start] - x) * kx, (ys[start] - y) * ky
    for k in range(start + 1, stop):
        ax, ay = bx, by
        bx, by = (xs[k] - x) * kx, (ys[k] - y) * ky
        dx, dy = bx - ax, by - ay
        length2 = dx * dx + dy * dy
        t = min(1.0, max(0.0, -(ax * dx + ay * dy) / length2)) if length2 > 0.0 else 0.0
        px, py = ax + t * dx, ay + t * dy
        best = min(best, px * px + py * py)
    return math.sqrt(best)


@kernel
def beyond(distance: float, sigma: float, tail_weight: float, tail_ratio: float) -> float:
    """Mass of the error mixture farther than `distance` [m] from the fix: bounds what can lie across a boundary."""
    u = 0.5 * (distance / sigma) ** 2
    return (1.0 - tail_weight) * math.exp(-u) + tail_weight * math.exp(-u / (tail_ratio * tail_ratio))


@kernel
def inside_mass(
    x: int, y: int, sigma: float, tail_weight: float, tail_ratio: float,
    place: int, places: Any,
) -> float:  # fmt: skip
    """P(inside): mass of a fix's error mixture over a place (parts are disjoint), within 0.01 of exact, mostly 1e-6."""
    ky, kx = metres_per_e7(float(y))
    total = 0.0
    for p in range(places.parts[place], places.parts[place + 1]):
        if places.disc[p, 2] > 0.0:
            d = distance_m(y, x, np.int64(places.disc[p, 1]), np.int64(places.disc[p, 0]))
            core = disc_mass(d, places.disc[p, 2], sigma)
            tail = disc_mass(d, places.disc[p, 2], sigma * tail_ratio)
        else:
            first, last = places.polygons[p], places.polygons[p + 1]
            core = polygon_mass(x, y, sigma, kx, ky, places.xs, places.ys, places.rings, first, last)
            tail = polygon_mass(x, y, sigma * tail_ratio, kx, ky, places.xs, places.ys, places.rings, first, last)
        total += (1.0 - tail_weight) * core + tail_weight * tail
    return min(1.0, total)


@kernel
def inside_masses(
    x: Any, y: Any, sigma: Any, model: Any, tails: Any,
    place: int, places: Any,
) -> NDArray[np.float64]:  # fmt: skip
    """`inside_mass` of fixes (n,) for one place; model (n,) is the row of each fix's error model in tails (n_models, 2)."""
    out = np.empty(len(x), np.float64)
    for i in range(len(x)):
        out[i] = inside_mass(
            x[i], y[i], sigma[i], tails[model[i], 0], tails[model[i], 1], place, places
        )  # fmt: skip
    return out


@kernel
def most_mass(sigma: float, tail_weight: float, tail_ratio: float, area: float, width: float) -> float:
    """Upper bound of the mass a place of this area [m2] and width [m] could hold for a fix at its best spot."""
    total = 0.0
    for k in range(2):
        s = sigma if k == 0 else sigma * tail_ratio
        weight = 1.0 - tail_weight if k == 0 else tail_weight
        total += weight * min(-math.expm1(-area / (2.0 * math.pi * s * s)), math.erf(width / (2.0 * _SQRT2 * s)))
    return max(total, 1e-12)
