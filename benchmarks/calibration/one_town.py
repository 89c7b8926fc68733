"""Real trails brought together in one town, and simulated towns, as the match takes them.

The phones of Sao Paulo are where and when they were. The car and bus tracks of Aracaju, 2,000 km away and years apart, are
moved onto its centre and by whole days into the phones' eleven days, their clock hours and class of weekday kept, and dealt out
to twelve wearers: traffic through the town that is monitored now and then.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.calibration.dwells import DATA
from crime_match.trails import Trails
from engine.activations import Activation, Activations
from engine.fixes import ABSENT, SOURCES, Fixes
from engine.times import DAY_US, HOUR_US
from tagwatch.matching import trails_of
from tagwatch.simulate.world import START_US, simulate

SAO_PAULO = "America/Sao_Paulo"
N_DRIVERS = 12
_LOCAL_US = 3 * HOUR_US  # both towns were three hours behind UTC
_MOST_RADIUS_M = 100_000.0


class Town(NamedTuple):
    """Trails, the zone of their clocks, places where somebody stayed (n, 2) [degrees], each as often as a stay, and the
    period of the data [us UTC]."""

    name: str
    trails: Trails
    timezone: str
    stays: NDArray[np.float64]
    first_us: int
    last_us: int


def real_town(folder: Path = DATA) -> Town | None:
    """Twelve phones and twelve drivers; None where the data are absent."""
    if not (folder / "phones_saopaulo").exists():
        return None
    phones = pd.read_csv(folder / "phones_saopaulo" / "fixes.csv.gz")
    places = pd.read_csv(folder / "phones_saopaulo" / "places.csv")
    columns = {
        "device": phones.user.to_numpy(), "time_us": np.rint(phones.ts.to_numpy() * 1e6).astype(np.int64),
        "lat": phones.lat.to_numpy(), "lon": phones.lon.to_numpy(),
        "accuracy_cm": np.rint(np.minimum(phones.accuracy_m, _MOST_RADIUS_M) * 100.0).to_numpy(),
    }  # fmt: skip
    days = np.unique((columns["time_us"] - _LOCAL_US) // DAY_US)
    driven = _drivers(folder, days, float(np.median(columns["lat"])), float(np.median(columns["lon"])))
    both = {name: np.concatenate([column, driven[name]]) for name, column in columns.items()}
    names, device = np.unique(both["device"].astype(str), return_inverse=True)
    fixes = Fixes.of(
        names.tolist(), device=device, time_us=both["time_us"], lat_e7=np.rint(both["lat"] * 1e7),
        lon_e7=np.rint(both["lon"] * 1e7), accuracy_cm=both["accuracy_cm"], source=np.full(len(device), SOURCES["gps"]),
    )  # fmt: skip
    trails = trails_of(fixes, plan=Activation("", "", -(2**62), percentile=0.68))
    edges = int(days[0]) * DAY_US + _LOCAL_US, (int(days[-1]) + 1) * DAY_US + _LOCAL_US - 1
    return Town("real trails", trails, SAO_PAULO, places[["lat", "lon"]].to_numpy(), *edges)


def _drivers(folder: Path, days: NDArray[np.int64], lat: float, lon: float) -> dict[str, Any]:
    """The tracks, each on the first free day of its driver that has its class of weekday; those that find none are left out."""
    rows = pd.read_csv(folder / "gotrack_aracaju" / "go_track_trackspoints.csv")
    local_us = pd.to_datetime(rows.time).astype("datetime64[us]").astype("int64").to_numpy()
    shrink = math.cos(math.radians(float(rows.latitude.median()))) / math.cos(math.radians(lat))
    lats = rows.latitude.to_numpy() - float(rows.latitude.median()) + lat
    lons = (rows.longitude.to_numpy() - float(rows.longitude.median())) * shrink + lon
    taken: dict[int, list[tuple[int, int]]] = {}
    found: dict[str, list[Any]] = {name: [] for name in ("device", "time_us", "lat", "lon")}
    for number, (_, own) in enumerate(rows.groupby("track_id")):
        driver, at_us = number % N_DRIVERS, local_us[own.index]
        for day in days.tolist():
            moved = at_us - int(at_us[0]) // DAY_US * DAY_US + day * DAY_US
            span = int(moved.min()), int(moved.max())
            same_class = _is_weekend(day) == _is_weekend(int(at_us[0]) // DAY_US)
            if same_class and all(span[1] < a or b < span[0] for a, b in taken.get(driver, [])):
                taken.setdefault(driver, []).append(span)
                found["device"].append(np.full(len(own), f"driver {driver:02d}"))
                found["time_us"].append(moved + _LOCAL_US)
                found["lat"].append(lats[own.index])
                found["lon"].append(lons[own.index])
                break
    columns = {name: np.concatenate(parts) for name, parts in found.items()}
    return columns | {"accuracy_cm": np.full(len(columns["lat"]), ABSENT)}


def _is_weekend(day: int) -> bool:
    return (day + 3) % 7 >= 5  # day 0 was a Thursday


def simulated_town(wearers: int = 60, days: int = 28, seed: int = 5) -> Town:
    """A simulated town; the stays are where wearers truly were still, drawn over their time."""
    world = simulate(wearers, days, seed)
    trails = trails_of(world.fixes, Activations(world.activations), world.events)
    rng = np.random.default_rng(seed)
    stays = []
    for path in world.truth.paths.values():
        for at_us in rng.integers(world.start_us, world.end_us - 300_000_000, 20).tolist():
            (x1, y1), (x2, y2) = path.at(at_us), path.at(at_us + 300_000_000)
            if math.hypot(x2 - x1, y2 - y1) < 20.0:
                stays.append(world.truth.plane.degrees(x1, y1))
    return Town(f"simulated town, seed {seed}", trails, "Europe/London", np.array(stays, float), START_US, world.end_us - 1)


def zone_of(town: Town) -> ZoneInfo:
    """The zone of a town's clocks."""
    return ZoneInfo(town.timezone)
