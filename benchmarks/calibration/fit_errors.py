"""Fits the error models of `engine.error_model` on one part of the known errors and checks them on the rest.

`python -m benchmarks.calibration.fit_errors` prints the table and writes benchmarks/results/errors.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.dwells import Floats, Observed, phones, receivers, simulated
from engine.error_model import DEFAULT_ACCURACY_M, DEVICE_MODELS, NO_RADIUS, ErrorModel, exclusion_sigmas, tails, width_m

RESULTS = Path(__file__).resolve().parents[1] / "results"
FIT_SEEDS, CHECK_SEEDS = (101, 102, 103), (201, 202, 203)
PIVOT_M = 10.0
GROSS_M = 10_000.0
"""Farther off is no error of measurement but a wireless network that has moved: not fitted, but counted in the check."""
CENSORED = 0.99
"""How far the farthest hundredth lies does not shape the fit: one wild fix would set the tail of all. `far_scale` minds it."""
TAG, PHONE = 0.95, 0.68


class Fit(NamedTuple):
    """One model fitted and checked: `found` by likelihood, `safe` with an envelope, `engine` as it stands in the code."""

    device: str
    source: str
    truth: str
    n_fit: int
    n_check: int
    found: ErrorModel
    safe: ErrorModel
    engine: ErrorModel
    within: float
    beyond: tuple[float, float, float]
    gain: float


def fit(z: Floats, weight: Floats, core: float | None = None) -> tuple[float, float, float]:
    """Core scale, tail weight, tail scale of distances in widths z (n,) by expectation maximisation, weights (n,).

    For a round normal of scale s, u = z^2 / 2 is exponential with mean s^2, so this is a mixture of two exponentials
    (Dempster, Laird, Rubin 1977). The farthest hundredth is censored: it counts as beyond the cut, however far, which in an
    exponential means the cut plus its mean. A core that is given stays.
    """
    cut = float(np.quantile(z, CENSORED)) ** 2 / 2.0
    censored = z * z / 2.0 > cut
    u = np.minimum(z * z / 2.0, cut)
    share, a2, b2 = 0.1, core**2 if core else float(np.median(u)), float(np.quantile(u, 0.98))
    for _ in range(3000):
        inner, outer = (1.0 - share) * np.exp(-u / a2), share * np.exp(-u / b2)
        inner, outer = np.where(censored, inner, inner / a2), np.where(censored, outer, outer / b2)
        far = weight * outer / np.maximum(inner + outer, 1e-300)
        near = weight - far
        before = share, a2, b2
        share = float(far.sum() / weight.sum())
        b2 = float((far * (u + b2 * censored)).sum() / far.sum())
        a2 = core**2 if core else float((near * (u + a2 * censored)).sum() / near.sum())
        if np.allclose(before, (share, a2, b2), rtol=1e-8, atol=0.0):
            break
    return math.sqrt(a2), share, math.sqrt(max(a2, b2))


def with_envelope(model: ErrorModel, z: Floats, weight: Floats) -> ErrorModel:
    """With a `far_scale` that leaves out at least as much as the fixes do at 99 %, 99.5 % and, of many, 99.9 %."""
    order = np.argsort(z)
    share = np.cumsum(weight[order]) / weight.sum()
    far = model.tail_scale
    for level in (0.99, 0.995, *([0.999] if len(z) >= 10_000 else [])):
        edge = float(z[order][np.searchsorted(share, level)])
        while outside(model._replace(tail_scale=far), edge) < 1.0 - level:
            far *= 1.01
    return model._replace(far_scale=far)


def outside(model: ErrorModel, z: float) -> float:
    """The share of errors that the model expects beyond z widths."""
    core, tail = (math.exp(-0.5 * (z / scale) ** 2) for scale in (model.core_scale, model.tail_scale))
    return (1.0 - model.tail_weight) * core + model.tail_weight * tail


def widths(radius_m: Floats, percentile: float, pivot_m: float) -> Floats:
    """`width_m` of each radius (n,)."""
    return np.array([width_m(float(radius), percentile, pivot_m) for radius in radius_m])


def equal_weights(group: NDArray[Any]) -> Floats:
    """Weights (n,) that give each group the same, one on average."""
    _, number, n = np.unique(group, return_inverse=True, return_counts=True)
    return len(group) / len(n) / n[number]


def wilson(n_hits: int, n: int) -> tuple[float, float, float]:
    """A share and its 95 % interval (Wilson 1927), as if the fixes were independent, which they are not."""
    share, q = n_hits / n, 1.96**2 / n
    middle, half = (share + q / 2) / (1 + q), math.sqrt(share * (1 - share) * q + q * q / 4) / (1 + q)
    return share, max(0.0, middle - half), middle + half


def sigmas(model: ErrorModel, radius_m: Floats, percentile: float) -> Floats:
    """Sigma of the core [m] of each radius (n,), as `engine.error_model` derives it."""
    return np.maximum(model.core_scale * widths(radius_m, percentile, model.pivot_m), model.floor_m)


def excluded_m(model: ErrorModel, radius_m: Floats, percentile: float) -> Floats:
    """Exclusion radius [m] of each reported radius (n,)."""
    return np.maximum(sigmas(model, radius_m, percentile) * exclusion_sigmas(model), radius_m * model.least_radii)


def density(model: ErrorModel, observed: Observed, percentile: float) -> float:
    """Mean log density [per m2] of the errors under a model; what is gross does not count."""
    near = observed.take(observed.distance_m < GROSS_M)
    sigma = sigmas(model, near.radius_m, percentile)
    share, ratio = tails(model)
    u = 0.5 * (near.distance_m / sigma) ** 2
    inside = (1.0 - share) * np.exp(-u) + share / ratio**2 * np.exp(-u / ratio**2)
    return float(np.mean(np.log(np.maximum(inside, 1e-300) / (2.0 * math.pi * sigma**2))))


def checked(
    device: str, source: str, truth: str, known: Observed, unseen: Observed, percentile: float,
    pivot_m: float = 0.0, core: float | None = None,
) -> Fit:  # fmt: skip
    """Fit on what is known, check the engine's own model on what the fit has not seen."""
    near = known.take(known.distance_m < GROSS_M)
    z, weight = near.distance_m / widths(near.radius_m, percentile, pivot_m), equal_weights(near.group)
    found = ErrorModel(*fit(z, weight, core), pivot_m=pivot_m)
    by_source = DEVICE_MODELS[device]
    engine = by_source.get(source, by_source[""])
    n_beyond = int((unseen.distance_m > excluded_m(engine, unseen.radius_m, percentile)).sum())
    gain = density(engine, unseen, percentile) - density(ErrorModel(1.0, 0.0, 1.0), unseen, percentile)
    return Fit(
        device, source, truth, len(near.radius_m), len(unseen.radius_m), found, with_envelope(found, z, weight), engine,
        float(np.mean(unseen.distance_m <= unseen.radius_m)), wilson(n_beyond, len(unseen.radius_m)), gain,
    )  # fmt: skip


