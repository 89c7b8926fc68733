"""What the tags of a simulated world report: at other intervals; errors as they are, cut at the exclusion radius, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.trails import Trails
from engine.activations import Activation, Activations
from engine.error_model import errors, number_of
from engine.fixes import SOURCES, Fixes, concat
from engine.kernels import distances_m
from engine.times import DAY_US
from tagwatch.matching import trails_of
from tagwatch.simulate.population import TAGS, populate
from tagwatch.simulate.tags import report
from tagwatch.simulate.world import World, simulate

GRID_M = 0.02
"""Rounding of two places to the grid of 1e-7 degree."""
LIVE_SHARE = 0.1
_PLAN = Activation("", "", 0)


class Reported(NamedTuple):
    """A world, and the trails that its tags report."""

    world: World
    trails: Trails


def town(wearers: int, days: int, seed: int, crimes: int, interval_s: int = _PLAN.fix_interval_s) -> World:
    """A simulated town whose tags take a fix every so many seconds; ways and crimes do not depend on it."""
    world = simulate(wearers, days, seed, crimes=crimes, live_share=LIVE_SHARE)
    return world if interval_s == _PLAN.fix_interval_s else retold(world, seed, interval_s)


def retold(world: World, seed: int, interval_s: int) -> World:
    """The same lives, reported at another interval by the simulator's own tags."""
    span, days = (world.start_us, world.end_us), (world.end_us - world.start_us) // DAY_US
    population = populate(len(world.wearers), days, seed, span, LIVE_SHARE, None)
    said = [
        report(
            number, row._replace(fix_interval_s=interval_s), world.truth.paths[row.wearer], population.town,
            population.roles, world.end_us, population.stream(TAGS, number, turn),
        )
        for number, mine in enumerate(population.given)
        for turn, row in enumerate(mine)
    ]  # fmt: skip
    said.sort(key=lambda each: (each.activation.device, each.activation.from_us))
    x, y = np.concatenate([each.x for each in said]), np.concatenate([each.y for each in said])
    lat_e7, lon_e7 = world.truth.plane.to_e7(x, y)
    wearer = np.repeat(np.array([each.number for each in said], np.int32), [len(each.fixes) for each in said])
    return replace(
        world, fixes=concat(each.fixes for each in said), events=tuple(sorted(e for each in said for e in each.events)),
        activations=tuple(sorted(each.activation for each in said)),
        truth=replace(world.truth, wearer=wearer, lat_e7=lat_e7, lon_e7=lon_e7),
    )  # fmt: skip


def reported(world: World, kind: str = "as simulated") -> Reported:
    """The world's reports with errors of this kind, a key of ERRORS."""
    return Reported(world, trails_of(ERRORS[kind](world), Activations(world.activations), world.events))


def _clipped(world: World) -> Fixes:
    """No fix farther from the truth than its exclusion radius."""
    fixes, truth = world.fixes, world.truth
    n = len(fixes)
    tags = np.full(n, number_of("tag"), np.uint8)
    most_m = errors(fixes.accuracy_cm, fixes.source, np.full(n, _PLAN.percentile), tags).exclusion_m - GRID_M
    apart_m = distances_m(fixes.lat_e7, fixes.lon_e7, truth.lat_e7, truth.lon_e7)
    return _moved(world, np.minimum(1.0, np.maximum(most_m, 0.0) / np.maximum(apart_m, GRID_M)))


def _exact(world: World) -> Fixes:
    """No errors and circles of radius 0: what the times of the fixes alone allow."""
    n = len(world.fixes)
    fixes = _moved(world, np.zeros(n))
    return replace(fixes, accuracy_cm=np.zeros(n, np.int32), source=np.full(n, SOURCES["gps"], np.int32))


def _moved(world: World, share: NDArray[np.float64]) -> Fixes:
    """Each fix on the line from its true place (0) to the reported one (1) or beyond, towards the truth on the grid."""
    fixes, truth = world.fixes, world.truth
    lat_e7, lon_e7 = (
        (true + np.trunc((said.astype(np.int64) - true) * share)).astype(np.int32)
        for said, true in ((fixes.lat_e7, truth.lat_e7), (fixes.lon_e7, truth.lon_e7))
    )
    return replace(fixes, lat_e7=lat_e7, lon_e7=lon_e7)


ERRORS: dict[str, Callable[[World], Fixes]] = {
    "as simulated": lambda world: world.fixes,
    "clipped": _clipped,
    "doubled": lambda world: _moved(world, np.full(len(world.fixes), 2.0)),
    "exact": _exact,
}
"""As the simulator's receiver makes them; none beyond the exclusion radius; twice as large with circles as they were; none."""
