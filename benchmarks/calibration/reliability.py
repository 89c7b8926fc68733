"""Reliability of P(inside) where it is undecided, beside hard point-in-polygon and the circle taken at its word.

`python -m benchmarks.calibration.reliability` prints the tables and writes benchmarks/results/reliability.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
import shapely.affinity
from numpy.typing import NDArray

from benchmarks.calibration.dwells import Floats, Observed, phones, receivers, simulated
from benchmarks.calibration.fit_errors import PHONE, RESULTS, TAG, halves
from engine.error_model import DEFAULT_ACCURACY_M, TAILS, errors, number_of
from engine.fixes import ABSENT, SOURCES
from engine.kernels import metres_per_e7
from geofence.masses import inside_masses
from geofence.places import compile_places
from geofence.zone import Circle, Place

LAT_E7, LON_E7 = 532_000_000, -5_000_000
SEEDS = (301, 302, 303)
UNDECIDED = (0.02, 0.98)
N_BINS = 10
WINDOW_SIGMAS = 4.0


class Law(NamedTuple):
    """What a method says of each fix: sigma of the core [m] (n,), its row in tails (n_rows, 2): weight, tail over core."""

    sigma_m: Floats
    row: NDArray[np.int64]
    tails: Floats


class Pairs(NamedTuple):
    """Fixes beside zones (n,): P(inside) by the engine and by the plain normal, hard answer, the truth; number of the fix."""

    engine: Floats
    plain: Floats
    hard: Floats
    truth: NDArray[np.bool_]
    fix: NDArray[np.int64]


def zones() -> list[tuple[str, Any]]:
    """Names and shapes [m about their middle]; a disc is given by its radius."""
    square = shapely.box(-1, -1, 1, 1)
    return [
        ("disc 25 m", 25.0), ("disc 60 m", 60.0), ("disc 150 m", 150.0), ("disc 500 m", 500.0), ("disc 2 km", 2000.0),
        ("square 100 m", _turned(square, 50, 50, 20)), ("square 400 m", _turned(square, 200, 200, 65)),
        ("corridor 30 x 500 m", _turned(square, 15, 250, 40)), ("corridor 100 x 1500 m", _turned(square, 50, 750, -25)),
        ("ring 120 m", _turned(square, 120, 120, 10).difference(_turned(square, 70, 70, 10))),
        ("corner", shapely.Polygon([(-90, -90), (90, -90), (90, -30), (-30, -30), (-30, 90), (-90, 90)])),
    ]  # fmt: skip


def engine_law(observed: Observed, device: str, percentile: float) -> Law:
    """What the engine says of each fix, by the very function that it uses; a radius of nan is one not reported."""
    n = len(observed.radius_m)
    silent = np.isnan(observed.radius_m)
    accuracy_cm = np.where(silent, ABSENT, np.rint(np.where(silent, 0.0, observed.radius_m) * 100.0)).astype(np.int32)
    source = np.array([SOURCES[name] for name in observed.source.tolist()], np.int32)
    said = errors(accuracy_cm, source, np.full(n, percentile), np.full(n, number_of(device), np.uint8))
    return Law(said.sigma_m, said.model.astype(np.int64), TAILS)


def _turned(shape: Any, half_x: float, half_y: float, degrees: float) -> Any:
    return shapely.affinity.rotate(shapely.affinity.scale(shape, half_x, half_y), degrees)


def pairs(observed: Observed, law: Law, plain_sigma_m: Floats, rounds: int, seed: int) -> Pairs:
    """Each fix `rounds` times beside a zone drawn by lot, at an offset drawn by lot; those where the engine is undecided.

    The truth is uniform over the whole plane about the zone, whatever the error. Of that, the part where the fix falls
    in a window about the zone is what matters, and it is drawn directly: the fix uniform in the window, the truth its error
    away. Window and zone do not depend on the error.
    """
    rng = np.random.default_rng(seed)
    shapes = zones()
    which = rng.integers(len(shapes), size=(rounds, len(observed.east_m)))
    found = []
    for turn in range(rounds):
        for number, (_, shape) in enumerate(shapes):
            fix = np.flatnonzero(which[turn] == number)
            found.append(_beside(shape, fix, observed, law, plain_sigma_m, rng))
    return Pairs(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _beside(
    shape: Any, fix: NDArray[np.int64], observed: Observed, law: Law, plain_sigma_m: Floats, rng: np.random.Generator
) -> Pairs:
    north, east = metres_per_e7(float(LAT_E7))
    half = shape if isinstance(shape, float) else max(map(abs, shape.bounds))
    reach = half + WINDOW_SIGMAS * law.sigma_m[fix]
    x, y = np.rint(rng.uniform(-reach, reach) / east), np.rint(rng.uniform(-reach, reach) / north)
    places = compile_places([(_placed(shape, north, east),)])
    at = (x + LON_E7).astype(np.int32), (y + LAT_E7).astype(np.int32)
    engine = inside_masses(*at, law.sigma_m[fix], law.row[fix], law.tails, 0, places)
    plain = inside_masses(*at, plain_sigma_m[fix], np.zeros(len(fix), np.int64), np.array([[0.0, 1.0]]), 0, places)
    hard = _within(shape, x * east, y * north).astype(np.float64)
    truth = _within(shape, x * east - observed.east_m[fix], y * north - observed.north_m[fix])
    kept = (engine > UNDECIDED[0]) & (engine < UNDECIDED[1])
    return Pairs(engine[kept], plain[kept], hard[kept], truth[kept], fix[kept])


def _placed(shape: Any, north: float, east: float) -> Place:
    if isinstance(shape, float):
        return Circle(LAT_E7, LON_E7, shape)
    return shapely.transform(shape, lambda xy: np.column_stack([LON_E7 + xy[:, 0] / east, LAT_E7 + xy[:, 1] / north]) / 1e7)


def _within(shape: Any, x: Floats, y: Floats) -> NDArray[np.bool_]:
    return np.hypot(x, y) <= shape if isinstance(shape, float) else shapely.intersects_xy(shape, x, y)


def calibration_error(said: Floats, truth: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of equal count (Naeini, Cooper, Hauskrecht 2015)."""
    order = np.argsort(said, kind="stable")
    bins = np.array_split(order, N_BINS)
    return float(sum(abs(said[b].sum() - truth[b].sum()) for b in bins) / len(said))


