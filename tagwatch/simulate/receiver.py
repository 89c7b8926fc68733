"""What a tag makes of the truth: correlated, heavy-tailed position errors, and radii that admit too little of them.

The error is a Gauss-Markov process on each axis (minutes when still, a minute when moving). Its scale is 1.1 times what the
reported 95 % radius says, and 3.5 times in spells of bad reception (6 % of the time), so that the circle holds the truth in
85 to 90 % of the fixes. A few fixes are wild. Indoors fixes go missing, or come from masts or wireless networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from engine.fixes import ABSENT, SOURCES
from tagwatch.simulate.journeys import DRIVE, HOME, INDOOR, OUTDOOR, WALK
from tagwatch.simulate.kernels import gauss_markov
from tagwatch.simulate.paths import Path
from tagwatch.simulate.plane import Floats
from tagwatch.simulate.town import Town

RADIUS_PER_SIGMA = 2.4477  # 95 % radius of a round two-dimensional normal
CORE, TAIL, TAIL_SHARE, WILD_SHARE = 1.1, 3.5, 0.06, 6e-4
_LOW_M = np.array([20.0, 20.0, 4.0, 8.0, 8.0])  # reported radius by setting: home, indoors, open, on foot, driving
_HIGH_M = np.array([60.0, 60.0, 8.0, 20.0, 20.0])
_GPS, _RF, _LBS, _WIFI = (SOURCES[name] for name in ("gps", "rf", "lbs", "wifi"))

Columns = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Reception:
    """How a tag fares: share of fixes lost at home and in other buildings, and whether a home unit answers at home."""

    lost_home: float
    lost_indoors: float
    home_unit: bool


@dataclass(frozen=True)
class Moments:
    """The instants of one tag's fixes and the truth at them (n,): us, metres, setting, m/s, degrees."""

    time_us: NDArray[np.int64]
    x: Floats
    y: Floats
    setting: NDArray[np.int8]
    speed_mps: Floats
    course_deg: Floats

    @classmethod
    def on(cls, path: Path, time_us: NDArray[np.int64]) -> Moments:
        """The truth of a path at these instants."""
        return cls(time_us, *path.at(time_us), path.setting[path.legs_at(time_us)], *path.motion(time_us))


def receive(moments: Moments, town: Town, reception: Reception, rng: Generator) -> tuple[Columns, NDArray[np.bool_]]:
    """The tag's columns of `Fixes` (all but device, time, battery and received) and which fixes there are at all; (n,)."""
    remembered = _Memory(moments, rng)
    accuracy = _accuracy(moments, town, remembered.series(600.0))
    source, heard = _sources(moments, reception, remembered.series(300.0), rng)
    wide = rng.uniform(25.0, 80.0, len(source))
    accuracy = np.where(source == _RF, 25.0, np.where(source == _WIFI, wide, accuracy))
    x, y = _positions(moments, accuracy, source, remembered, rng)
    x, y, accuracy = _from_masts(moments, town, source, x, y, accuracy, rng)
    lat_e7, lon_e7 = town.plane.to_e7(x, y)
    accuracy_cm = (np.rint(accuracy * 10.0) * 10.0).astype(np.int32)
    place: Columns = {"lat_e7": lat_e7, "lon_e7": lon_e7, "accuracy_cm": accuracy_cm, "source": source}
    return place | _satellite_columns(moments, source, accuracy, rng), heard


class _Memory:
    """Noise that remembers: each series is new, of unit variance, at the moments' spacing."""

    def __init__(self, moments: Moments, rng: Generator) -> None:
        self._rng, self.n = rng, len(moments.time_us)
        self._step_s = np.diff(moments.time_us, prepend=moments.time_us[:1]) * 1e-6
        self._moving = (moments.setting == WALK) | (moments.setting == DRIVE)

    def series(self, still_s: float, moving_s: float | None = None, count: int = 1) -> Floats:
        """(n,) for one, (n, count) for more, with these time constants [s]."""
        constant = np.where(self._moving, still_s if moving_s is None else moving_s, still_s)
        made = gauss_markov(np.exp(-self._step_s / constant), self._rng.standard_normal((self.n, count)))
        return made[:, 0] if count == 1 else made


def _share(normal: Floats) -> Floats:
    """The normal distribution function, to 0.01 (logistic approximation): unit normal to uniform."""
    return np.asarray(1.0 / (1.0 + np.exp(-1.702 * normal)))


