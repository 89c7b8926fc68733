"""Seeded scenes with their truth: one day of a wearer about one exclusion zone, seen by a tag with errors.

The errors are of another family than the engine's two normals: their scale wanders (log-normal, a quarter of an hour), spells
of bias come and go (reflections between walls), and both are correlated over `memory_s`. Nothing of the engine's model is used.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
import shapely
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

from engine.fixes import SOURCES, Fixes
from engine.kernels import metres_per_e7
from geofence.zone import Circle, Zone

START_US = 1_780_272_000_000_000
DAY_S = 86_400
SECOND_US = 1_000_000
RADIUS_PER_SIGMA = 2.4477  # 95 % radius of a round two-dimensional normal
_STEP_S = 5  # of the true path, for entries and exits
_BLOCK_S = 4 * 3600  # one outing at most in each but the first
_KINDS = ("visit", "short", "shallow", "pass", "next door", "far")
_SHARES = (0.10, 0.04, 0.04, 0.10, 0.26, 0.46)
_WALK_MPS, _RIDE_MPS = 1.4, 10.0

Floats: TypeAlias = NDArray[np.float64]


class Errors(NamedTuple):
    """How wrong the fixes are: over what time they remember, and how often they are taken."""

    memory_s: float
    interval_s: float = 60.0


class Visit(NamedTuple):
    """A true stay inside the zone of wearer number `wearer`: deepest point and the radius reported meanwhile [m]."""

    wearer: int
    entered_us: int
    left_us: int
    depth_m: float
    radius_m: float

    @property
    def deep(self) -> bool:
        """Whether it is one that must be found: five minutes and more, two reported radii deep."""
        return self.left_us - self.entered_us >= 300 * SECOND_US and self.depth_m >= 2.0 * self.radius_m


class Scene(NamedTuple):
    """Fixes in order of wearer and time (device number = wearer number), a zone for each wearer, truth (n,), all visits."""

    fixes: Fixes
    zones: tuple[Zone, ...]
    inside: NDArray[np.bool_]
    visits: tuple[Visit, ...]

    @property
    def wearer_days(self) -> int:
        """How long it was watched."""
        return len(self.zones)


class _Day(NamedTuple):
    """A true day: corners of the path [s, m about the zone's centre], and spans [s] spent indoors."""

    t_s: Floats
    x: Floats
    y: Floats
    indoors: list[tuple[float, float]]


def draw_scene(seed: int, n_days: int, errors: Errors) -> Scene:
    """`n_days` days, each of another wearer with a zone of their own."""
    rng = np.random.default_rng(seed)
    names = [f"w{k:04d}" for k in range(n_days)]
    zones, columns, inside, visits = [], [], [], []
    for k, name in enumerate(names):
        lat, lon = 51.0 + 0.05 * (k % 80), -3.0 + 0.05 * (k // 80)
        shape = _draw_shape(rng)
        day = _draw_day(shape, rng)
        t_s = np.arange(rng.uniform(0, errors.interval_s), DAY_S, errors.interval_s)
        x, y = np.interp(t_s, day.t_s, day.x), np.interp(t_s, day.t_s, day.y)
        radius = _radii(t_s, day, rng)
        seen_x, seen_y = seen(x, y, radius, errors, rng)
        kx, ky = _per_e7(lat)
        columns.append((np.full(len(t_s), k), t_s, lat * 1e7 + seen_y / ky, lon * 1e7 + seen_x / kx, radius))
        inside.append(_depths(shape, x, y) >= 0.0)
        visits += _visits(k, shape, day, t_s, radius)
        zones.append(_zone(name, shape, lat, lon))
    device, at_s, lat_e7, lon_e7, radius = (np.concatenate(c) for c in zip(*columns, strict=True))
    fixes = Fixes.of(
        names, device=device, time_us=START_US + np.rint(at_s * SECOND_US), lat_e7=np.rint(lat_e7), lon_e7=np.rint(lon_e7),
        accuracy_cm=np.rint(radius * 100.0), source=np.full(len(device), SOURCES["gps"]),
    )  # fmt: skip
    return Scene(fixes, tuple(zones), np.concatenate(inside), tuple(visits))


def _draw_shape(rng: Generator) -> shapely.Polygon | float:
    """A disc's radius, or a polygon of 5 to 12 corners about the origin [m]; 30 to 300 m."""
    size = math.exp(rng.uniform(math.log(30.0), math.log(300.0)))
    if rng.random() < 0.5:
        return size
    n = int(rng.integers(5, 13))
    angle = (np.arange(n) + rng.uniform(-0.3, 0.3, n)) * 2 * np.pi / n
    reach = size * rng.uniform(0.7, 1.3, n)
    return shapely.Polygon(np.column_stack([reach * np.cos(angle), reach * np.sin(angle)]))


def _depths(shape: shapely.Polygon | float, x: Floats, y: Floats) -> Floats:
    """Distance to the edge [m], positive inside; shape (n,)."""
    if isinstance(shape, float):
        return np.asarray(shape - np.hypot(x, y))
    points = shapely.points(x, y)
    away = shapely.distance(shape.exterior, points)
    return np.asarray(np.where(shapely.contains_xy(shape, x, y), away, -away))


def _at_depth(shape: shapely.Polygon | float, depth_m: float, bearing: float) -> tuple[float, float]:
    """The point on the ray from the centre that is so deep inside (negative: outside), by bisection."""
    low, high = 0.0, 1000.0
    for _ in range(40):
        far = (low + high) / 2.0
        deep = float(_depths(shape, np.array([far * math.sin(bearing)]), np.array([far * math.cos(bearing)]))[0])
        low, high = (far, high) if deep > depth_m else (low, far)
    return low * math.sin(bearing), low * math.cos(bearing)


def _draw_day(shape: shapely.Polygon | float, rng: Generator) -> _Day:
    """A night at home far away, then at most one outing in each four hours."""
    home_bearing, home_m = rng.uniform(0, 2 * np.pi), rng.uniform(800.0, 3000.0)
    home = home_m * math.sin(home_bearing), home_m * math.cos(home_bearing)
    corners, indoors = [(0.0, *home)], []
    for start_s in range(_BLOCK_S, DAY_S, _BLOCK_S):
        kind = rng.choice(_KINDS, p=_SHARES)
        if kind == "far":
            continue
        points, dwell_s = _outing(kind, shape, rng)
        bearing = math.atan2(points[0][0], points[0][1])
        gate = (500.0 * math.sin(bearing), 500.0 * math.cos(bearing))
        t_s = start_s + rng.uniform(60.0, 600.0)
        corners.append((t_s, *home))
        for number, spot in enumerate((gate, *points, gate, home)):
            here = corners[-1]
            far = math.hypot(spot[0] - here[1], spot[1] - here[2])
            t_s += far / (_RIDE_MPS if number in (0, len(points) + 2) else _WALK_MPS * rng.uniform(0.8, 1.2))
            corners.append((t_s, *spot))
            if number == len(points) and dwell_s:
                corners.append((t_s + dwell_s, *spot))
                if rng.random() < (0.8 if kind == "next door" else 0.4):
                    indoors.append((t_s, t_s + dwell_s))
                t_s += dwell_s
    t, x, y = np.array(corners).T
    return _Day(t, x, y, indoors)


def _outing(kind: str, shape: shapely.Polygon | float, rng: Generator) -> tuple[list[tuple[float, float]], float]:
    """Where an outing leads (the stay is at the last point) and how long the stay is [s]."""
    bearing, minutes = rng.uniform(0, 2 * np.pi), math.exp(rng.uniform(math.log(5.0), math.log(60.0)))
    deepest = float(_depths(shape, np.zeros(1), np.zeros(1))[0])
    if kind == "visit":
        return [_at_depth(shape, rng.uniform(0.4, 0.95) * deepest, bearing)], minutes * 60.0
    if kind == "short":
        return [_at_depth(shape, rng.uniform(0.2, 0.9) * deepest, bearing)], rng.uniform(5.0, 120.0)
    if kind == "shallow":
        return [_at_depth(shape, rng.uniform(2.0, 10.0), bearing)], minutes * 60.0
    gap = rng.uniform(20.0, 100.0)
    if kind == "next door":
        return [_at_depth(shape, -gap, bearing)], rng.uniform(1.0, 3.0) * 3600.0
    gap /= 2.0
    angles = bearing + np.linspace(0.0, rng.uniform(0.5, 2.0), 6)
    return [_at_depth(shape, -gap, float(angle)) for angle in angles], 0.0


def _radii(t_s: Floats, day: _Day, rng: Generator) -> Floats:
    """The reported 95 % radius [m]: log-normal about 10 m in the open and 25 m indoors, varying over ten minutes."""
    indoors = np.zeros(len(t_s), np.bool_)
    for start, end in day.indoors:
        indoors |= (t_s >= start) & (t_s < end)
    spread = np.exp(0.4 * remembering(len(t_s), float(t_s[1] - t_s[0]), 600.0, rng))
    return np.asarray(np.clip(np.where(indoors, 25.0, 10.0) * spread, 3.0, 150.0))


def seen(x: Floats, y: Floats, radius: Floats, errors: Errors, rng: Generator) -> tuple[Floats, Floats]:
    """Truth (n,) plus error [m], two columns: the circle holds the truth in 85 to 90 % of the fixes."""
    n, dt_s = len(x), errors.interval_s
    scale = radius / RADIUS_PER_SIGMA * 0.95 * np.exp(0.45 * remembering(n, dt_s, 900.0, rng))
    biased = remembering(n, dt_s, errors.memory_s, rng) > 2.05  # 2 % of the time
    bearing = np.cumsum(np.diff(biased, prepend=False)) * 2.4  # another direction for each spell
    bias = np.where(biased, radius * np.exp(rng.normal(0.7, 0.4)), 0.0)
    seen_x = x + scale * remembering(n, dt_s, errors.memory_s, rng) + bias * np.sin(bearing)
    return seen_x, y + scale * remembering(n, dt_s, errors.memory_s, rng) + bias * np.cos(bearing)


def remembering(n: int, dt_s: float, memory_s: float, rng: Generator) -> Floats:
    """An Ornstein-Uhlenbeck series (n,) of unit variance, e-folding in `memory_s`; white noise for 0."""
    noise = rng.standard_normal(n)
    decay = math.exp(-dt_s / memory_s) if memory_s else 0.0
    fresh = math.sqrt(1.0 - decay * decay)
    series, _ = lfilter([fresh], [1.0, -decay], noise, zi=noise[:1] * (1.0 - fresh))
    return np.asarray(series)


def _visits(wearer: int, shape: shapely.Polygon | float, day: _Day, t_s: Floats, radius: Floats) -> list[Visit]:
    """The stays inside, from the path every five seconds."""
    fine_s = np.arange(0.0, DAY_S, _STEP_S)
    depth = _depths(shape, np.interp(fine_s, day.t_s, day.x), np.interp(fine_s, day.t_s, day.y))
    edges = np.flatnonzero(np.diff(depth >= 0.0, prepend=False, append=False))
    found = []
    for first, stop in edges.reshape(-1, 2):
        during = (t_s >= fine_s[first]) & (t_s < fine_s[first] + (stop - first) * _STEP_S)
        reported = float(np.median(radius[during])) if during.any() else float(np.median(radius))
        entered, left = (START_US + int(fine_s[first]) * SECOND_US, START_US + int(stop) * _STEP_S * SECOND_US)
        found.append(Visit(wearer, entered, left, float(depth[first:stop].max()), reported))
    return found


def _zone(name: str, shape: shapely.Polygon | float, lat: float, lon: float) -> Zone:
    if isinstance(shape, float):
        place: Circle | shapely.Polygon = Circle(round(lat * 1e7), round(lon * 1e7), shape)
    else:
        kx, ky = _per_e7(lat)
        corners = shapely.get_coordinates(shape) * 1e-7 / np.array([kx, ky]) + np.array([lon, lat])
        place = shapely.Polygon(corners)
    return Zone(f"zone-{name}", f"Zone of {name}", "exclusion", (name,), place, "")


def _per_e7(lat: float) -> tuple[float, float]:
    """Metres for 1e-7 degree of longitude and of latitude."""
    ky, kx = metres_per_e7(lat * 1e7)
    return kx, ky
