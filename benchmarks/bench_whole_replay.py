"""The whole `tagwatch replay` of a Parquet trail, from the start of the process to its end, beside shapely's STRtree.

The peer answers one thing only: which zones the points lie in; its points are made and its tree is built before the clock
starts. How fast it is hangs on how close the zones lie, so there are two scenes: a town in which the zones of 2,000 wearers
overlap, and a county in which they are as thick as in the other benchmarks (200 wearers in a town).
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import shapely

from benchmarks.rounds import Row, medians, rows
from benchmarks.scenes import LAW_ABIDING, Scene, town
from ingest.parquet_trail import write_parquet

SEED = 20261123
TOWN_M, IN_TOWN = 6_000.0, 200
OURS = "tagwatch replay, whole process"
PEER = "shapely STRtree, bare predicate"
_COMMAND = "from tagwatch.cli import main; main()"


def bench(n_fixes: int = 16_000_000, n_wearers: int = 2_000, n_rounds: int = 3) -> list[Row]:
    """Rows of the report."""
    county_m = TOWN_M * math.sqrt(max(1.0, n_wearers / IN_TOWN))
    return [row for name, reach_m in (("town", TOWN_M), ("county", county_m))
            for row in _scene(name, reach_m, n_fixes // n_wearers, n_wearers, n_rounds)]  # fmt: skip


def _scene(name: str, reach_m: float, n_each: int, n_wearers: int, n_rounds: int) -> list[Row]:
    with TemporaryDirectory() as folder:
        scene = town(np.random.default_rng(SEED), n_wearers, n_each, conduct=LAW_ABIDING, reach_m=reach_m)
        write(scene, Path(folder))
        n_fixes, peer = len(scene.fixes), bare_predicate(scene)
        del scene
        first_s = _seconds(lambda: replay(Path(folder)))
        taken = medians({OURS: lambda: replay(Path(folder)), PEER: peer}, n_rounds)
        n_alerts = (Path(folder) / "alerts.jsonl").read_bytes().count(b"\n")
    days = n_fixes / 1_440
    most_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    notes = {
        OURS: f"{n_alerts:,} alerts, {n_alerts / days:.2f} a wearer and day; first run {first_s:.2f} s; "
        f"at most {most_gb:.2f} GiB a process",
        PEER: f"{peer() / n_fixes:.2f} zones a point",
    }
    found = rows(f"whole replay, {name}", n_fixes, "fixes", taken, PEER)
    return [row._replace(note=notes[row.candidate]) for row in found]


def write(scene: Scene, folder: Path) -> None:
    """The scene's files, as a user has them."""
    write_parquet(scene.fixes, folder / "trail.parquet")
    (folder / "zones.json").write_text(json.dumps(scene.zones), "utf-8")
    (folder / "curfews.json").write_text(json.dumps(scene.curfews), "utf-8")


def replay(folder: Path) -> None:
    """One run of the command, in a process of its own."""
    told = ("trail.parquet", "--zones", "zones.json", "--curfews", "curfews.json", "--out", "alerts.jsonl")
    home = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(home)!r}); {_COMMAND}", "replay", *told]
    subprocess.run(command, cwd=folder, check=True)


def bare_predicate(scene: Scene) -> Callable[[], int]:
    """All points against all zones; returns how many pairs meet."""
    points = shapely.points(scene.fixes.lon_e7 / 1e7, scene.fixes.lat_e7 / 1e7)
    rings = np.array([feature["geometry"]["coordinates"][0] for feature in scene.zones["features"]])
    tree = shapely.STRtree(shapely.polygons(rings))

    def run() -> int:
        parts = np.array_split(points, max(1, len(points) // 1_000_000))  # all answers at once would only cost it memory
        return sum(tree.query(part, predicate="intersects").shape[1] for part in parts)

    return run


def _seconds(run: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    run()
    return time.perf_counter() - started_s
