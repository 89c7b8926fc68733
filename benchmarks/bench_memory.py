"""What the monitor holds in memory for many wearers: places, states, trails, with what is closed forgotten as the service does
it. The peer holds the same fixes as Python objects and the zones as shapely polygons."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil

from benchmarks.bench_replay import conditions
from benchmarks.rounds import Row
from benchmarks.scenes import Scene, town
from engine.fixes import Fixes
from tagwatch.monitor import Conditions, Monitor
from tagwatch.session import LONG_TRAIL

SEED = 20260605
_SPAWN = multiprocessing.get_context("spawn")
_AT_ONCE = 500
MIB = 2**20


def bench(n_wearers: int = 50_000, n_each: int = 240, n_naive: int = 2_000) -> list[Row]:
    """Rows of the report: bytes as units, the seconds that it took to come there."""
    found = []
    for name, measure, n in (("tagwatch", _ours, n_wearers), ("dicts and shapely", _naive, n_naive)):
        queue: Any = _SPAWN.Queue()
        process = _SPAWN.Process(target=measure, args=(n, n_each, queue))
        process.start()
        seconds, stages = queue.get()
        process.join()
        total = sum(stages.values())
        told = ", ".join(f"{stage} {held / n:,.0f}" for stage, held in stages.items())
        note = f"{total / MIB:,.0f} MiB for {n:,} wearers with {n_each} fixes each; bytes a wearer: {told}"
        found.append((Row("memory", name, round(total), "bytes", seconds, None, note), total / n))
    (ours, each), (peer, each_peer) = found
    return [ours._replace(ratio=each_peer / each), peer]


def _resident() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


def _scenes(n_wearers: int, n_each: int) -> tuple[Scene, Callable[[int], Fixes]]:
    """Zones and curfews of all wearers, and the fixes of some: made anew each time, so that they are not counted."""
    scene = town(np.random.default_rng(SEED), n_wearers, 1)
    walks = town(np.random.default_rng(SEED + 1), _AT_ONCE, n_each).fixes
    homes = scene.fixes

    def some(start: int) -> Fixes:
        n = min(_AT_ONCE, n_wearers - start)
        rows = walks.take(slice(0, n * n_each))
        first = rows.lat_e7[::n_each], rows.lon_e7[::n_each]
        where = slice(start, start + n)
        columns = {name: rows.column(name) for name in Fixes.__slots__ if name not in ("devices", "lat_e7", "lon_e7")}
        columns["lat_e7"] = rows.lat_e7 + np.repeat(homes.lat_e7[where] - first[0], n_each)
        columns["lon_e7"] = rows.lon_e7 + np.repeat(homes.lon_e7[where] - first[1], n_each)
        return Fixes.of(homes.devices[where], **columns)

    return scene, some


def _ours(n_wearers: int, n_each: int, queue: Any) -> None:
    began_s = time.perf_counter()
    scene, some = _scenes(n_wearers, n_each)
    as_of_us = scene.as_of_us + n_each * 60_000_000
    _feed(Monitor(Conditions()), some(0), as_of_us)  # kernels are loaded, buffers have their size
    before = _resident()
    held = conditions(scene)
    read = _resident()
    monitor = Monitor(held, lambda _names: (Fixes.empty(), []))
    made = _resident()
    for start in range(0, n_wearers, _AT_ONCE):
        _feed(monitor, some(start), as_of_us)
    after = _resident()
    stages = {"zones and curfews as read": read - before, "compiled": made - read, "trails, states, alerts": after - made}
    queue.put((time.perf_counter() - began_s, stages))


def _feed(monitor: Monitor, fixes: Fixes, as_of_us: int) -> None:
    """Fixes in the order of their arrival, an hour at a time, and what the session does with a trail that has become long."""
    hour = (fixes.time_us - fixes.time_us.min()) // 3_600_000_000
    for k in range(int(hour.max()) + 1):
        batch = fixes.take(hour == k)
        now_us = int(batch.time_us.max())
        for wearer in monitor.take(batch, now_us).wearers:
            monitor.alerts(wearer, now_us)
            trail = monitor.trails[wearer]
            if len(trail) - max(trail.base, trail.marked) >= LONG_TRAIL:
                monitor.forget(wearer, now_us)


def _naive(n_wearers: int, n_each: int, queue: Any) -> None:
    began_s = time.perf_counter()
    scene, some = _scenes(n_wearers, n_each)
    before = _resident()
    areas = {name: scene.polygons(name) for name in scene.fixes.devices}
    made = _resident()
    trails = {}
    for start in range(0, n_wearers, _AT_ONCE):
        fixes = some(start)
        columns = {name: fixes.column(name).tolist() for name in ("device", "time_us", "lat_e7", "lon_e7", "accuracy_cm")}
        for device, *values in zip(*columns.values(), strict=True):
            row = dict(zip(("time", "lat", "lon", "accuracy"), values, strict=True))
            trails.setdefault(fixes.devices[device], []).append(row)
    after = _resident()
    queue.put((time.perf_counter() - began_s, {"polygons": made - before, "fixes": after - made}))
    del areas, trails
