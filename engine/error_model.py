"""How wrong a fix may be: a mixture of two isotropic normals, core and tail, scaled by the accuracy that the tag reports.

In two dimensions a circle of radius r that holds the truth with probability q means sigma = r / sqrt(-2 ln(1 - q)) on each
axis (Rayleigh distribution). Real devices are over-confident and heavy-tailed, so the core is only part of the truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import ABSENT, SOURCES
from engine.jit import kernel


class ErrorModel(NamedTuple):
    """Scale of the core, weight and scale of the tail, in units of the width that the reported accuracy implies; floor [m].

    The width is the implied sigma, or where `pivot_m` [m] is not 0 the root of their product (`width_m`). The exclusion
    radius takes `far_scale` for the tail's where that is larger, and is at least `least_radii` reported radii.
    """

    core_scale: float = 1.0
    tail_weight: float = 0.10
    tail_scale: float = 3.5
    floor_m: float = 2.0
    pivot_m: float = 0.0
    far_scale: float = 0.0
    least_radii: float = 1.0


TAG_MODEL = ErrorModel(1.1, 0.06, 3.5, far_scale=4.0)
"""For tags whose circle is meant to hold 95 %, fitted to simulated truth only: 87 % within it, 99.9 % within 4.7 radii."""
PHONE_MODEL = ErrorModel(1.34, 0.18, 6.8, pivot_m=10.0, far_scale=15.0, least_radii=13.6)
"""For phones' 68 % circles, fitted to stays of five people; entries by source told no better (docs/method.md)."""

NO_RADIUS = "no radius"
"""In the place of a source: fixes from satellites or unknown that report no radius."""

DEVICE_MODELS: Mapping[str, Mapping[str, ErrorModel]] = {
    "tag": {
        "": TAG_MODEL,
        "rf": ErrorModel(0.3, 0.05, 1.0),
        "lbs": ErrorModel(1.35, 0.05, 4.5),
        NO_RADIUS: ErrorModel(1.0, 0.10, 11.0, far_scale=15.5),
    },
    "phone": {"": PHONE_MODEL},
}
"""By device model and source; the source "" is for all that have no entry of their own."""

PERCENTILES = {"tag": 0.95, "phone": 0.68}
"""What a circle is said to hold where nothing else is said, by device model."""

DEFAULT_ACCURACY_M = {"unknown": 50.0, "gps": 15.0, "rf": 50.0, "lbs": 1000.0, "wifi": 50.0}
"""The radius taken for a fix that reports none [m], by source."""

EXCLUSION_PROBABILITY = 0.999
_N_SOURCES = 8  # room for every source code
_DEFAULT_M = np.full(_N_SOURCES, DEFAULT_ACCURACY_M["unknown"])
for _name, _code in SOURCES.items():
    _DEFAULT_M[_code] = DEFAULT_ACCURACY_M[_name]


def device_model(name: str, percentile: float) -> str:
    """The name of the device model: the one given, else by what the circle is said to hold."""
    if name and name not in DEVICE_MODELS:
        raise InputError(field="model", value=name, expected=f"one of {', '.join(DEVICE_MODELS)}")
    return name or ("tag" if percentile >= 0.9 else "phone")


class Errors(NamedTuple):
    """The errors of fixes (n,): radius_m, the circle reported or its source's default; sigma_m, of the core on each axis;
    exclusion_m, which holds the truth with 99.9 %; `model`, the row of the fix's error model in `TABLE`."""

    radius_m: NDArray[np.float64]
    sigma_m: NDArray[np.float64]
    exclusion_m: NDArray[np.float64]
    model: NDArray[np.uint8]


