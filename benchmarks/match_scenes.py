"""A seeded city for the match: lives of wearers at one fix a minute, made straight as `Tracks`, and the burglaries in it.

A wearer sleeps at home, stays at four places by day and goes from one to the next at 5 to 15 m/s. About twice a day he is
indoors without a fix for 3 to 20 minutes, about once in ten days for 1 to 6 hours, and once a day masts place him for 5 to 20
minutes. One fix in a million lies kilometres off and was not flagged. The same seed gives the same city on any number of
threads.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.question import Question
from crime_match.tag_state import TagState
from crime_match.trails import Trails, WearerTrail
from engine.activations import Activation
from engine.error_model import errors, number_of
from engine.fixes import SOURCES, Fixes
from engine.jit import kernel
from engine.times import EARLIEST_US, LATEST_US
from engine.track_kernels import fill_joining
from engine.tracks import Tracks
from engine.trail import Arranged

START_US = 1_780_272_000_000_000
"""2026-06-01T00:00:00Z."""
CENTRE = (51.5, -0.12)
HALF_M = 15_000.0
"""The city is a square of twice this side."""
E7_PER_M = (1e7 / 111_250.0, 1e7 / (111_413.0 * float(np.cos(np.radians(CENTRE[0])))))
"""1e-7 degrees a metre north and east, about the centre."""
N_PLACES = 5  # home first
N_MASTS = 16  # rows of the table of errors after the 256 of satellites
DAY_MIN = 1440
FASTEST_MPS = 15
"""How fast anybody goes; `joining` says no lower speed than this, so questions have to ask for at least as much."""


class City(Trails):
    """Trails that are held as tracks alone: a wearer's rows are made when they are asked for."""

    def __init__(self, tracks: Tracks) -> None:
        self.wearers = tuple(f"w{k:05d}" for k in range(tracks.n_wearers))
        self.start = tracks.start
        self.__dict__["tracks"] = tracks
        none = self._trail(0, slice(0, 0))  # no fix was left out of the tracks
        derived = none.silence_us, none.radius_m, none.sigma_m, none.exclusion_m, none.model, none.flags
        self.rows = Arranged(none.fixes, np.empty(0, np.int64), *derived)

    def __getitem__(self, k: int) -> WearerTrail:
        """The trail of one wearer, whose tag was on throughout."""
        if not 0 <= k < len(self):
            raise IndexError(k)
        return self._trail(k, slice(int(self.start[k]), int(self.start[k + 1])))

    def tags(self) -> list[TagState]:
        """What speaks against excluding each wearer: nothing, which the first fix is enough to know."""
        firsts = [slice(a, min(a + 1, b)) for a, b in pairwise(self.start.tolist())]
        return [TagState(self._trail(k, first)) for k, first in enumerate(firsts)]

    def _trail(self, k: int, rows: slice) -> WearerTrail:
        tracks, wearer = self.tracks, self.wearers[k]
        radii_cm = tracks.radii_cm[tracks.error[rows]]
        n = len(radii_cm)
        fixes = Fixes.of(
            (wearer,), device=np.zeros(n), time_us=tracks.base_us + tracks.tick[rows].astype(np.int64) * tracks.tick_us,
            lat_e7=tracks.lat_e7[rows], lon_e7=tracks.lon_e7[rows], accuracy_cm=radii_cm[:, 0],
            source=np.where(radii_cm[:, 0] < 20_000, SOURCES["gps"], SOURCES["lbs"]),
        )  # fmt: skip
        radius_m = radii_cm[:, 0] / 100.0
        return WearerTrail(
            wearer, (wearer,), fixes, np.zeros(n, np.uint8), radius_m / 2.4477, radius_m, radii_cm[:, 1] / 100.0,
            np.zeros(n, np.uint8), np.full(n, 600_000_000), (Activation(wearer, wearer, EARLIEST_US, LATEST_US),),
        )  # fmt: skip


class Lives(NamedTuple):
    """How the wearers of a city live: `gap_min`, minutes from one gap to the next on average; `long_gap`, the share of gaps
    that last hours; `wild`, the share of fixes that lie kilometres off."""

    gap_min: float = 720.0
    long_gap: float = 0.05
    wild: float = 1e-6


