"""The check of own zones: five or twenty zones and a curfew a wearer, probability and state, whole trails and micro-batches.

Beside it the same rules without probability in numpy and shapely, and the loop one writes in an afternoon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.bench_replay import conditions
from benchmarks.rounds import Row, medians, rows
from benchmarks.scenes import Scene, town
from engine.trail import arrange
from geofence.check import FRESH, Check
from geofence.curfew import read_curfews
from geofence.filter import Columns
from geofence.places import outline
from geofence.watch import Watch

SEED = 20261123
N_LOOPED = 20_000
VECTORISED, LOOPED = "numpy and shapely, no probability", "Python loop, no probability"


class Wearers(NamedTuple):
    """A check with the slots of all wearers, and the part of the roster [first, last + 1] that is each one's."""

    check: Check
    roster: NDArray[np.int64]
    parts: NDArray[np.int64]


def bench(n_wearers: int = 200, n_each: int = 5_040, n_rounds: int = 7) -> list[Row]:
    """Rows of the report."""
    found = _micro(n_rounds)
    for n_zones in (5, 20):
        scene = town(np.random.default_rng(SEED), n_wearers, n_each, n_zones)
        candidates = _whole(scene, n_each)
        _same_answers([run() for run in candidates.values()])
        candidates[VECTORISED] = vectorised(scene, n_each)
        candidates[LOOPED] = looped(scene, n_each, N_LOOPED)
        taken = medians(candidates, n_rounds)
        taken[LOOPED] *= n_wearers * n_each / N_LOOPED
        found += rows(f"own zones, {n_zones} and a curfew", n_wearers * n_each, "fixes", taken, VECTORISED)
    return found


def _whole(scene: Scene, n_each: int) -> dict[str, Callable[[], object]]:
    columns, n_every = columns_of(scene), 16_400 // len(scene.fixes.devices)
    return {
        "the check, 1 thread": lambda: in_threads(scene, columns, n_each, 1),
        "the check, 2 threads": lambda: in_threads(scene, columns, n_each, 2),
        "the check, batches of 16,400": lambda: in_batches(scene, columns, n_each, n_every),
    }


def columns_of(scene: Scene) -> Columns:
    """The scene's fixes as the filter takes them."""
    n = len(scene.fixes)
    arranged, _, _ = arrange(scene.fixes, scene.fixes.device, np.full(n, 0.95), np.full(n, 960_000_000))
    return Columns(*(np.ascontiguousarray(arranged.column(name)) for name in Columns._fields))


def wearers_of(scene: Scene, names: Sequence[str]) -> Wearers:
    """A check of its own for these wearers."""
    held = conditions(scene)
    mine = set(names)
    watch = Watch([z for z in held.zones if mine & {*z.wearers}], [c for c in held.curfews if c.wearer in mine])
    roster: list[int] = []
    parts = []
    for name in names:
        slots = watch.own_slots(name)
        parts.append((len(roster), len(roster) + len(slots)))
        roster += [slot.number for slot in slots]
    return Wearers(watch.check, np.array(roster), np.array(parts))


_BUILT: dict[Any, Any] = {}


def _built(scene: Scene, names: Sequence[str]) -> Wearers:
    """Building is not what is timed: once for each scene and part of it, then back to before the first fix."""
    key = (id(scene), names[0], len(names))
    if key not in _BUILT:
        _BUILT[key] = (scene, wearers_of(scene, names))
    found: Wearers = _BUILT[key][1]
    found.check.states[:] = FRESH
    return found


def in_threads(scene: Scene, columns: Columns, n_each: int, n_threads: int) -> int:
    """Whole trails, the wearers shared out among threads; returns how many changes of state there were."""
    names = scene.fixes.devices
    cuts = np.linspace(0, len(names), n_threads + 1).astype(int)

    def run(k: int) -> int:
        mine = np.arange(cuts[k], cuts[k + 1])
        check, roster, parts = _built(scene, names[cuts[k] : cuts[k + 1]])
        pieces = np.column_stack([mine * n_each, (mine + 1) * n_each, -mine * n_each, parts])
        return len(check.advance(pieces, roster, columns).changes)

    if n_threads == 1:
        return run(0)
    with ThreadPoolExecutor(n_threads) as pool:
        return sum(pool.map(run, range(n_threads)))