def errors(
    accuracy_cm: NDArray[np.int32], source: NDArray[np.int32], percentile: NDArray[np.float64], device: NDArray[np.uint8]
) -> Errors:
    """Errors of fixes by accuracy [cm], source code, percentile in (0, 1) and number of the device model (`number_of`)."""
    radius_m, sigma_m, exclusion_m = np.empty((3, len(source)))
    found = Errors(radius_m, sigma_m, exclusion_m, np.empty(len(source), np.uint8))
    derive_errors(accuracy_cm, source, percentile, device, TABLE, _DEFAULT_M, *found)
    return found


@kernel
def width_m(radius_m: float, percentile: float, pivot_m: float) -> float:
    """The width [m] that a circle implies: the Rayleigh sigma s of its percentile; where a pivot is given, sqrt(pivot s).

    The root is for devices whose small circles promise too much and whose large ones too little; from 16 pivots on, where
    the root is s / 4, the width stays s / 4 (docs/method.md).
    """
    sigma = radius_m / math.sqrt(-2.0 * math.log1p(-percentile))
    return max(math.sqrt(pivot_m * sigma), 0.25 * sigma) if pivot_m > 0.0 else sigma


@kernel
def derive_errors(
    accuracy_cm: Any, source: Any, percentile: Any, device: Any, table: Any, default_m: Any,
    radius_m: Any, sigma_m: Any, exclusion_m: Any, model: Any,
) -> None:  # fmt: skip
    """Fill the columns of `Errors` (n,): sigma is the core's scale times the width, not below the model's floor."""
    for i in range(len(source)):
        silent = accuracy_cm[i] == ABSENT
        row = np.int64(device[i]) * 8 + (7 if silent and source[i] <= 1 else np.int64(source[i]))
        radius = default_m[source[i]] if silent else accuracy_cm[i] / 100.0
        sigma = max(table[row, 0] * width_m(radius, percentile[i], table[row, 5]), table[row, 1])
        radius_m[i], sigma_m[i], model[i] = radius, sigma, row
        exclusion_m[i] = max(sigma * table[row, 4], radius * table[row, 6])


def tails(model: ErrorModel) -> tuple[float, float]:
    """Weight of the tail, and its sigma in units of the core's."""
    return model.tail_weight, model.tail_scale / model.core_scale


@lru_cache(maxsize=64)
def exclusion_sigmas(model: ErrorModel = TAG_MODEL) -> float:
    """The 99.9 % radius of the mixture in units of the core's sigma, by bisection of its survival function; the tail's scale
    is the envelope's."""
    weight, tail = tails(model._replace(tail_scale=max(model.tail_scale, model.far_scale)))
    low, high = 0.0, 10.0 * max(1.0, tail)
    for _ in range(80):
        middle = (low + high) / 2.0
        beyond = (1.0 - weight) * math.exp(-middle * middle / 2.0)
        beyond += weight * math.exp(-middle * middle / 2.0 / (tail * tail))
        low, high = (middle, high) if beyond > 1.0 - EXCLUSION_PROBABILITY else (low, middle)
    return high


def _table(by_name: Mapping[str, Mapping[str, ErrorModel]]) -> NDArray[np.float64]:
    """Rows (n_names * 8, 7): core scale, floor [m], tail weight, tail over core, exclusion in core sigmas, pivot [m], least
    radii of the exclusion."""
    rows = []
    names = {code: name for name, code in SOURCES.items()} | {_N_SOURCES - 1: NO_RADIUS}
    for by_source in by_name.values():
        for code in range(_N_SOURCES):
            model = by_source.get(names.get(code, ""), by_source[""])
            rows.append(
                (model.core_scale, model.floor_m, *tails(model), exclusion_sigmas(model), model.pivot_m, model.least_radii)
            )
    return np.array(rows)


TABLE = _table(DEVICE_MODELS)
"""All error models as the kernels take them; `Errors.model` are its rows."""
TAILS = np.ascontiguousarray(TABLE[:, 2:4])
"""Weight of the tail and its sigma in units of the core's, for each row of TABLE."""


def number_of(name: str) -> int:
    """The number of a device model, as `errors` takes it."""
    return list(DEVICE_MODELS).index(name)
