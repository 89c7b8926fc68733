"""Kernels of evidence: what one fix says for a place, in log odds; by bounds where that is clear. Arrays only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel
from engine.kernels import distance_m, metres_per_e7
from geofence.masses import inside_mass, margin_sigmas, most_mass
from geofence.polygon_mass import winding

CLEAR = 0.0011  # a probability this near to 0 or 1 is as clear as one fix can be
MOST_EVIDENCE = math.log((1.0 - CLEAR) / CLEAR)  # what one fix can say at most, in log odds
LEAST_EVIDENCE = 0.1  # below this a fix says nothing about this place
ABSENT_M = 250.0  # how far from a place to stay at somebody who is not there is as a rule (sigma of a round normal)
MOST_ABSENT = 100.0  # the most that counts for


@kernel
def absence_of(area_m2: float) -> float:
    """What `evidence_of` takes as `absent` for a place to stay at: how much wider than the place they spread who are not there.

    By Bayes a fix is likely with p / area where the truth is inside, and with (1 - p) / (2 pi (sigma^2 + ABSENT_M^2)) where it
    is about the place; their ratio is p / (1 - p) times 2 pi sigma^2 / area, which is 1 / most, plus this.
    """
    return min(MOST_ABSENT, 2.0 * math.pi * ABSENT_M * ABSENT_M / area_m2)


@kernel
def evidence_of(p: float, most: float, absent: float = 0.0) -> float:
    """What a fix with P(inside) p says for `inside`, in log odds, clipped to MOST_EVIDENCE.

    For a zone to keep out of (absent = 0) it is log p / (1 - p) above one half. Below, p counts beside the most that any fix of
    this accuracy could reach there, so that a circle of kilometres says nothing about a small zone in its middle instead of
    `outside`. For a place to stay at see `absence_of`.
    """
    odds = max(p, 1e-12) / max(1.0 - p, 1e-12)
    if absent > 0.0:
        says = math.log(odds * (1.0 / most + absent))
    elif p >= 0.5:
        says = math.log(odds)
    else:
        says = min(0.0, math.log(odds / most))
    return max(-MOST_EVIDENCE, min(MOST_EVIDENCE, says))


@kernel
def clear_limits(most: float, absent: float) -> tuple[float, float]:
    """The mass beyond the boundary up to which a fix inside, and one outside, is as clear as a fix can be."""
    inside = CLEAR * (1.0 + absent) / (1.0 + CLEAR * absent)  # odds of (1 - CLEAR) / CLEAR, less what absence adds
    return 0.999 * inside, 0.99 * CLEAR * most / (1.0 + absent * most)


@kernel
def side_beyond(x: int, y: int, reach_m: float, place: int, places: Any) -> int:
    """1 where the fix lies in a part of the place, 0 where it lies outside them all, by at least `reach_m`; -1 elsewhere."""
    ky, kx = metres_per_e7(float(y))
    side = 0
    for p in range(places.parts[place], places.parts[place + 1]):
        radius = places.disc[p, 2]
        if radius > 0.0:
            deep = radius - distance_m(y, x, np.int64(places.disc[p, 1]), np.int64(places.disc[p, 0]))
            here = -1 if abs(deep) < reach_m else 1 if deep > 0.0 else 0
        else:
            here = winding(x, y, reach_m / kx, reach_m / ky, p, places)
        if here == 1:
            return 1
        side = min(side, here)
    return side


@kernel
def place_evidence(
    x: int, y: int, sigma: float, tail_weight: float, tail_ratio: float, place: int, places: Any, absent: float = 0.0
) -> float:
    """`evidence_of` a fix for a place: by bounds where the answer is clear, by the exact mass elsewhere."""
    most = most_mass(sigma, tail_weight, tail_ratio, places.size[place, 0], places.size[place, 1])
    inside, outside = clear_limits(most, absent)
    near_m = sigma * margin_sigmas(inside, tail_weight, tail_ratio)
    side = side_beyond(x, y, near_m, place, places)
    if side == 1:
        return MOST_EVIDENCE
    if side == 0:
        far_m = sigma * margin_sigmas(outside, tail_weight, tail_ratio)
        if far_m <= near_m or side_beyond(x, y, far_m, place, places) == 0:
            return -MOST_EVIDENCE
    return evidence_of(inside_mass(x, y, sigma, tail_weight, tail_ratio, place, places), most, absent)
