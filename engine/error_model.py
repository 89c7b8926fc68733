"""How wrong a fix may be: a mixture of two isotropic normals, core and tail, scaled by the accuracy that the tag reports.

In two dimensions a circle of radius r that holds the truth with probability q means sigma = r / sqrt(-2 ln(1 - q)) on each
axis (Rayleigh distribution). Real devices are over-confident and heavy-tailed, so the core is only part of the truth.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.fixes import ABSENT, SOURCES


class ErrorModel(NamedTuple):
    """Scale of the core, weight and scale of the tail, in units of the sigma that the reported accuracy implies; floor [m]."""

    core_scale: float = 1.0
    tail_weight: float = 0.10
    tail_scale: float = 3.5
    floor_m: float = 2.0


TAG_MODEL = ErrorModel()
"""For devices whose circle is meant to hold 95 %: 88 % within it, 1.7 % beyond 2.7 radii, 0.1 % beyond 4.3 radii."""
PHONE_MODEL = ErrorModel(1.0, 0.15, 6.5, 2.0)
"""For 68 % circles: from 4 sigma on it leaves out more than the real phone dwells show (docs/method.md)."""


def model_of(percentile: float) -> ErrorModel:
    """The model of devices whose circle is said to hold the truth with this probability."""
    return TAG_MODEL if percentile >= 0.9 else PHONE_MODEL


DEFAULT_ACCURACY_M = {"unknown": 50.0, "gps": 15.0, "rf": 50.0, "lbs": 1000.0, "wifi": 50.0}
"""The radius taken for a fix that reports none [m], by source."""

EXCLUSION_PROBABILITY = 0.999


def radius_m(accuracy_cm: NDArray[np.int32], source: NDArray[np.int32]) -> NDArray[np.float64]:
    """Reported radius [m], or the source's default where the tag reported none; shape (n,)."""
    default = np.full(max(SOURCES.values()) + 1, DEFAULT_ACCURACY_M["unknown"])
    for name, code in SOURCES.items():
        default[code] = DEFAULT_ACCURACY_M[name]
    return np.where(accuracy_cm == ABSENT, default[source], accuracy_cm / 100.0)


def sigma_m(
    radius: NDArray[np.float64], percentile: NDArray[np.float64] | float, model: ErrorModel = TAG_MODEL
) -> NDArray[np.float64]:
    """Sigma of the core on each axis [m], never below the model's floor; percentile in (0, 1)."""
    core: NDArray[np.float64] = model.core_scale * radius / np.sqrt(-2.0 * np.log1p(-np.asarray(percentile)))
    return np.maximum(core, model.floor_m)


def exclusion_radius_m(
    radius: NDArray[np.float64], percentile: NDArray[np.float64] | float, model: ErrorModel = TAG_MODEL
) -> NDArray[np.float64]:
    """Radius that holds the truth with 99.9 % by the error model, never less than the reported radius [m]."""
    return np.maximum(sigma_m(radius, percentile, model) * exclusion_sigmas(model), radius)


@lru_cache(maxsize=16)
def exclusion_sigmas(model: ErrorModel = TAG_MODEL) -> float:
    """The 99.9 % radius of the mixture in units of the core's sigma, by bisection of its survival function."""
    tail = model.tail_scale / model.core_scale
    low, high = 0.0, 10.0 * max(1.0, tail)
    for _ in range(80):
        middle = (low + high) / 2.0
        beyond = (1.0 - model.tail_weight) * math.exp(-middle * middle / 2.0)
        beyond += model.tail_weight * math.exp(-middle * middle / 2.0 / (tail * tail))
        low, high = (middle, high) if beyond > 1.0 - EXCLUSION_PROBABILITY else (low, middle)
    return high