def city(n_wearers: int, n_days: int, seed: int = 20260607, lives: Lives = Lives(), n_threads: int = 2) -> Tracks:
    """The trails of a city of `n_wearers` over `n_days` at one fix a minute, less the gaps."""
    rng = np.random.default_rng(seed)
    places_m = _places(rng, n_wearers)
    seeds = rng.integers(1, 2**63, (n_wearers, 2)).astype(np.uint64)
    n_minutes = n_days * DAY_MIN
    counts = np.zeros(n_wearers + 1, np.int64)
    count_fixes(seeds[:, 0], n_minutes, lives.gap_min, lives.long_gap, counts[1:])
    start = np.cumsum(counts)
    n = int(start[-1])
    tick, error, joining = np.empty(n, np.uint32), np.empty(n, np.uint16), np.full(n, FASTEST_MPS, np.uint8)
    lat_e7, lon_e7 = np.empty(n, np.int32), np.empty(n, np.int32)
    radii_cm = _radii_cm()
    sigma_m = (radii_cm[:, 0] / 100.0 / 2.4477).astype(np.float32)
    frame = np.array([CENTRE[0] * 1e7, CENTRE[1] * 1e7, *E7_PER_M])
    wild = np.uint64(lives.wild * 2**30)

    def live(some: slice) -> None:
        bounds = start[some.start : some.stop + 1]
        live_through(
            seeds[some], n_minutes, lives.gap_min, lives.long_gap, wild, places_m[some], sigma_m, frame, bounds,
            tick, lat_e7, lon_e7, error,
        )  # fmt: skip
        fill_joining(1_000_000, bounds, tick, lat_e7, lon_e7, error, radii_cm, joining)

    edges = np.linspace(0, n_wearers, 8 * n_threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(live, [slice(a, b) for a, b in pairwise(edges) if a < b]))
    return Tracks(START_US, 1_000_000, start, tick, lat_e7, lon_e7, error, radii_cm, joining)


def burglaries(
    n: int, n_days: int, seed: int = 20260608, long_share: float = 0.0, cities: Tracks | None = None
) -> list[Question]:
    """Questions about `n` burglaries: windows of minutes (2 in 5), of a working day (2 in 5), of a night (1 in 5), and a
    share of them of 1 to 14 days. Half lie within 300 m of where some wearer of `cities` was then, half anywhere."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, n, p=[0.4, 0.4, 0.2])
    length_min = np.select(
        [kind == 0, kind == 1], [rng.uniform(1.0, 60.0, n), rng.uniform(60.0, 480.0, n)], rng.uniform(360.0, 720.0, n)
    )
    long = rng.random(n) < long_share
    length_min = np.minimum(np.where(long, rng.uniform(1.0, 14.0, n) * DAY_MIN, length_min), n_days * DAY_MIN / 2)
    from_min = np.rint(rng.uniform(0.0, n_days * DAY_MIN - length_min))
    lat, lon = degrees(*rng.uniform(-HALF_M, HALF_M, (2, n)))
    if cities is not None:
        near = rng.random(n) < 0.5
        row = _rows_at(cities, rng, from_min + length_min / 2)
        off_m = rng.uniform(0.0, 300.0, n) * np.exp(1j * rng.uniform(0.0, 2 * np.pi, n))
        lat = np.where(near, (cities.lat_e7[row] + off_m.real * E7_PER_M[0]) / 1e7, lat)
        lon = np.where(near, (cities.lon_e7[row] + off_m.imag * E7_PER_M[1]) / 1e7, lon)
    starts_us = START_US + from_min.astype(np.int64) * 60_000_000
    ends_us = starts_us + np.rint(length_min).astype(np.int64) * 60_000_000
    places = zip(np.round(lat, 7).tolist(), np.round(lon, 7).tolist(), starts_us.tolist(), ends_us.tolist(), strict=True)
    return [Question(*place) for place in places]


def degrees(x_m: Any, y_m: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Metres east and north of the city's centre as latitude and longitude [degrees]."""
    return CENTRE[0] + np.asarray(y_m) * E7_PER_M[0] / 1e7, CENTRE[1] + np.asarray(x_m) * E7_PER_M[1] / 1e7


