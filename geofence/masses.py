"""Kernels of P(inside): the mass of a fix's error over discs and places, and its bounds. Arrays only.

A place is a run of discs and polygons in flat columns (`geofence.places`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel
from engine.kernels import distance_m, metres_per_e7
from geofence.normal import tabled_density, tabled_phi
from geofence.polygon_mass import REACH, polygon_mass

_SQRT2 = math.sqrt(2.0)
_SQRT_2PI = math.sqrt(2.0 * math.pi)

# Trapezia across a disc wider than the error's reach; midpoints about a narrower one: cosines, sines of n nodes from n on
_ACROSS = np.arange(9) * 0.75
_ACROSS_WEIGHTS = np.array([(1.0 if k else 0.5) * 1.5 * math.exp(-0.5 * (0.75 * k) ** 2) / _SQRT_2PI for k in range(9)])
_ANGLES = np.concatenate([(np.arange(n) + 0.5) * (0.5 * math.pi / n) for n in (4, 8, 12)])
_COSINES = np.array([math.cos(t) for t in _ANGLES])
_SINES = np.array([math.sin(t) for t in _ANGLES])


@kernel
def disc_mass(distance: float, radius: float, sigma: float) -> float:
    """Mass of an isotropic normal at `distance` from the centre of a disc, over the disc (all metres), to 1e-8.

    One axis is integrated in closed form; the other by sums of equal steps, which converge exponentially here: across the
    disc where it is wider than the error's reach, about its centre where it is not.
    """
    r, d, deep = radius / sigma, distance / sigma, (radius - distance) / sigma
    if abs(deep) >= REACH:
        return 1.0 if deep > 0.0 else 0.0
    total = 0.0
    if r > 6.5:
        for k in range(9):
            y2 = _ACROSS[k] * _ACROSS[k]
            total += _ACROSS_WEIGHTS[k] * tabled_phi(deep - y2 / (r + math.sqrt(r * r - y2)))
        return min(1.0, total)
    n = 4 if r <= 1.5 else 8 if r <= 4.0 else 12
    first = n * (n - 4) // 8
    for k in range(first, first + n):
        c, s = r * _COSINES[k], r * _SINES[k]
        total += tabled_density(s) * (tabled_phi(d + c) - tabled_phi(d - c)) * c
    return min(1.0, total * math.pi / n)


@kernel
def beyond(distance: float, sigma: float, tail_weight: float, tail_ratio: float) -> float:
    """Mass of the error mixture farther than `distance` [m] from the fix: bounds what can lie across a boundary."""
    u = 0.5 * (distance / sigma) ** 2
    return (1.0 - tail_weight) * math.exp(-u) + tail_weight * math.exp(-u / (tail_ratio * tail_ratio))


@kernel
def inside_mass(x: int, y: int, sigma: float, tail_weight: float, tail_ratio: float, place: int, places: Any) -> float:
    """P(inside): mass of a fix's error mixture over a place (parts are disjoint), within 0.01 of exact, mostly 1e-7."""
    ky, kx = metres_per_e7(float(y))
    total = 0.0
    for p in range(places.parts[place], places.parts[place + 1]):
        radius = places.disc[p, 2]
        if radius > 0.0:
            d = distance_m(y, x, np.int64(places.disc[p, 1]), np.int64(places.disc[p, 0]))
            core, tail = disc_mass(d, radius, sigma), disc_mass(d, radius, sigma * tail_ratio)
        else:
            core = polygon_mass(x, y, sigma, kx, ky, p, places)
            tail = polygon_mass(x, y, sigma * tail_ratio, kx, ky, p, places)
        total += (1.0 - tail_weight) * core + tail_weight * tail
    return min(1.0, total)


@kernel
def inside_masses(x: Any, y: Any, sigma: Any, model: Any, tails: Any, place: int, places: Any) -> NDArray[np.float64]:
    """`inside_mass` of fixes (n,) for one place; model (n,) is the row of each fix's error model in tails (n_models, 2)."""
    out = np.empty(len(x), np.float64)
    for i in range(len(x)):
        out[i] = inside_mass(x[i], y[i], sigma[i], tails[model[i], 0], tails[model[i], 1], place, places)
    return out


@kernel
def margin_sigmas(limit: float, tail_weight: float, tail_ratio: float) -> float:
    """A distance [sigma of the core] beyond which the error mixture has a mass of at most `limit`, at most 1 % of it core."""
    core = math.log(max(1e-300, 1.0 - tail_weight) / (0.01 * limit))
    tail = tail_ratio * tail_ratio * math.log(max(1e-300, tail_weight) / (0.99 * limit))
    return math.sqrt(2.0 * max(0.0, core, tail))


@kernel
def most_mass(sigma: float, tail_weight: float, tail_ratio: float, area: float, width: float) -> float:
    """Upper bound of the mass a place of this area [m2] and width [m] could hold for a fix at its best spot."""
    total = 0.0
    for k in range(2):
        s = sigma if k == 0 else sigma * tail_ratio
        weight = 1.0 - tail_weight if k == 0 else tail_weight
        total += weight * min(-math.expm1(-area / (2.0 * math.pi * s * s)), math.erf(width / (2.0 * _SQRT2 * s)))
    return max(total, 1e-12)
