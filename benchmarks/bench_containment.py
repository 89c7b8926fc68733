"""Is this fix inside that zone: our exact kernel, shapely's vectorised predicate on prepared polygons, and an R-tree loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely
from rtree.index import Index

from benchmarks.bench_replay import SEED
from benchmarks.rounds import Row, medians, rows
from benchmarks.scenes import town
from geofence.containment import contains_points
from geofence.places import compile_places

PEER = "shapely contains_xy, prepared"
N_LOOPED = 20_000


def bench(n_fixes: int = 200_000, n_rounds: int = 5) -> list[Row]:
    """Rows of the report: every fix against the same 50 polygons of 32 corners."""
    scene = town(np.random.default_rng(SEED), 10, n_fixes // 10)
    areas = [area for name in scene.fixes.devices for area in scene.polygons(name)]
    places = compile_places([(area,) for area in areas])
    x, y = scene.fixes.lon_e7, scene.fixes.lat_e7
    lon, lat = x / 1e7, y / 1e7
    whole = shapely.MultiPolygon(areas) if shapely.MultiPolygon(areas).is_valid else shapely.union_all(areas)
    shapely.prepare(areas)
    shapely.prepare(whole)
    index = Index([(k, area.bounds, None) for k, area in enumerate(areas)])

    def looped() -> int:
        points = zip(lon[:N_LOOPED].tolist(), lat[:N_LOOPED].tolist(), strict=True)
        return sum(any(shapely.contains_xy(areas[k], a, b) for k in index.intersection((a, b, a, b))) for a, b in points)

    candidates: dict[str, Callable[[], object]] = {
        "contains_points": lambda: contains_points(x, y, *places.shapes[2:]),
        PEER: lambda: shapely.contains_xy(whole, lon, lat),
        "rtree and a loop": looped,
    }
    taken = medians(candidates, n_rounds)
    taken["rtree and a loop"] *= len(x) / N_LOOPED
    return rows("containment, 50 zones", len(x), "fixes", taken, PEER)
