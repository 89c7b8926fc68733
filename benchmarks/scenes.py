"""Seeded scenes for the benchmarks: wearers who sleep at home, go to places by day, and have zones and a curfew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.fixes import SOURCES, Fixes

START_US = 1_780_272_000_000_000
"""2026-06-01T00:00:00Z."""
FIX_INTERVAL_S = 60
CENTRE = (53.23, -0.54)
METRES_PER_DEGREE = 111_320.0
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_HOUR_FIXES = 3600 // FIX_INTERVAL_S
_TRAVEL_FIXES = 15


@dataclass(frozen=True, slots=True)
class Scene:
    """Fixes in order of wearer and time, and the zones (GeoJSON) and curfews (JSON) that their wearers have to keep to."""

    fixes: Fixes
    zones: dict[str, Any]
    curfews: list[dict[str, Any]]
    as_of_us: int

    def polygons(self, wearer: str) -> list[Any]:
        """The zones of a wearer as shapely polygons in degrees."""
        mine = [f for f in self.zones["features"] if f["properties"]["wearers"] == [wearer]]
        return [shapely.Polygon(f["geometry"]["coordinates"][0]) for f in mine]


class Conduct(NamedTuple):
    """How often a wearer errs: the share of hours spent in a zone of his own, and of hours out of those to be at home; when
    the curfew begins: all are on their way home from 18:00 to 18:15 UTC; and whether his ways keep clear of his zones: these
    lie south of his home, and else he stays north of it."""

    breach: float = 0.03
    late: float = 0.02
    curfew_from: str = "19:00"
    keeps_clear: bool = False


LAW_ABIDING = Conduct(0.008, 0.004, "20:00", keeps_clear=True)
"""About a seventh of an alert a wearer and day."""


def town(
    rng: np.random.Generator, n_wearers: int, n_each: int, n_zones: int = 5, n_vertices: int = 32,
    conduct: Conduct = Conduct(), reach_m: float = 6000.0,
) -> Scene:  # fmt: skip
    """`n_wearers` wearers with a fix a minute, `n_each` fixes, `n_zones` polygons and one nightly curfew each.

    Homes lie within `reach_m` of the middle, east to west and north to south.
    """
    names = [f"w{k:05d}" for k in range(n_wearers)]
    homes = rng.uniform(-reach_m, reach_m, (n_wearers, 2))
    features: list[dict[str, Any]] = []
    places = np.empty((n_wearers, n_zones, 2))
    for k, name in enumerate(names):
        around = (np.radians(130.0), np.radians(230.0)) if conduct.keeps_clear else (0.0, 2 * np.pi)
        bearing, distance = rng.uniform(*around, n_zones), rng.uniform(500.0, 3000.0, n_zones)
        places[k] = homes[k] + np.column_stack([np.sin(bearing), np.cos(bearing)]) * distance[:, None]
        features += [_zone(rng, f"{name}-{z}", name, places[k, z], n_vertices) for z in range(n_zones)]
    x, y, accuracy_m = _walks(rng, homes, places, n_each, conduct)
    lat, lon = degrees(x, y)
    step = np.arange(n_each) * FIX_INTERVAL_S * 1_000_000
    fixes = Fixes.of(
        names, device=np.repeat(np.arange(n_wearers), n_each), time_us=np.tile(START_US + step, n_wearers),
        lat_e7=np.rint(lat.ravel() * 1e7), lon_e7=np.rint(lon.ravel() * 1e7),
        accuracy_cm=np.rint(accuracy_m.ravel() * 100), source=np.full(n_wearers * n_each, SOURCES["gps"]),
    )  # fmt: skip
    curfews = [_curfew(name, *degrees(*home), conduct.curfew_from) for name, home in zip(names, homes, strict=True)]
    as_of_us = START_US + n_each * FIX_INTERVAL_S * 1_000_000
    return Scene(fixes, {"type": "FeatureCollection", "features": features}, curfews, as_of_us)


def in_arrival_order(fixes: Fixes) -> Fixes:
    """The same fixes as a centre gets them: minute by minute, one of every wearer."""
    return fixes.take(np.argsort(fixes.time_us, kind="stable"))


def pieces(fixes: Fixes, n: int) -> Iterator[Fixes]:
    """The fixes in batches of `n`."""
    for start in range(0, len(fixes), n):
        yield fixes.take(slice(start, start + n))


def degrees(x_m: Any, y_m: Any) -> tuple[Any, Any]:
    """Metres east and north of the town's centre as latitude and longitude [degrees]."""
    lat = CENTRE[0] + np.asarray(y_m) / METRES_PER_DEGREE
    return lat, CENTRE[1] + np.asarray(x_m) / (METRES_PER_DEGREE * np.cos(np.radians(CENTRE[0])))