def bins(said: Floats, truth: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """What was said and how often it was true, in ten bins of equal count."""
    order = np.argsort(said, kind="stable")
    return [(float(said[b].mean()), float(truth[b].mean())) for b in np.array_split(order, N_BINS)]


class Row(NamedTuple):
    """One line of the report: expected calibration error and Brier score of three methods over the same pairs."""

    truth: str
    part: str
    n_fixes: int
    n_pairs: int
    error: tuple[float, float, float]
    brier: tuple[float, float, float]
    bins: list[tuple[float, float]]


def row(truth: str, part: str, found: Pairs) -> Row:
    """The line of these pairs; engine, plain normal, hard."""
    said = (found.engine, found.plain, found.hard)
    error = tuple(calibration_error(each, found.truth) for each in said)
    brier = tuple(float(np.mean((each - found.truth) ** 2)) for each in said)
    return Row(truth, part, len(np.unique(found.fix)), len(found.truth), error, brier, bins(found.engine, found.truth))


def report(truth: str, observed: Observed, device: str, percentile: float, rounds: int, seed: int) -> list[Row]:
    """The line of all pairs, then by source, then by group."""
    radius_m = np.where(np.isnan(observed.radius_m), DEFAULT_ACCURACY_M["gps"], observed.radius_m)
    plain = np.maximum(radius_m / np.sqrt(-2.0 * np.log1p(-percentile)), 0.1)
    found = pairs(observed, engine_law(observed, device, percentile), plain, rounds, seed)
    rows = [row(truth, "all", found)]
    for column in (observed.source, observed.group):
        names = np.unique(column)
        for name in names if len(names) > 1 else []:
            rows.append(row(truth, name, Pairs(*(each[column[found.fix] == name] for each in found))))
    return rows


def all_rows() -> list[Row]:
    """Simulated towns that no fit has seen, phones of people whom the fit has not seen, receivers."""
    rows = report("simulated tags", simulated(SEEDS), "tag", TAG, 2, 1)
    if stays := phones():
        known, unseen = halves(stays)
        rows += report("phones, unseen people", unseen, "phone", PHONE, 60, 2)
        rows += report("phones, people of the fit", known, "phone", PHONE, 60, 3)
    if still := receivers():
        rows += report("receivers without a radius", still, "tag", TAG, 6, 4)
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows as text; each triple is engine, plain normal, hard answer."""
    lines = [f"{'truth':28}{'part':10}{'fixes':>8}{'pairs':>9}   {'calibration error':24}{'Brier score':24}"]
    for each in rows:
        error, brier = ("  ".join(f"{value:.4f}" for value in values) for values in (each.error, each.brier))
        lines.append(f"{each.truth:28}{each.part:10}{each.n_fixes:8,}{each.n_pairs:9,}   {error:24}{brier:24}".rstrip())
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    rows = all_rows()
    if phones() is None or receivers() is None:
        print("shared/data is not here or not whole: what rests on it is left out")
    print(table(rows))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reliability.json").write_text(json.dumps([each._asdict() for each in rows], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
