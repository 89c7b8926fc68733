"""Kernels of evidence: what one fix says for a place, in log odds; by bounds where that is clear. Arrays only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel
from engine.kernels import distance_m, metres_per_e7
from geofence.containment import polygon_contains
from geofence.masses import beyond, inside_mass, most_mass, ring_distance_m

CLEAR = 0.0025  # a probability this near to 0 or 1 is as clear as one fix can be
MOST_EVIDENCE = math.log((1.0 - CLEAR) / CLEAR)  # what one fix can say at most, in log odds
LEAST_EVIDENCE = 0.1  # below this a fix says nothing about this place
FAR_SIGMAS = 4.5


@kernel
def evidence_of(p: float, most: float) -> float:
    """What a fix with P(inside) p says for `inside`, in log odds, clipped to MOST_EVIDENCE.

    Above one half it is log p / (1 - p). Below, p counts beside the most that any fix of this accuracy could reach there, so
    that a circle of kilometres says nothing about a small zone in its middle instead of `outside`.
    """
    if p >= 0.5:
        return min(MOST_EVIDENCE, math.log(p / max(1.0 - p, 1e-12)))
    return max(-MOST_EVIDENCE, min(0.0, math.log(max(p, 1e-12) / (most * (1.0 - p)))))


@kernel
def place_evidence(
    x: int, y: int, sigma: float, tail_weight: float, tail_ratio: float, place: int, places: Any,
) -> float:  # fmt: skip
    """`evidence_of` a fix for a place: by bounds where the answer is clear, by the exact mass elsewhere."""
    ky, kx = metres_per_e7(float(y))
    nearest, within, deepest = np.inf, False, 0.0
    for p in range(places.parts[place], places.parts[place + 1]):
        if places.disc[p, 2] > 0.0:
            margin = distance_m(y, x, np.int64(places.disc[p, 1]), np.int64(places.disc[p, 0])) - places.disc[p, 2]
        else:
            margin = np.inf
            for r in range(places.polygons[p], places.polygons[p + 1]):
                margin = min(
                    margin, ring_distance_m(x, y, kx, ky, places.xs, places.ys, places.rings[r], places.rings[r + 1])
                )
            if polygon_contains(x, y, places.xs, places.ys, places.rings, places.polygons[p], places.polygons[p + 1]):
                margin = -margin
        if margin <= 0.0:
            within, deepest = True, max(deepest, -margin)
        nearest = min(nearest, margin)
    if within:
        if beyond(deepest, sigma, tail_weight, tail_ratio) <= CLEAR:
            return MOST_EVIDENCE
    elif beyond(nearest, sigma, tail_weight, tail_ratio) <= 0.99 * CLEAR * most_mass(
        sigma, tail_weight, tail_ratio, places.size[place, 0], places.size[place, 1]
    ):
        return -MOST_EVIDENCE
    p_inside = inside_mass(x, y, sigma, tail_weight, tail_ratio, place, places)
    return evidence_of(p_inside, most_mass(sigma, tail_weight, tail_ratio, places.size[place, 0], places.size[place, 1]))
