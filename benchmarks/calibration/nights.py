"""Nights under curfew with errors of `visits`: at home all night, or away for a while to a place near by or further off."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from benchmarks.calibration.absences import RULES, meets, span_of
from benchmarks.calibration.visits import START_US, Errors, Floats, remembering, seen
from engine.fixes import SOURCES, Fixes
from engine.kernels import metres_per_e7
from geofence.curfew import read_curfews
from geofence.schedule import Interval
from tagwatch.monitor import Conditions
from tagwatch.replay import replay

NIGHT_S, GRACE_MINUTES = 12 * 3600, 5
LAT, LON = 53.0, -1.0
_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Nights(NamedTuple):
    """Nights whose absence, if there was one, led so far from the edge of home [m, 0: nobody left], indoors or not; absences
    raised that never were, and true ones found."""

    memory_s: float
    gap_m: float
    indoors: bool
    n_nights: int
    n_false: int
    n_found: int


class _Night(NamedTuple):
    radius_m: float
    t_s: Floats
    x: Floats
    y: Floats
    accuracy_m: Floats
    away: list[Interval]


def nights(errors: Errors, gap_m: float, indoors: bool, n: int, seed: int) -> Nights:
    """`n` nights of as many wearers, judged by the product's own replay."""
    rng = np.random.default_rng(seed)
    drawn = [_draw(errors, gap_m, indoors, rng) for _ in range(n)]
    ky, kx = metres_per_e7(LAT * 1e7)
    names = [f"n{k:03d}" for k in range(n)]
    t_s, x, y, accuracy_m = (np.concatenate([night[column] for night in drawn]) for column in (1, 2, 3, 4))
    fixes = Fixes.of(
        names, device=np.repeat(np.arange(n), [len(night.t_s) for night in drawn]), time_us=START_US + np.rint(t_s * 1e6),
        lat_e7=np.rint(LAT * 1e7 + y / ky), lon_e7=np.rint(LON * 1e7 + x / kx), accuracy_cm=np.rint(accuracy_m * 100.0),
        source=np.full(len(t_s), SOURCES["gps"]),
    )  # fmt: skip
    curfews = read_curfews([_curfew(name, night.radius_m) for name, night in zip(names, drawn, strict=True)])
    raised: dict[str, list[Interval]] = {name: [] for name in names}
    for alert in replay(fixes, Conditions(curfews=curfews), int(fixes.time_us.max())).alerts:
        if alert.rule in RULES:
            raised[alert.wearer].append(span_of(alert, START_US + NIGHT_S * 1_000_000))
    n_false = sum(not meets(s, night.away) for name, night in zip(names, drawn, strict=True) for s in raised[name])
    n_found = sum(meets(s, raised[name]) for name, night in zip(names, drawn, strict=True) for s in night.away)
    return Nights(errors.memory_s, gap_m, indoors, n, n_false, n_found)


def _draw(errors: Errors, gap_m: float, indoors: bool, rng: Generator) -> _Night:
    """A home of 40 to 100 m; circles of about 35 m indoors, 10 m in the open; away for 20 to 60 minutes."""
    radius_m = float(rng.uniform(40.0, 100.0))
    t_s = np.arange(rng.uniform(0.0, errors.interval_s), NIGHT_S, errors.interval_s)
    bed = 0.5 * radius_m * math.sqrt(rng.random()) * np.array([1.0, 0.0])
    leaves_s, stays_s, bearing = rng.uniform(7200.0, 30_000.0), rng.uniform(1200.0, 3600.0), rng.uniform(0.0, 2 * math.pi)
    there = (radius_m + gap_m) * np.array([math.sin(bearing), math.cos(bearing)])
    walks_s = float(np.hypot(*(there - bed))) / 1.3
    corners_s = leaves_s + np.array([0.0, walks_s, walks_s + stays_s, 2 * walks_s + stays_s])
    ways = np.array([bed, there, there, bed]) if gap_m else np.array([bed] * 4)
    x, y = (np.interp(t_s, corners_s, ways[:, axis]) for axis in (0, 1))
    leg = np.searchsorted(corners_s, t_s)
    in_the_open = np.isin(leg, (1, 3) if indoors else (1, 2, 3)) if gap_m else np.zeros(len(t_s), np.bool_)
    spread = np.exp(0.4 * remembering(len(t_s), errors.interval_s, 600.0, rng))
    accuracy_m = np.clip(np.where(in_the_open, 10.0, 35.0) * spread, 3.0, 150.0)
    away = [(START_US + int(corners_s[0] * 1e6), START_US + int(corners_s[3] * 1e6))] if gap_m else []
    return _Night(radius_m, t_s, *seen(x, y, accuracy_m, errors, rng), accuracy_m, away)


def _curfew(wearer: str, radius_m: float) -> dict[str, object]:
    return {
        "id": f"curfew-{wearer}", "wearer": wearer, "place": {"lat": LAT, "lon": LON, "radius_m": radius_m}, "timezone": "UTC",
        "weekly": [{"days": _DAYS, "start": "00:00", "end": "12:00"}], "grace_minutes": GRACE_MINUTES,
    }  # fmt: skip
