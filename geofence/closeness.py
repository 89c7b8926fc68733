"""Kernels of closeness: P(near) of two people who both move, from one fix of either. Arrays and records only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel, kernel_part
from engine.kernels import distance_m
from geofence.evidence import MOST_EVIDENCE, evidence_of
from geofence.filter import share_of_news
from geofence.masses import disc_mass

STILL_MPS = 0.5  # how fast people who seem to stay may drift, on each axis
STRANGE_MPS = 3.0  # how fast somebody moves of whom one fix is known, on each axis
MOST_MPS = 40.0  # no faster on each axis, whatever two fixes say
_RAD_PER_E7 = math.pi / 180.0 * 1e-7

SIDE = np.dtype((np.record,
    [("time_us", "i8"), ("lat", "i8"), ("lon", "i8"), ("sigma_m", "f8"), ("model", "i8"), ("silence_us", "i8"),
     ("stale_us", "i8"), ("number", "i8"), ("span_us", "i8"), ("before_lat", "i8"), ("before_lon", "i8"),
     ("before_sigma_m", "f8"), ("before_model", "i8"), ("mps", "f8")]
))  # fmt: skip
"""What is remembered of one side: its newest fix with weight, its number (0: none yet), the one before it and how long that is
ago (`span_us`, 0: too long to lead on from there), and how fast the side seems to move on each axis."""

COMPARED = np.dtype((np.record,
    [("time_us", "i8"), ("row", "i8"), ("p", "f8"), ("says", "f8"), ("sigma_m", "f8"),
     ("moved_m", "f8"), ("way_s", "f8"), ("apart_m", "f8")]
))  # fmt: skip
"""One comparison: the wearer's row at that instant (-1: the fix is the other's), P(near), the evidence, sigma of
the difference of both cores, sigma of what somebody moved and over what time, the distance (inf: far beyond doubt)."""


@kernel
def near_mass(
    apart_m: float, radius_m: float, moved_m: float,
    sigma1: float, tail_weight1: float, tail_ratio1: float, sigma2: float, tail_weight2: float, tail_ratio2: float,
) -> tuple[float, float]:  # fmt: skip
    """P(distance < radius) of two true places whose measured ones are `apart_m` apart, and the most it could be, at 0.

    Each error is a mixture of two isotropic normals, `moved_m` the sigma of what somebody moved since.
    The difference of two normals is one of the summed variances: four terms, each a disc's mass (noncentral chi-squared).
    """
    p, most = 0.0, 0.0
    for k in range(4):
        a = sigma1 * tail_ratio1 if k % 2 else sigma1
        b = sigma2 * tail_ratio2 if k // 2 else sigma2
        weight = (tail_weight1 if k % 2 else 1.0 - tail_weight1) * (tail_weight2 if k // 2 else 1.0 - tail_weight2)
        variance = a * a + b * b + moved_m * moved_m
        p += weight * disc_mass(apart_m, radius_m, math.sqrt(variance))
        most += weight * -math.expm1(-radius_m * radius_m / (2.0 * variance))
    return min(1.0, p), max(1e-12, most)


@kernel
def compare(said: Any, new: Any, old: Any, rules: Any) -> tuple[int, int]:
    """Where `new` has just come, compare it with `old`, whose fix may be older; returns the numbers of the fixes compared.

    Either `old` may have moved since, or `new` is taken on its way at the time of the old fix, if it set out before: whichever
    is known better. The way is straight and even but for what grows in proportion to speed and to the time to either end.
    """
    age_s, g, moved_m = (new.time_us - old.time_us) * 1e-6, 1.0, 0.0
    way_s = age_s
    lat, lon, sigma, model = new.lat, new.lon, new.sigma_m, new.model
    if age_s > 0.0:
        moved_m = old.mps * age_s
        span_s = new.span_us * 1e-6
        if age_s <= span_s:
            share = 1.0 - age_s / span_s
            on_way = (1.0 - share) * new.before_sigma_m + share * new.sigma_m
            strays = new.mps * age_s * share
            if on_way * on_way + strays * strays < sigma * sigma + moved_m * moved_m:
                g, sigma, moved_m, way_s = share, on_way, strays, span_s
                lat = new.before_lat + _rounded(g * (new.lat - new.before_lat))
                lon = new.before_lon + _rounded(g * _short_way(new.lon - new.before_lon))
                if g < 0.5:
                    model = new.before_model
    ratio, old_ratio = rules.tails[model, 1], rules.tails[old.model, 1]
    widest = (sigma * max(1.0, ratio)) ** 2 + (old.sigma_m * max(1.0, old_ratio)) ** 2 + moved_m * moved_m
    if _is_far(lat, lon, old.lat, old.lon, rules.radius_m, widest):
        said.p, said.says, said.apart_m = 0.0, -MOST_EVIDENCE, np.inf
    else:
        said.apart_m = distance_m(lat, lon, old.lat, old.lon)
        said.p, most = near_mass(
            said.apart_m, rules.radius_m, moved_m, sigma, rules.tails[model, 0], ratio,
            old.sigma_m, rules.tails[old.model, 0], old_ratio,
        )  # fmt: skip
        said.says = evidence_of(said.p, most)
    said.sigma_m, said.moved_m, said.way_s = math.sqrt(sigma * sigma + old.sigma_m * old.sigma_m), moved_m, way_s
    return new.number - (1 if g < 0.5 else 0), old.number


@kernel
def news_of(said: Any, dt_s: float, correlation_s: float) -> float:
    """How much of a comparison is new: errors are alike over the correlation time, what somebody moved over its own way."""
    if said.moved_m == 0.0:
        return share_of_news(dt_s, said.sigma_m, correlation_s)
    lasting = said.sigma_m * said.sigma_m / (said.sigma_m * said.sigma_m + said.moved_m * said.moved_m)
    errors = share_of_news(dt_s, said.sigma_m, correlation_s)
    news: float = lasting * errors - (1.0 - lasting) * math.expm1(-dt_s / said.way_s)
    return news


@kernel_part
def _is_far(lat1: int, lon1: int, lat2: int, lon2: int, radius_m: float, widest_m2: float) -> bool:
    """Whether P(near) is 0 and that is clear evidence, by a distance that is never above the true one; `widest_m2` is the
    largest variance of the mixture. By sin^2(d / 2) >= sin^2(dlat / 2) and >= cos^2(the larger latitude) sin^2(dlon / 2)."""
    if radius_m * radius_m < 1e-8 * widest_m2:
        return False
    far_m = radius_m + 10.0 * math.sqrt(widest_m2)
    if abs(lat1 - lat2) * 0.01105 > far_m:
        return True
    dlon = min(600_000_000, abs(_short_way(lon1 - lon2)))
    return dlon * 0.01 > far_m and dlon * 0.01 * math.cos(max(abs(lat1), abs(lat2)) * _RAD_PER_E7) > far_m


@kernel_part
def _rounded(x: float) -> int:
    return math.floor(x + 0.5)


@kernel_part
def _short_way(dlon: int) -> int:
    """A difference of longitudes [1e-7 degree] the short way round."""
    if dlon > 1_800_000_000:
        return dlon - 3_600_000_000
    return dlon + 3_600_000_000 if dlon < -1_800_000_000 else dlon
