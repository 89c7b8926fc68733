"""Every fix against all zones: the zone index, on one and two threads, beside what Python users take; answers compared.

Points are random, the worst order for caches; "along trails" are the same points in an order that keeps neighbours together.
Peers that would take minutes get a slice, and their seconds are scaled.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rtree.index import Index
from shapely.geometry import shape

from benchmarks.rounds import Row, medians, rows
from geofence.zone_index import ZoneIndex

SEED = 20260601
PEER = "shapely STRtree, points at hand"
WARDS = Path(__file__).resolve().parents[2] / "shared/data/zones_lincolnshire/lincolnshire_wards.geojson"
N_VERTICES = 30
N_PEER, N_LOOPED = 200_000, 5_000


def bench(n_points: int = 2_000_000, n_rounds: int = 5, sizes: tuple[int, ...] = (1_000, 10_000, 100_000)) -> list[Row]:
    """Rows of the report for each scene."""
    found = []
    with ThreadPoolExecutor(2) as threads:
        for name, areas in _scenes(sizes):
            found += _scene(name, areas, n_points, n_rounds, threads)
    return found


def _scene(name: str, areas: NDArray[Any], n_points: int, n_rounds: int, threads: ThreadPoolExecutor) -> list[Row]:
    rng = np.random.default_rng(SEED)
    west, south, east, north = np.rint(shapely.total_bounds(areas) * 1e7).astype(np.int64).tolist()
    x, y = (rng.integers(a, b, n_points).astype(np.int32) for a, b in ((west, east), (south, north)))
    order = np.lexsort((x >> 16, y >> 16))
    near_x, near_y = x[order], y[order]
    started_s = time.perf_counter()
    index = ZoneIndex(dict(enumerate(areas)))
    built_s = time.perf_counter() - started_s
    slices = [slice(0, n_points // 2), slice(n_points // 2, n_points)]
    taken = medians({
        "zone index": lambda: index.containing(y, x),
        "zone index, two threads": lambda: list(threads.map(lambda part: index.containing(y[part], x[part]), slices)),
        "zone index, along trails": lambda: index.containing(near_y, near_x),
    }, n_rounds)  # fmt: skip
    peers, n_wrong = _peers(areas, index, x[:N_PEER], y[:N_PEER])
    for peer, seconds in medians(peers, max(1, n_rounds // 2)).items():
        taken[peer] = seconds * n_points / (N_LOOPED if "loop" in peer else min(N_PEER, n_points))
    table = rows(name, n_points, "points", taken, PEER)
    note = f"{n_wrong} of {N_PEER:,} points' answers not shapely's; built in {built_s:.2f} s, {index.nbytes / 1e6:.0f} MB"
    return [table[0]._replace(note=note), *table[1:]]


def _peers(
    areas: NDArray[Any], index: ZoneIndex, x: NDArray[np.int32], y: NDArray[np.int32]
) -> tuple[dict[str, Callable[[], object]], int]:
    """The peers on these points, and for how many of them shapely finds other zones than the index does."""
    import geopandas

    whole = shapely.transform(areas, lambda degrees: np.rint(degrees * 1e7))  # exactly what the index has
    points, tree = shapely.points(x, y), shapely.STRtree(whole)
    boxes = Index(((k, area.bounds, None) for k, area in enumerate(whole)))
    shapely.prepare(whole)
    zones, fixes = geopandas.GeoDataFrame(geometry=whole), geopandas.GeoDataFrame(geometry=points)
    pairs = tree.query(points, predicate="intersects")
    found = index.containing(y, x)
    theirs, ours = ({*zip(*(column.tolist() for column in side), strict=True)} for side in (pairs, found))
    peers: dict[str, Callable[[], object]] = {
        PEER: lambda: tree.query(points, predicate="intersects"),
        "shapely STRtree": lambda: tree.query(shapely.points(x, y), predicate="intersects"),
        "geopandas sjoin": lambda: geopandas.sjoin(fixes, zones, predicate="intersects"),
        "rtree and a loop": lambda: [
            [k for k in boxes.intersection((a, b, a, b)) if shapely.intersects_xy(whole[k], a, b)]
            for a, b in zip(x[:N_LOOPED].tolist(), y[:N_LOOPED].tolist(), strict=True)
        ],
    }
    if sedona := _sedona(zones, fixes):
        peers["sedonadb, all processors, count only"] = sedona
    return peers, len({row for row, _ in theirs ^ ours})


def _sedona(zones: Any, fixes: Any) -> Callable[[], object] | None:
    """SedonaDB's join, where it is installed."""
    try:
        import sedonadb
    except ImportError:
        return None
    database = sedonadb.connect()
    database.create_data_frame(zones).to_view("zones", overwrite=True)
    database.create_data_frame(fixes).to_view("fixes", overwrite=True)
    query = "SELECT count(*) FROM fixes JOIN zones ON ST_Intersects(fixes.geometry, zones.geometry)"
    return lambda: database.sql(query).to_memtable()


def _scenes(sizes: tuple[int, ...]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names and polygons in degrees: stars that cover about a third of one square degree, and real wards that tile a county."""
    for n in sizes:
        rng = np.random.default_rng(SEED + n)
        angle = np.sort(rng.uniform(0.0, 2 * np.pi, (n, N_VERTICES)), axis=1)
        radius = (0.3 / (1.8 * n)) ** 0.5 * rng.uniform(0.5, 1.0, (n, N_VERTICES))
        corners = rng.uniform(0.0, 1.0, (n, 1, 2)) + np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
        stars = shapely.polygons(np.rint(corners * 1e7) / 1e7)
        yield f"all zones, {n:,}", stars[shapely.is_valid(stars)]
    if WARDS.exists():
        features = json.loads(WARDS.read_text("utf-8"))["features"]
        yield f"all zones, {len(features)} real wards", np.array([shape(feature["geometry"]) for feature in features])