def halves(observed: Observed) -> tuple[Observed, Observed]:
    """Every other group by name for the fit, the rest for the check."""
    to_fit = np.isin(observed.group, np.unique(observed.group)[::2])
    return observed.take(to_fit), observed.take(~to_fit)


def all_fits() -> list[Fit]:
    """The fits of simulated tags by source, of phones, and of receivers that report no radius."""
    known, unseen = simulated(FIT_SEEDS), simulated(CHECK_SEEDS)
    fits = [
        checked("tag", name, "simulated", known.take(known.source == name), unseen.take(unseen.source == name), TAG)
        for name in ("gps", "rf", "wifi", "lbs")
    ]
    if stays := phones():
        fits.append(checked("phone", "", "real stays", *halves(stays), PHONE, PIVOT_M))
        for name in ("gps", "wifi", "lbs"):
            fits.append(checked("phone", name, "real stays", *halves(stays.take(stays.source == name)), PHONE, PIVOT_M))
    if still := receivers():
        silent = still._replace(radius_m=np.full(len(still.radius_m), DEFAULT_ACCURACY_M["gps"]))
        fits.append(checked("tag", NO_RADIUS, "real receivers, the same for fit and check", silent, silent, TAG, core=1.0))
    return fits


def table(fits: Sequence[Fit]) -> str:
    """The fits as text, one line each; scales and weights as (core, tail weight, tail)."""
    lines = [f"{'model':16}{'truth':18}{'n fit':>8}{'n check':>9}  {'fitted':22}{'envelope':>9}  {'engine':22}"
             f"{'within r':>9}  {'beyond exclusion':26}{'gain':>6}"]  # fmt: skip
    for each in fits:
        found, engine = (f"{m.core_scale:.3f} {m.tail_weight:.3f} {m.tail_scale:.2f}" for m in (each.found, each.engine))
        share, low, high = (f"{100 * value:.3f}" for value in each.beyond)
        lines.append(
            f"{each.device + '/' + (each.source or '*'):16}{each.truth[:16]:18}{each.n_fit:8,}{each.n_check:9,}  {found:22}"
            f"{each.safe.far_scale:9.2f}  {engine:22}{each.within:9.3f}  {f'{share} % ({low} to {high})':26}{each.gain:6.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Fit, print, write."""
    fits = all_fits()
    if phones() is None or receivers() is None:
        print("shared/data is not here or not whole: what rests on it is left out")
    print(table(fits))
    print("gain: mean log density of the unseen errors over that of the plain normal that takes the circle at its word")
    RESULTS.mkdir(exist_ok=True)
    rows = [each._asdict() | {name: getattr(each, name)._asdict() for name in ("found", "safe", "engine")} for each in fits]
    (RESULTS / "errors.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
