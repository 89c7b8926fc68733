"""A late fix: one wearer with a week of fixes, five zones and a curfew, and one fix more somewhere in that week. Measured are
the monitor's `take` and `alerts`, with the week in memory and with the week read back from the store. The peer answers whether
each fix was inside, with shapely, for the whole week: no probability, no states, no alerts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import shapely

from benchmarks.bench_replay import conditions
from benchmarks.rounds import Row
from benchmarks.scenes import Scene, town
from benchmarks.servers import empty
from engine import database
from engine.database import Connection
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from tagwatch.monitor import Monitor

SEED = 20260604
WEEK = 7 * 24 * 60
N_LATE = 25


def bench(url: str, _folder: Path) -> list[Row]:
    """Rows of the report: medians over late fixes at random places of the week, all candidates in turn."""
    empty(url)
    scene = town(np.random.default_rng(SEED), 1, WEEK)
    late = np.sort(np.random.default_rng(SEED).choice(np.arange(60, WEEK - 60), N_LATE + 1, replace=False))
    wearer = scene.fixes.devices[0]
    in_time = scene.fixes.take(np.setdiff1d(np.arange(WEEK), late))
    with database.connect(url) as connection:
        with connection.transaction():
            FixStore(connection).write(in_time)
        in_memory, forgetful = _monitor(scene, in_time, None), _monitor(scene, in_time, connection)
        candidates: dict[str, Callable[[Fixes], object]] = {
            "from memory": lambda fix: _decide(in_memory, fix, wearer, scene.as_of_us),
            "from the store": lambda fix: _decide(forgetful, fix, wearer, scene.as_of_us),
            "shapely, from memory": _plain(scene, in_time, None),
            "shapely, from the store": _plain(scene, in_time, connection),
        }
        taken: dict[str, list[float]] = {name: [] for name in candidates}
        for k, row in enumerate(np.random.default_rng(SEED).permutation(late).tolist()):
            fix = scene.fixes.take(slice(row, row + 1))
            for name, decide in candidates.items():
                began_s = time.perf_counter()
                decide(fix)
                if k:
                    taken[name].append(time.perf_counter() - began_s)
            _forget(forgetful, wearer, scene.as_of_us)
        if in_memory.alerts(wearer, scene.as_of_us)[0] != _decide_whole(scene, wearer):
            raise RuntimeError("the late fixes led to other alerts than the whole week does")
    return [_row(name, each, taken.get(f"shapely, {name}"))
            for name, each in taken.items()]  # fmt: skip


def _row(name: str, taken: list[float], peer: list[float] | None) -> Row:
    ratio = None if peer is None else median(peer) / median(taken)
    note = f"{median(taken) * 1000:.1f} ms, longest {max(taken) * 1000:.1f} ms"
    return Row("late fix in a week", name, WEEK, "fixes decided anew", median(taken), ratio, note)


def _monitor(scene: Scene, fixes: Fixes, connection: Connection | None) -> Monitor:
    """A monitor that has taken these fixes; with a connection it forgets what is closed."""
    store = None if connection is None else FixStore(connection)
    recall = None if store is None else lambda names: (store.read(devices=names), store.read_events(devices=names))
    monitor = Monitor(conditions(scene), recall)
    monitor.take(fixes, scene.as_of_us)
    monitor.alerts(fixes.devices[0], scene.as_of_us)
    if store is not None:
        _forget(monitor, fixes.devices[0], scene.as_of_us)
    return monitor


def _forget(monitor: Monitor, wearer: str, as_of_us: int) -> None:
    for _ in range(2):  # the first sets the mark
        monitor.forget(wearer, as_of_us)


def _decide(monitor: Monitor, fix: Fixes, wearer: str, as_of_us: int) -> object:
    taken = monitor.take(fix, as_of_us)
    return taken, monitor.alerts(wearer, as_of_us)


def _decide_whole(scene: Scene, wearer: str) -> object:
    monitor = Monitor(conditions(scene))
    monitor.take(scene.fixes, scene.as_of_us)
    return monitor.alerts(wearer, scene.as_of_us)[0]


def _plain(scene: Scene, fixes: Fixes, connection: Connection | None) -> Callable[[Fixes], object]:
    areas = scene.polygons(scene.fixes.devices[0])
    shapely.prepare(areas)
    lat, lon = fixes.lat_e7 / 1e7, fixes.lon_e7 / 1e7

    def decide(fix: Fixes) -> object:
        y, x = lat, lon
        if connection is not None:
            with connection.transaction():
                rows = connection.execute("SELECT lat_e7, lon_e7 FROM fix ORDER BY time_s, rest_us").fetchall()
            y, x = np.array(rows, np.float64).T / 1e7
        y, x = np.append(y, fix.lat_e7 / 1e7), np.append(x, fix.lon_e7 / 1e7)
        return [np.flatnonzero(np.diff(shapely.contains_xy(area, x, y))) for area in areas]

    return decide
