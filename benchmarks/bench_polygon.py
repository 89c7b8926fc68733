"""One polygon of many vertices: the zone index beside TG by stripes and shapely's prepared predicate; answers compared.

Real wards of Northern Ireland, and stars of random spikes, TG's worst case. Points lie in the polygon's box and 10 % about
it. All get the same whole numbers of 1e-7 degree; doubles hold them exactly.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry import shape

from benchmarks import tg_peer
from benchmarks.rounds import Row, medians, rows
from geofence.zone_index import ZoneIndex

SEED = 20260601
PEER = "shapely prepared intersects_xy"
WARDS = Path(__file__).resolve().parents[2] / "shared/data/zones_highvertex/northern_ireland_wards_2012.geojson.gz"


def bench(n_points: int = 500_000, n_rounds: int = 5) -> list[Row]:
    """Rows of the report for each polygon."""
    tg = tg_peer.load()
    found = []
    for name, polygon in _polygons():
        rng = np.random.default_rng(SEED)
        west, south, east, north = polygon.bounds
        x = rng.integers(int(west - (east - west) * 0.05), int(east + (east - west) * 0.05), n_points).astype(np.int32)
        y = rng.integers(int(south - (north - south) * 0.05), int(north + (north - south) * 0.05), n_points).astype(
            np.int32
        )
        wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
        started_s = time.perf_counter()
        index = ZoneIndex({0: shapely.transform(polygon, lambda e7: e7 / 1e7)})
        built_s = time.perf_counter() - started_s
        shapely.prepare(polygon)
        candidates: dict[str, Callable[[], object]] = {
            "zone index": lambda index=index, x=x, y=y: index.first(y, x),  # type: ignore[misc]
            PEER: lambda p=polygon, x=wide_x, y=wide_y: shapely.intersects_xy(p, x, y),  # type: ignore[misc]
        }
        answer = shapely.intersects_xy(polygon, wide_x, wide_y)
        n_wrong = {"zone index": int(((index.first(y, x) == 0) != answer).sum())}
        if tg:
            candidates["TG, stripes"] = tg_peer.tester(tg, polygon, wide_x, wide_y)
            n_wrong["TG, stripes"] = int((tg_peer.tester(tg, polygon, wide_x, wide_y)() != answer).sum())
        taken = medians(candidates, n_rounds)
        notes = {who: f"{n} answers differ from shapely's" for who, n in n_wrong.items()}
        notes["zone index"] += f"; built in {built_s:.2f} s, {(index.nbytes - 2**21) / 1e6:.1f} MB and 2.1 MB of tiles"
        table = rows(name, n_points, "points", taken, "TG, stripes" if tg else PEER)
        found += [
            row._replace(note=f"{row.seconds / n_points * 1e9:.0f} ns; " + notes.get(row.candidate, "")) for row in table
        ]
        if not tg:
            found[-1] = found[-1]._replace(note=found[-1].note + "TG is not installed (TAGWATCH_TG)")
    return found


def _polygons() -> Iterator[tuple[str, shapely.Polygon]]:
    """Names and polygons in whole units of 1e-7 degree."""
    if WARDS.exists():
        with gzip.open(WARDS, "rt", encoding="utf-8") as file:
            wards = [shape(feature["geometry"]) for feature in json.load(file)["features"]]
        single = [ward for ward in wards if ward.geom_type == "Polygon" and ward.is_valid]
        counts = np.array([shapely.get_num_coordinates(ward) for ward in single])
        for wanted in (364, 1_114, 16_935):
            k = int(np.abs(counts - wanted).argmin())
            yield f"ward of {counts[k]:,} vertices", shapely.transform(single[k], lambda deg: np.rint(deg * 1e7))
    rng = np.random.default_rng(SEED)
    for n in (1_000, 10_000):
        angle, radius = np.arange(n) / n * 2 * np.pi, rng.uniform(0.0, 1.0, n)
        spikes = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None] * 1_000_000 + [-5_400_000, 532_300_000]
        yield f"star of {n:,} random spikes", shapely.Polygon(np.rint(spikes))