def _accuracy(moments: Moments, town: Town, quality: Floats) -> Floats:
    """The reported radius [m]: by setting, slowly varying; the outskirts have an open sky."""
    open_sky = (moments.setting >= WALK) & (np.hypot(moments.x, moments.y) > 0.75 * town.half_m)
    setting = np.where(open_sky, OUTDOOR, moments.setting)
    low, high = _LOW_M[setting], _HIGH_M[setting]
    return np.asarray(low * (high / low) ** _share(quality))


def _sources(
    moments: Moments, reception: Reception, loss: Floats, rng: Generator
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Where each fix comes from, and whether there is one: in buildings some are lost, some are not from satellites."""
    home, indoors = moments.setting == HOME, moments.setting == INDOOR
    lost = np.where(home, reception.lost_home, np.where(indoors, reception.lost_indoors, 0.0))
    level = _share(loss)
    inside = home | indoors
    source = np.full(len(level), _GPS, np.int32)
    source[inside & (level < lost + 0.12)] = _WIFI
    source[inside & (level < lost + 0.05)] = _LBS
    heard = (level >= lost) & (rng.random(len(level)) > 0.002)
    if reception.home_unit:
        source[home], heard = _RF, heard | home
    return source, heard


def _positions(
    moments: Moments, accuracy: Floats, source: NDArray[np.int32], remembered: _Memory, rng: Generator
) -> tuple[Floats, Floats]:
    """Truth plus error: what the radius admits, times what it does not."""
    error = np.sqrt(0.92) * remembered.series(240.0, 60.0, 2) + np.sqrt(0.08) * rng.standard_normal((remembered.n, 2))
    scale = np.where(_share(remembered.series(200.0)) > 1.0 - TAIL_SHARE, TAIL, CORE)
    error *= (accuracy / RADIUS_PER_SIGMA * np.where(source == _RF, 0.3, scale))[:, None]
    wild = np.flatnonzero((rng.random(remembered.n) < WILD_SHARE) & (source == _GPS))
    angle, far = rng.uniform(0, 2 * np.pi, len(wild)), rng.uniform(150.0, 900.0, len(wild))
    error[wild] += np.column_stack([far * np.cos(angle), far * np.sin(angle)])
    return moments.x + error[:, 0], moments.y + error[:, 1]


def _from_masts(
    moments: Moments, town: Town, source: NDArray[np.int32], x: Floats, y: Floats, accuracy: Floats, rng: Generator
) -> tuple[Floats, Floats, Floats]:
    """Fixes from telephone masts: the mast's own place, and a circle of its reach, to 10 m."""
    fix = np.flatnonzero(source == _LBS)
    gap = np.hypot(moments.x[fix, None] - town.masts[:, 0], moments.y[fix, None] - town.masts[:, 1])
    mast, near = town.masts[gap.argmin(axis=1)], gap.min(axis=1)
    x[fix], y[fix] = mast[:, 0], mast[:, 1]
    accuracy[fix] = np.rint(np.maximum(250.0, near * rng.uniform(0.9, 1.7, len(fix))) / 10.0) * 10.0
    return x, y, accuracy


def _satellite_columns(moments: Moments, source: NDArray[np.int32], accuracy: Floats, rng: Generator) -> Columns:
    """Speed, course, altitude, HDOP and satellites: only satellite fixes have them; no course when standing."""
    n = len(source)
    speed = np.abs(moments.speed_mps + rng.normal(0, 0.15, n) * np.where(moments.speed_mps > 0.0, 2.0, 1.0))
    course = (moments.course_deg + rng.normal(0, 8.0, n)) % 360.0
    ground = 30.0 + 12.0 * np.sin(moments.x / 900.0) + 8.0 * np.cos(moments.y / 700.0)
    altitude = ground + rng.normal(0, 1.0, n) * accuracy * 0.6
    hdop = np.clip(0.6 + accuracy / 14.0 + rng.normal(0, 0.1, n), 0.6, 20.0)
    satellites = np.clip(np.rint(14.0 - 3.5 * np.log2(accuracy / 5.0) + rng.normal(0, 1.0, n)), 4, 20)
    columns = {
        "speed_cms": np.rint(speed * 10.0) * 10.0, "course_cdeg": np.rint(course) % 360.0 * 100.0,
        "altitude_cm": np.rint(altitude * 10.0) * 10.0, "hdop_c": np.rint(hdop * 10.0) * 10.0, "satellites": satellites,
    }  # fmt: skip
    gone = source != _GPS
    standing = gone | (speed < 0.7)
    return {
        name: np.where(standing if name == "course_cdeg" else gone, ABSENT, values).astype(np.int32)
        for name, values in columns.items()
    }
