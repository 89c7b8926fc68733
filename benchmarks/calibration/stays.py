"""Stays: phones of people who stayed, receivers that did not move, simulated ones; as trails, with the true place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.calibration.dwells import DATA
from benchmarks.calibration.visits import START_US, Errors, remembering, seen
from engine.activations import Activation
from engine.error_model import number_of
from engine.fixes import SOURCES, Fixes
from engine.kernels import metres_per_e7
from engine.trail import Trail, arrange

MIS_SEGMENTED_M = 300.0  # a stay whose median drift is larger was cut wrongly
PHONE_PERCENTILE, TAG_PERCENTILE = 0.68, 0.95
MOST_RADIUS_M, SIMULATED_S = 20_000.0, 10_800.0
THINNED_S = 10  # of a receiver that reports every second


class Stay(NamedTuple):
    """A trail of somebody, or something, that did not move, the place [degrees], how long it lasted [days], and what its
    circles are said to hold."""

    trail: Trail
    lat: float
    lon: float
    days: float
    percentile: float


def phone_stays() -> list[Stay]:
    """Stays of the people of São Paulo; the place is the centre of their fixes. Empty where the data are not here."""
    folder = DATA / "phones_saopaulo"
    if not folder.exists():
        return []
    fixes = pd.read_csv(folder / "fixes.csv.gz").drop_duplicates(["user", "ts", "lat", "lon", "accuracy_m"])
    found = []
    windows = pd.read_csv(folder / "dwell_drift_windows.csv")
    for user, *numbers in zip(*(windows[c] for c in ("user", "enter_ts", "exit_ts", "lat", "lon", "err50_m")), strict=True):
        entered, left, lat, lon, drift_m = map(float, numbers)
        own = fixes[(fixes.user == user) & fixes.ts.between(entered, left)]
        if len(own) > 1 and drift_m <= MIS_SEGMENTED_M:
            accuracy_m = own.accuracy_m.to_numpy()
            trail = _trail(f"{user} {entered:.0f}", own.ts.to_numpy(), own, accuracy_m, PHONE_PERCENTILE, "phone")
            found.append(Stay(trail, lat, lon, (left - entered) / 86_400.0, PHONE_PERCENTILE))
    return found


def receiver_stays() -> list[Stay]:
    """Two receivers that reported for an hour and more, a fix every ten seconds, no radius. Empty without the data."""
    return [_receiver(name) for name in ("east", "west")] if (DATA / "static_gnss").exists() else []


def simulated_stays(n: int, errors: Errors, seed: int) -> list[Stay]:
    """Stays of three hours by a tag indoors, whose errors are those of `visits`."""
    rng, lat, lon = np.random.default_rng(seed), 53.0, -1.0
    north, east = metres_per_e7(lat * 1e7)
    ts = np.arange(0.0, SIMULATED_S, errors.interval_s)
    found = []
    for number in range(n):
        radius_m = np.clip(20.0 * np.exp(0.4 * remembering(len(ts), errors.interval_s, 600.0, rng)), 3.0, 150.0)
        x, y = seen(np.zeros(len(ts)), np.zeros(len(ts)), radius_m, errors, rng)
        rows = pd.DataFrame({"lat": lat + y / north * 1e-7, "lon": lon + x / east * 1e-7})
        trail = _trail(f"s{number}", START_US * 1e-6 + ts, rows, radius_m, TAG_PERCENTILE, "tag")
        found.append(Stay(trail, lat, lon, SIMULATED_S / 86_400.0, TAG_PERCENTILE))
    return found


def _receiver(name: str) -> Stay:
    rows = pd.read_csv(DATA / "static_gnss" / f"adsbgrid_{name}_gnss.csv").drop_duplicates("timestamp_utc")
    ts = pd.to_datetime(rows.timestamp_utc, utc=True).astype("datetime64[ns, UTC]").astype("int64").to_numpy() / 1e9
    kept = np.unique(ts // THINNED_S, return_index=True)[1]
    ts, rows = ts[kept], rows.iloc[kept]
    trail = _trail(name, ts, rows, None, TAG_PERCENTILE, "tag")
    return Stay(trail, float(rows.lat.median()), float(rows.lon.median()), float(ts[-1] - ts[0]) / 86_400.0, TAG_PERCENTILE)


def _trail(name: str, ts: NDArray[np.float64], rows: pd.DataFrame, accuracy_m: Any, percentile: float, model: str) -> Trail:
    n = len(ts)
    fixes = Fixes.of(
        [name], device=np.zeros(n), time_us=np.rint(ts * 1e6), lat_e7=np.rint(rows.lat.to_numpy() * 1e7),
        lon_e7=np.rint(rows.lon.to_numpy() * 1e7), source=np.full(n, SOURCES["gps"]),
        accuracy_cm=None if accuracy_m is None else np.rint(np.minimum(accuracy_m, MOST_RADIUS_M) * 100.0),
    )  # fmt: skip
    return trails_of(fixes, percentile, model)[0]


def trails_of(fixes: Fixes, percentile: float = TAG_PERCENTILE, model: str = "tag") -> list[Trail]:
    """The trails of fixes, one for each device, whose wearer has its name."""
    n = len(fixes)
    silence_us, number = np.full(n, Activation("", "", 0).silence_us), np.full(n, number_of(model), np.uint8)
    rows, wearer, _ = arrange(fixes, fixes.device, np.full(n, percentile), silence_us, number)
    trails = [Trail(name) for name in fixes.devices]
    for k, trail in enumerate(trails):
        trail.merge(rows.take(wearer == k))
    return trails


def beside(stay: Stay, gap_m: float, radius_m: float, n: int = 8) -> Iterator[tuple[float, float]]:
    """Centres [degrees] of `n` discs about the stay, the edge of each `gap_m` from the true place."""
    for bearing in np.arange(n) * 2 * np.pi / n:
        away_m = gap_m + radius_m
        lat = stay.lat + away_m * np.cos(bearing) / 111_320.0
        yield lat, stay.lon + away_m * np.sin(bearing) / (111_320.0 * np.cos(np.radians(stay.lat)))
