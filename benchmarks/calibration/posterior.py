"""Reliability of the filter's posterior where it is undecided, beside a plain normal and hard point-in-polygon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.reliability import UNDECIDED, bins, calibration_error
from benchmarks.calibration.stays import Stay, beside, phone_stays, receiver_stays, simulated_stays, trails_of
from benchmarks.calibration.visits import Errors, draw_scene
from engine import flags
from engine.kernels import distances_m
from engine.trail import Trail
from geofence.check import Check
from geofence.curfew import read_curfews
from geofence.filter import Columns
from geofence.masses import inside_masses
from geofence.places import compile_places
from geofence.zone import Circle
from tagwatch.simulate.world import simulate

MEMORIES_S = (0.0, 180.0, 600.0)
ROUNDS = 20  # discs beside each stay, a tenth of them about it: the base rate of exclusion zones
_SPARED_FIXES = 5  # at the beginning of a stay, until the filter has seen where it is


class Reliability(NamedTuple):
    """Undecided fixes of one kind of truth: expected calibration error of three methods, and ours in ten bins."""

    truth: str
    n_fixes: int
    posterior: float
    plain_normal: float
    hard: float
    bins: list[tuple[float, float]]


def reliability(
    n_stays: int = 100, n_days: int = 800, seed: int = 78, towns: Sequence[int] = (12, 13)
) -> list[Reliability]:
    """Discs beside and about stays, simulated (by the memory of their errors), of phones and of receivers: one in ten holds the
    stay, as the base rate of exclusion zones says. Then people who come and go: days about discs, curfews of towns."""
    rng, found = np.random.default_rng(seed), []
    kinds = [(f"stays, memory {m:.0f} s", simulated_stays(n_stays, Errors(m), seed)) for m in MEMORIES_S]
    kinds += [("stays of phones", phone_stays()), ("receivers", receiver_stays())]
    for kind, stays in kinds:
        if stays:
            found.append(_row(kind, [_beside(stay, k % 10 == 0, rng) for stay in stays for k in range(ROUNDS)]))
    found.append(_row("visits", [piece for m in MEMORIES_S for piece in _of_visits(seed, n_days, m)]))
    if towns:
        found.append(_row("curfews of towns", [piece for town in towns for piece in _of_town(town)]))
    return found


def posteriors(trail: Trail, circle: Circle, *, exclusion: bool) -> NDArray[np.float64]:
    """The filter's posterior of being inside after each fix of a trail (n,); nan for a fix that carries no weight."""
    check = Check(compile_places([(circle,)]), [(circle,)])
    roster = np.array([check.add_slot(0, exclusion=exclusion)])
    columns = [trail.column(name) for name in Columns._fields]
    found = np.full(len(trail), np.nan)
    for row in np.flatnonzero((trail.column("flags") & flags.WEIGHTLESS) == 0):
        one = Columns(*(column[row : row + 1] for column in columns))
        check.advance(np.array([[0, 1, row, 0, 1]]), roster, one)
        found[row] = 1.0 / (1.0 + np.exp(-check.states[0]["logit"]))
    return found


def _of_visits(seed: int, n_days: int, memory_s: float) -> Iterator[NDArray[np.float64]]:
    scene = draw_scene(seed, n_days, Errors(memory_s))
    for k, trail in enumerate(trails_of(scene.fixes)):
        place = scene.zones[k].place
        if isinstance(place, Circle):
            yield _piece(trail, place, scene.inside[scene.fixes.device == k], exclusion=True)


def _of_town(seed: int) -> Iterator[NDArray[np.float64]]:
    """Curfews with one place, over the whole trails of their wearers."""
    world = simulate(60, 4, seed)
    for curfew in read_curfews(world.curfews):
        place = curfew.places[0]
        mine = world.truth.wearer == world.truth.wearers.index(curfew.wearer)
        if len(curfew.places) > 1 or not isinstance(place, Circle) or not mine.any():
            continue
        time_us, once = np.unique(world.fixes.time_us[mine], return_index=True)
        lat, lon = (column[mine][once] for column in (world.truth.lat_e7, world.truth.lon_e7))
        home = np.full(len(once), place.lat_e7, np.int32), np.full(len(once), place.lon_e7, np.int32)
        truth = distances_m(lat, lon, *home) <= place.radius_m
        for trail in trails_of(world.fixes.take(mine)):
            rows = np.searchsorted(time_us, trail.column("time_us"))
            yield _piece(trail, place, truth[rows], exclusion=False)


def _beside(stay: Stay, about: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    """A disc whose edge passes up to 100 m from the true place: about it, or beside it."""
    radius_m = float(np.exp(rng.uniform(np.log(30.0), np.log(300.0))))
    gap_m = -rng.uniform(0.0, min(100.0, radius_m)) if about else rng.uniform(0.0, 100.0)
    lat, lon = list(beside(stay, gap_m, radius_m))[int(rng.integers(8))]
    truth = np.full(len(stay.trail), about)
    circle = Circle(round(lat * 1e7), round(lon * 1e7), radius_m)
    return _piece(stay.trail, circle, truth, exclusion=True, first=_SPARED_FIXES, percentile=stay.percentile)


def _piece(
    trail: Trail, circle: Circle, truth: NDArray[np.bool_], *, exclusion: bool, first: int = 0, percentile: float = 0.95
) -> NDArray[np.float64]:
    """Columns posterior, plain normal, hard, truth of the undecided fixes from row `first` on, shape (n, 4)."""
    ours = posteriors(trail, circle, exclusion=exclusion)
    kept = (ours > UNDECIDED[0]) & (ours < UNDECIDED[1]) & (np.arange(len(ours)) >= first)
    x, y = trail.column("lon_e7")[kept], trail.column("lat_e7")[kept]
    sigma_m = np.maximum(trail.column("radius_m")[kept] / np.sqrt(-2.0 * np.log1p(-percentile)), 0.1)
    places, one, none = compile_places([(circle,)]), np.array([[0.0, 1.0]]), np.zeros(len(x), np.uint8)
    plain = inside_masses(x, y, sigma_m, none, one, 0, places)
    hard = inside_masses(x, y, np.full(len(x), 0.01), none, one, 0, places) >= 0.5
    return np.column_stack([ours[kept], plain, hard, truth[kept]])


def _row(truth: str, pieces: Iterable[NDArray[np.float64]]) -> Reliability:
    ours, plain, hard, true = np.concatenate(list(pieces)).T
    said, simple, at_its_word = (calibration_error(each, true > 0.5) for each in (ours, plain, hard))
    return Reliability(truth, len(ours), said, simple, at_its_word, bins(ours, true > 0.5))
