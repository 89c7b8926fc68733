"""Replay of a million fixes, in one process and in two, beside what a plain vectorised build does: shapely, no probability,
no state, no alerts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely

from benchmarks.rounds import Row, medians, rows
from benchmarks.scenes import CENTRE, METRES_PER_DEGREE, Scene, town
from geofence.curfew import read_curfews
from geofence.zone import read_zones
from tagwatch.monitor import Conditions
from tagwatch.replay import replay

SEED = 20260601
N_WEARERS = 200
N_EACH = 5_040


def conditions(scene: Scene) -> Conditions:
    """The scene's zones and curfews, read and compiled."""
    zones = read_zones(scene.zones)
    return Conditions(zones, read_curfews(scene.curfews, zones))


def plain(scene: Scene) -> Callable[[], int]:
    """The peer: every zone and the curfew's disc (64 corners) of a wearer, asked with contains_xy for all his fixes."""
    lat, lon = scene.fixes.lat_e7 / 1e7, scene.fixes.lon_e7 / 1e7
    n_wearers = len(scene.fixes.devices)
    homes = {c["wearer"]: _disc(c["place"]["lon"], c["place"]["lat"], c["place"]["radius_m"]) for c in scene.curfews}
    areas = [[*scene.polygons(name), homes[name]] for name in scene.fixes.devices]
    for mine in areas:
        shapely.prepare(mine)
    cuts = np.linspace(0, len(lat), n_wearers + 1).astype(int)

    def run() -> int:
        n_inside = 0
        for k, mine in enumerate(areas):
            x, y = lon[cuts[k] : cuts[k + 1]], lat[cuts[k] : cuts[k + 1]]
            n_inside += sum(int(shapely.contains_xy(area, x, y).sum()) for area in mine)
        return n_inside

    return run


def bench(n_wearers: int = N_WEARERS, n_each: int = N_EACH, n_rounds: int = 5) -> list[Row]:
    """Rows of the report."""
    scene = town(np.random.default_rng(SEED), n_wearers, n_each)
    held = conditions(scene)
    candidates: dict[str, Callable[[], object]] = {
        f"replay, {k} process{'es' * (k > 1)}": (lambda k=k: replay(scene.fixes, held, scene.as_of_us, k)) for k in (1, 2)
    }
    candidates["shapely contains_xy, no state"] = plain(scene)
    taken = medians(candidates, n_rounds)
    n_alerts = len(replay(scene.fixes, held, scene.as_of_us, 2).alerts)
    found = rows("replay", len(scene.fixes), "fixes", taken, "shapely contains_xy, no state")
    return [row._replace(note=f"{n_alerts} alerts") if row.ratio else row for row in found]


def _disc(lon: float, lat: float, radius_m: float) -> shapely.Polygon:
    angle = np.linspace(0.0, 2 * np.pi, 64, endpoint=False)
    dy = radius_m / METRES_PER_DEGREE
    dx = dy / np.cos(np.radians(CENTRE[0]))
    return shapely.Polygon(np.column_stack([lon + dx * np.cos(angle), lat + dy * np.sin(angle)]))