def _rows_at(tracks: Tracks, rng: np.random.Generator, minute: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each minute the last fix before it of some wearer."""
    rows = np.empty(len(minute), np.int64)
    for k, wearer in enumerate(rng.integers(0, tracks.n_wearers, len(minute)).tolist()):
        first, stop = int(tracks.start[wearer]), int(tracks.start[wearer + 1])
        row = first + int(np.searchsorted(tracks.tick[first:stop], minute[k] * 60.0, side="right")) - 1
        rows[k] = min(max(row, first), max(stop - 1, 0))
    return rows


def _places(rng: np.random.Generator, n_wearers: int) -> NDArray[np.float64]:
    """Five places each, home first, (n_wearers, 5, 2) metres east and north: homes in a dozen districts, and between them."""
    districts = rng.uniform(-0.8 * HALF_M, 0.8 * HALF_M, (12, 2))
    homes = districts[rng.integers(0, 12, n_wearers)] + rng.normal(0.0, 2200.0, (n_wearers, 2))
    scattered = rng.random(n_wearers) < 0.3
    homes[scattered] = rng.uniform(-HALF_M, HALF_M, (int(scattered.sum()), 2))
    away_m = np.array([0.0, 900.0, 4500.0, 2500.0, 7000.0])
    places = homes[:, None] + rng.normal(0.0, 1.0, (n_wearers, N_PLACES, 2)) * away_m[:, None] / np.sqrt(2.0)
    edge = HALF_M - 200.0
    return np.asarray(edge - np.abs((places + edge) % (4 * edge) - 2 * edge), np.float64)  # folded back into the city


def _radii_cm() -> NDArray[np.int32]:
    """256 equally likely errors of satellites, circles of 5 to 60 m in whole decimetres, then those of masts, of 200 to 1500 m;
    with the exclusion radii that tags have."""
    quantiles = [math.exp(NormalDist(math.log(12.0), 0.55).inv_cdf((k + 0.5) / 256)) for k in range(256)]
    circle_m = np.concatenate([np.clip(quantiles, 5.0, 60.0).round(1), np.geomspace(200.0, 1500.0, N_MASTS)])
    source = np.repeat(np.array([SOURCES["gps"], SOURCES["lbs"]], np.int32), [256, N_MASTS])
    accuracy_cm = np.rint(circle_m * 100).astype(np.int32)
    n = len(source)
    found = errors(accuracy_cm, source, np.full(n, 0.95), np.full(n, number_of("tag"), np.uint8))
    return np.column_stack([accuracy_cm, np.ceil(found.exclusion_m * 100)]).astype(np.int32)


@kernel
def _mixed(state: Any) -> Any:
    """SplitMix64's output for a state (Steele, Lea, Flood 2014)."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def _next_gap(state: Any, after: int, gap_min: float, long_gap: float) -> tuple[Any, Any, Any]:
    """The state, and from and to which minute the next gap lasts: exponential waits; 3 to 20 minutes, or 1 to 6 hours."""
    state += np.uint64(0x9E3779B97F4A7C15)
    r = _mixed(state)
    wait = -gap_min * np.log((np.float64(r >> np.uint64(40)) + 0.5) / 16_777_216.0)
    start = after + 1 + np.int64(wait)
    part = np.int64(r & np.uint64(0xFFFF))
    if part < long_gap * 65536.0:
        return state, start, start + 60 + np.int64((r >> np.uint64(16)) & np.uint64(0xFFFF)) % 300
    return state, start, start + 3 + np.int64((r >> np.uint64(16)) & np.uint64(0xFFFF)) % 18


@kernel
def count_fixes(seeds: Any, n_minutes: int, gap_min: float, long_gap: float, counts: Any) -> None:
    """Write how many fixes each wearer has: the minutes less those of the gaps."""
    for w in range(len(seeds)):
        state, start, stop = _next_gap(seeds[w], 0, gap_min, long_gap)
        counts[w] = n_minutes
        while start < n_minutes:
            counts[w] -= min(stop, n_minutes) - start
            state, start, stop = _next_gap(state, stop, gap_min, long_gap)


@kernel
def _next_goal(r: Any, at: Any, hour: Any) -> Any:
    """Where to go now: home by night, else home every second time, else some other place."""
    if hour >= 21 or hour < 7 or (at != 0 and r & np.uint64(1)):
        return 0
    return 1 + np.int64((r >> np.uint64(1)) % np.uint64(4))


@kernel
def _stay_min(r: Any, minute: Any) -> Any:
    """How long: by night until 7 to 10 in the morning, by day 15 minutes to 4 hours."""
    of_day = minute % 1440
    if of_day >= 21 * 60 or of_day < 6 * 60:
        return (7 * 60 - of_day) % 1440 + np.int64((r >> np.uint64(8)) % np.uint64(180))
    return 15 + np.int64((r >> np.uint64(8)) % np.uint64(225))


@kernel
def live_through(
    seeds: Any, n_minutes: int, gap_min: float, long_gap: float, wild: Any, places_m: Any, sigma_m: Any, frame: Any,
    start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any,
) -> None:  # fmt: skip
    """Write the fixes of wearers one after the other: rows start[w]:start[w + 1] of the columns.

    seeds (n_wearers, 2) uint64: of the gaps, of all else; places_m (n_wearers, 5, 2); sigma_m (272,); frame: the centre [1e-7
    degree], and 1e-7 degrees a metre north and east. Errors are alike from minute to minute (AR(1), 0.8).
    """
    golden, low14 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x3FFF)
    unit = 0.6 * np.sqrt(6.0) / 16384.0  # the sum of two uniform numbers has a variance of 1/6
    for w in range(len(seeds)):
        gaps, gap_start, gap_stop = _next_gap(seeds[w, 0], 0, gap_min, long_gap)
        state, row = seeds[w, 1], start[w]
        phase_s = np.int64(state >> np.uint64(32)) % 60
        at, going = 0, False
        x, y, dx, dy, nx, ny = places_m[w, 0, 0], places_m[w, 0, 1], 0.0, 0.0, 0.0, 0.0
        left, of_mast, mast_until = _stay_min(_mixed(state), 0), np.int64(0), np.int64(-1)
        for minute in range(n_minutes):
            state += golden
            r = _mixed(state)
            if left == 0:
                if going:
                    going, dx, dy = False, 0.0, 0.0
                    left = _stay_min(r, minute)
                else:
                    at = _next_goal(r, at, minute // 60 % 24)
                    goal_x, goal_y = places_m[w, at, 0], places_m[w, at, 1]
                    m_a_minute = 300.0 + 600.0 * np.float64((r >> np.uint64(20)) & np.uint64(0xFF)) / 256.0
                    left = 1 + np.int64(np.sqrt((goal_x - x) ** 2 + (goal_y - y) ** 2) / m_a_minute)
                    going, dx, dy = True, (goal_x - x) / left, (goal_y - y) / left
            left -= 1
            x += dx
            y += dy
            if minute >= gap_start:
                if minute < gap_stop:
                    continue
                gaps, gap_start, gap_stop = _next_gap(gaps, gap_stop, gap_min, long_gap)
            if r >> np.uint64(52) < 3:  # 3 of 4,096 minutes: about once a day
                of_mast = 256 + np.int64(r & np.uint64(0xF))
                mast_until = minute + 5 + np.int64((r >> np.uint64(4)) & np.uint64(0xF))
            k = of_mast if minute < mast_until else np.int64(r & np.uint64(0xFF))
            two = np.int64((r >> np.uint64(8)) & low14) + np.int64((r >> np.uint64(22)) & low14)
            nx = 0.8 * nx + unit * (two - 16383)
            two = np.int64((r >> np.uint64(36)) & low14) + np.int64(r >> np.uint64(50))
            ny = 0.8 * ny + unit * (two - 16383)
            off_m = sigma_m[k]
            if (r >> np.uint64(34)) < wild:
                off_m += 4000.0
            tick[row] = minute * 60 + phase_s + (np.int64(r >> np.uint64(62)))
            lat_e7[row] = np.int64(frame[0] + (y + ny * off_m) * frame[2])
            lon_e7[row] = np.int64(frame[1] + (x + nx * off_m) * frame[3])
            error[row] = k
            row += 1