def _walks(
    rng: np.random.Generator, homes: NDArray[np.float64], places: NDArray[np.float64], n_each: int, conduct: Conduct
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Positions with errors [m] and reported accuracies [m], each (n_wearers, n_each)."""
    n_wearers, n_zones = places.shape[:2]
    n_hours = n_each // _HOUR_FIXES + 2
    away = rng.normal(0.0, 2000.0, (n_wearers, n_hours, 2))
    if conduct.keeps_clear:
        away[..., 1] = np.abs(away[..., 1])
    goals = homes[:, None] + away
    breach = rng.random((n_wearers, n_hours)) < conduct.breach
    goals[breach] = places[np.nonzero(breach)[0], rng.integers(0, n_zones, int(breach.sum()))]
    hour = np.arange(n_hours) % 24
    out_late = rng.random((n_wearers, n_hours)) < conduct.late
    at_home = ((hour < 8) | (hour >= 18)) & ~out_late
    goals = np.where(at_home[..., None], homes[:, None], goals)
    minute = np.arange(n_each)
    k, part = minute // _HOUR_FIXES, np.minimum(1.0, minute % _HOUR_FIXES / _TRAVEL_FIXES)[None, :, None]
    before = goals[:, np.maximum(k - 1, 0)]
    true = before + (goals[:, k] - before) * part
    accuracy_m = np.exp(rng.normal(np.log(9.0), 0.5, (n_wearers, n_each)))
    error = _drift(rng, (n_wearers, n_each, 2)) * (accuracy_m / 2.4477)[..., None]
    wild = rng.random((n_wearers, n_each, 1)) < 0.01
    found = true + np.where(wild, 5.0, 1.0) * error
    return found[..., 0], found[..., 1], accuracy_m


def _drift(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Standard normal errors, alike from minute to minute (AR(1), 0.8)."""
    noise = rng.normal(size=shape)
    for k in range(1, shape[1]):
        noise[:, k] = 0.8 * noise[:, k - 1] + 0.6 * noise[:, k]
    return noise


def _zone(rng: np.random.Generator, name: str, wearer: str, centre: NDArray[np.float64], n_vertices: int) -> dict[str, Any]:
    angle = np.linspace(0.0, 2 * np.pi, n_vertices, endpoint=False)
    radius = rng.uniform(60.0, 250.0) * rng.uniform(0.7, 1.0, n_vertices)
    lat, lon = degrees(centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle))
    ring = [[float(a), float(b)] for a, b in zip(np.round(lon, 7), np.round(lat, 7), strict=True)]
    return {
        "type": "Feature", "properties": {"id": name, "kind": "exclusion", "wearers": [wearer]},
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
    }  # fmt: skip


def _curfew(wearer: str, lat: float, lon: float, start: str) -> dict[str, Any]:
    weekly: Sequence[dict[str, Any]] = [{"days": DAYS, "start": start, "end": "07:00"}]
    place = {"lat": round(float(lat), 7), "lon": round(float(lon), 7), "radius_m": 80}
    return {"id": f"{wearer}-home", "wearer": wearer, "place": place, "timezone": "Europe/London", "weekly": weekly}