def in_batches(scene: Scene, columns: Columns, n_each: int, n_every: int) -> int:
    """`n_every` fixes of every wearer a call, as after an hour's upload; returns how many changes of state there were."""
    check, roster, parts = _built(scene, scene.fixes.devices)
    wearer = np.arange(len(scene.fixes.devices))
    n_changes = 0
    for start in range(0, n_each, n_every):
        stop = min(start + n_every, n_each)
        pieces = np.column_stack([wearer * n_each + start, wearer * n_each + stop, -wearer * n_each, parts])
        n_changes += len(check.advance(pieces, roster, columns).changes)
    return n_changes


def _same_answers(counts: Sequence[object]) -> None:
    if len(set(counts)) != 1:
        raise RuntimeError(f"the same fixes gave {counts} changes: these seconds would say nothing")


def _micro(n_rounds: int, n_minutes: int = 100) -> list[Row]:
    """One fix of each of 256 or 1,024 wearers a call: what a centre gets within a second."""
    found: list[Row] = []
    for n_wearers in (256, 1_024):
        scene = town(np.random.default_rng(SEED), n_wearers, n_minutes)
        candidates = {"the check, whole Python call": _minutes(scene, n_minutes), LOOPED: looped(scene, n_minutes, 4_000)}
        taken = medians(candidates, n_rounds)
        taken[LOOPED] *= n_wearers * n_minutes / 4_000
        found += rows(f"own zones, micro-batches of {n_wearers:,}", n_wearers * n_minutes, "fixes", taken, LOOPED)
    return found


def _minutes(scene: Scene, n_minutes: int) -> Callable[[], object]:
    wearer = np.arange(len(scene.fixes.devices))
    columns = [c.reshape(len(wearer), n_minutes) for c in columns_of(scene)]
    by_minute = [Columns(*(c[:, k].copy() for c in columns)) for k in range(n_minutes)]

    def run() -> None:
        check, roster, parts = _built(scene, scene.fixes.devices)
        for minute, columns in enumerate(by_minute):
            check.advance(np.column_stack([wearer, wearer + 1, minute - wearer, parts]), roster, columns)

    return run


def areas_of(scene: Scene) -> list[list[Any]]:
    """For each wearer the polygons of his zones, and his home (64 corners), prepared."""
    homes = {curfew.wearer: outline(curfew.places[0], 64) for curfew in read_curfews(scene.curfews)}
    areas = [[*scene.polygons(name), homes[name]] for name in scene.fixes.devices]
    for mine in areas:
        shapely.prepare(mine)
    return areas


def vectorised(scene: Scene, n_each: int) -> Callable[[], int]:
    """In where two fixes in a row are inside, out where two are outside: contains_xy and numpy, wearer by wearer."""
    lat, lon, areas = scene.fixes.lat_e7 / 1e7, scene.fixes.lon_e7 / 1e7, areas_of(scene)

    def run() -> int:
        n_changes = 0
        for k, mine in enumerate(areas):
            x, y = lon[k * n_each : (k + 1) * n_each], lat[k * n_each : (k + 1) * n_each]
            for area in mine:
                inside = shapely.contains_xy(area, x, y)
                sure = np.flatnonzero(inside[1:] == inside[:-1]) + 1
                states = inside[sure]
                n_changes += int(np.count_nonzero(states[1:] != states[:-1]))
        return n_changes

    return run


def looped(scene: Scene, n_each: int, n_fixes: int) -> Callable[[], int]:
    """The same rules fix by fix, with a dictionary of states."""
    lat, lon = (scene.fixes.lat_e7[:n_fixes] / 1e7).tolist(), (scene.fixes.lon_e7[:n_fixes] / 1e7).tolist()
    areas = areas_of(scene)

    def run() -> int:
        before: dict[tuple[int, int], bool] = {}
        state: dict[tuple[int, int], bool] = {}
        n_changes = 0
        for i in range(n_fixes):
            point = shapely.Point(lon[i], lat[i])
            for z, area in enumerate(areas[i // n_each]):
                key, inside = (i // n_each, z), area.contains(point)
                if before.get(key) == inside and state.get(key) != inside:
                    n_changes += 1
                    state[key] = inside
                before[key] = inside
        return n_changes

    return run
