"""The reachable set against simulated paths: who can walk through the vicinity in the window, found on a grid, step by step.

The grid answers twice. A path from grid point to grid point is a path, so what it reaches is reachable; and every path,
rounded to the grid, is one of steps that are a little longer, so what those do not reach is out of reach. Between the two lies
a band of a known width, and outside of it the kernel must agree.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod
from scipy.ndimage import distance_transform_edt
from scipy.optimize import minimize_scalar

from crime_match.kernels import lowest_speed_mps
from crime_match.question import Question
from crime_match.reach import reach_of
from crime_match.trails import WearerTrail
from engine.fixes import Fixes

CELL_M = 8.0
ROUND_M = CELL_M / math.sqrt(2)
"""No place is farther from a grid point."""
N_STEPS = 6
LEAST_S = 1e-6
INF = math.inf
WGS84 = Geod(ellps="WGS84")
LAT, LON = 51.5, -0.1
START_US = 1_772_359_200_000_000
N_CASES = 60


class Prism(NamedTuple):
    """Discs of the fixes before and after (radius inf: no such fix), of the vicinity about the origin [m]; the gap [s], and
    the steps, N_STEPS a gap, at which the window opens and closes."""

    one: tuple[float, float, float]
    two: tuple[float, float, float]
    vicinity_m: float
    gap_s: float
    opens: int
    closes: int

    @property
    def step_s(self) -> float:
        return self.gap_s / N_STEPS

    def wider(self, by_m: float) -> Prism:
        (x1, y1, r1), (x2, y2, r2) = self.one, self.two
        return self._replace(one=(x1, y1, r1 + by_m), two=(x2, y2, r2 + by_m), vicinity_m=self.vicinity_m + by_m)

    def times_s(self) -> tuple[float, float, float]:
        """Elapsed, left and gap as the kernel takes them."""
        (*_, r1), (*_, r2) = self.one, self.two
        elapsed_s = max(self.closes * self.step_s, LEAST_S) if r1 < INF else INF
        left_s = max((N_STEPS - self.opens) * self.step_s, LEAST_S) if r2 < INF else INF
        return elapsed_s, left_s, self.gap_s if max(r1, r2) < INF else INF

    def lowest_mps(self) -> float:
        """The kernel's answer."""
        return float(lowest_speed_mps(*self.one, *self.two, self.vicinity_m, *self.times_s()))


def random_prism(rng: np.random.Generator) -> Prism:
    """Places within some 1200 m: far and near, discs that overlap, fixes inside the vicinity, windows of no length."""
    spread_m = rng.choice([200.0, 600.0, 1200.0])
    (x1, y1), (x2, y2) = rng.uniform(-spread_m, spread_m, (2, 2))
    r1, r2 = rng.choice([10.0, 50.0, 200.0], 2) + rng.uniform(0, 50, 2)
    opens, closes = np.sort(rng.integers(0, N_STEPS + 1, 2)).tolist()
    if rng.random() < 0.2:
        closes = opens
    if rng.random() < 0.1:
        x2, y2 = x1, y1
    kind = rng.integers(0, 6)
    if kind == 0:
        x1, y1, r1 = x2, y2, INF
    elif kind == 1:
        x2, y2, r2 = x1, y1, INF
    return Prism((x1, y1, r1), (x2, y2, r2), rng.uniform(20, 150), rng.choice([60.0, 300.0, 1200.0]), opens, closes)


# --- paths on a grid


def grid_of(prism: Prism) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid points about all three discs: the straight way from a fix to the vicinity and on to the other stays among them."""
    discs = [d for d in (prism.one, prism.two, (0.0, 0.0, prism.vicinity_m)) if d[2] < INF]
    span = [
        np.arange(min(d[k] - d[2] for d in discs) - 2 * CELL_M, max(d[k] + d[2] for d in discs) + 3 * CELL_M, CELL_M)
        for k in (0, 1)
    ]
    x, y = np.meshgrid(*span)
    return x, y


def away_m(cells: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far each grid point is from the nearest of these cells."""
    found: NDArray[np.float64] = distance_transform_edt(~cells, sampling=CELL_M)
    return found if cells.any() else np.full(cells.shape, INF)


def reached(
    disc: tuple[float, float, float], stride_m: float, x: NDArray[np.float64], y: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """After 0, 1, ... N_STEPS steps from a disc: how far each grid point is from those that can be reached."""
    found = [away_m(np.hypot(x - disc[0], y - disc[1]) <= disc[2])]
    for _ in range(N_STEPS):
        found.append(away_m(found[-1] <= stride_m))
    return found


def paths_meet(prism: Prism, speed_mps: float, slack_m: float) -> bool:
    """Whether a path on the grid, each step longer by slack_m than the speed allows, is in the vicinity in the window.

    Between two steps of the window the vicinity is met where the way there and on is no longer than a step.
    """
    x, y = grid_of(prism)
    stride_m = speed_mps * prism.step_s + slack_m
    forth, back = reached(prism.one, stride_m, x, y), reached(prism.two, stride_m, x, y)[::-1]
    vicinity = np.hypot(x, y) <= prism.vicinity_m
    if prism.opens == prism.closes:
        return bool(np.any((forth[prism.opens] + back[prism.opens])[vicinity] == 0.0))
    ways_m = [(forth[k] + back[k + 1])[vicinity] for k in range(prism.opens, prism.closes)]
    return min(float(way_m.min(initial=INF)) for way_m in ways_m) <= stride_m + slack_m


def surely_meet(prism: Prism, speed_mps: float) -> bool:
    return paths_meet(prism, speed_mps, 0.0)


def may_meet(prism: Prism, speed_mps: float) -> bool:
    return paths_meet(prism.wider(ROUND_M), speed_mps, 2 * ROUND_M)


@pytest.mark.parametrize("part", range(4))
def test_the_lowest_speed_against_paths_on_a_grid(part: int) -> None:
    rng = np.random.default_rng(part)
    told, certain = 0, 0
    for _ in range(N_CASES // 4):
        prism = random_prism(rng)
        lowest = prism.lowest_mps()
        # the discs leave room for the rounding of both ends, and a step through the vicinity is rounded at both its ends
        band_mps = 4 * ROUND_M / prism.step_s
        surely_from = prism.wider(-ROUND_M).lowest_mps() + band_mps
        surely_until = prism.wider(ROUND_M).lowest_mps() - band_mps
        for speed in (*rng.uniform(0.3, 1.7, 2) * lowest, surely_from * (1 + 1e-9), surely_until * (1 - 1e-9)):
            if not 0 < speed < 1e6:
                continue
            met, maybe = surely_meet(prism, speed), may_meet(prism, speed)
            assert maybe or not met
            if met:
                assert lowest <= speed * (1 + 1e-9)
            if not maybe:
                assert lowest > speed * (1 - 1e-9)
            assert met or speed < surely_from
            assert not maybe or speed > surely_until
            told += 1
            certain += met or not maybe
    assert certain > 0.6 * told  # the band is not everything


def trail_of(discs: list[tuple[float, float, float]], seconds: list[float]) -> WearerTrail:
    x, y, radius_m = np.array(discs).T
    n = len(x)
    lon, lat, _ = WGS84.fwd(np.full(n, LON), np.full(n, LAT), np.degrees(np.arctan2(x, y)), np.hypot(x, y))
    fixes = Fixes.of(
        ("tag",), device=np.zeros(n), time_us=START_US + np.round(np.array(seconds) * 1e6).astype(np.int64),
        lat_e7=np.round(np.asarray(lat) * 1e7), lon_e7=np.round(np.asarray(lon) * 1e7),
    )  # fmt: skip
    return WearerTrail(
        "w", ("tag",), fixes, np.zeros(n, np.uint8), radius_m / 4, radius_m / 8, radius_m, np.zeros(n, np.uint8),
        np.full(n, 960_000_000),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_a_trail_of_three_fixes_against_paths_on_a_grid(seed: int) -> None:
    """Each gap that the window meets is walked by itself, and so are the time before the first fix and after the last."""
    rng = np.random.default_rng(100 + seed)
    step_s = float(rng.choice([10.0, 50.0]))
    gap_s = N_STEPS * step_s
    discs = [(*rng.uniform(-500, 500, 2), float(rng.choice([20.0, 80.0, 200.0]))) for _ in range(3)]
    opens, closes = np.sort(rng.integers(-N_STEPS, 3 * N_STEPS + 1, 2)).tolist()
    question = Question(
        LAT, LON, START_US + round(opens * step_s * 1e6), START_US + round(closes * step_s * 1e6), pad_us=0,
        max_speed_mps=10_000.0,
    )  # fmt: skip
    needed = reach_of(question, trail_of(discs, [0.0, gap_s, 2 * gap_s])).needed_mps
    none = (0.0, 0.0, INF)
    prisms = []
    for gap, (one, two) in enumerate(zip([none, *discs], [*discs, none], strict=True)):
        first, last = opens - (gap - 1) * N_STEPS, closes - (gap - 1) * N_STEPS
        if first <= N_STEPS and last >= 0:
            prisms.append(Prism(one, two, question.reach_m, gap_s, max(first, 0), min(last, N_STEPS)))
    # the fixes are on a grid of 1 cm, and the kernel widens every disc by 1 mm
    for speed in (*rng.uniform(0.4, 1.6, 3) * needed, 0.5, 5.0):
        if not 0 < speed < 1e6:
            continue
        if any(surely_meet(p.wider(-0.02), speed) for p in prisms):
            assert needed <= speed
        if not any(may_meet(p.wider(0.02), speed) for p in prisms):
            assert needed > speed


# --- the continuous problem


def needed_mps(prism: Prism, x: float, y: float) -> float:
    (x1, y1, r1), (x2, y2, r2) = prism.one, prism.two
    elapsed_s, left_s, gap_s = prism.times_s()
    g1, g2 = max(0.0, math.hypot(x - x1, y - y1) - r1), max(0.0, math.hypot(x - x2, y - y2) - r2)
    return max(g1 / elapsed_s, g2 / left_s, (g1 + g2) / gap_s)


def minimum_mps(prism: Prism) -> float:
    """The least over the vicinity by scipy: along x of the least along y, both convex (Brent's bounded search)."""

    def along_y(x: float) -> float:
        half = math.sqrt(max(0.0, prism.vicinity_m**2 - x * x))
        found = minimize_scalar(
            lambda y: needed_mps(prism, x, y), bounds=(-half, half), method="bounded", options={"xatol": 1e-9}
        )
        return min(float(found.fun), needed_mps(prism, x, -half), needed_mps(prism, x, half))

    found = minimize_scalar(
        along_y, bounds=(-prism.vicinity_m, prism.vicinity_m), method="bounded", options={"xatol": 1e-9}
    )
    return min(float(found.fun), along_y(-prism.vicinity_m), along_y(prism.vicinity_m))


def test_the_lowest_speed_is_the_minimum_of_the_convex_problem() -> None:
    rng = np.random.default_rng(1)
    for _ in range(150):
        prism = random_prism(rng)
        scale = 10 ** rng.uniform(-1, 3)  # from streets to countries
        (x1, y1, r1), (x2, y2, r2) = prism.one, prism.two
        prism = prism._replace(one=(x1 * scale, y1 * scale, r1), two=(x2 * scale, y2 * scale, r2))
        expected, got = minimum_mps(prism), prism.lowest_mps()
        least_s = min(prism.times_s())
        assert abs(got - expected) <= max(1e-3 / least_s, 1e-6 * expected)
        assert got <= expected + 1e-6 / least_s + 1e-9 * expected  # never above a speed that does


# --- three discs with a common point


def have_common_point(discs: list[tuple[float, float, float]]) -> bool:
    """Exactly: where discs have a common part, its edge is one whole circle or has a corner on two of them."""
    points = [(x, y) for x, y, _ in discs]
    for k, (x1, y1, r1) in enumerate(discs):
        for x2, y2, r2 in discs[:k]:
            apart = math.hypot(x2 - x1, y2 - y1)
            if not abs(r1 - r2) <= apart <= r1 + r2 or apart == 0.0 or max(r1, r2) == INF:
                continue
            along = (apart * apart + r1 * r1 - r2 * r2) / (2 * apart)
            off = math.sqrt(max(0.0, r1 * r1 - along * along))
            ux, uy = (x2 - x1) / apart, (y2 - y1) / apart
            points += [(x1 + along * ux + s * off * uy, y1 + along * uy - s * off * ux) for s in (1, -1)]
    return any(all(math.hypot(px - x, py - y) <= r + 1e-9 * (1 + r) for x, y, r in discs) for px, py in points)


def meet_at_an_instant(prism: Prism, speed_mps: float, n_instants: int, slack_m: float) -> bool:
    """Whether the disc that grows, the disc that shrinks and the vicinity have a common point at one of n instants."""
    (x1, y1, r1), (x2, y2, r2) = prism.one, prism.two
    for at_s in np.linspace(prism.opens * prism.step_s, prism.closes * prism.step_s, n_instants).tolist():
        grown = (x1, y1, r1 + speed_mps * at_s + slack_m)
        shrunk = (x2, y2, r2 + speed_mps * (prism.gap_s - at_s) + slack_m)
        if have_common_point([grown, shrunk, (0.0, 0.0, prism.vicinity_m)]):
            return True
    return False


def test_three_discs_have_a_common_point_from_the_lowest_speed_on() -> None:
    rng = np.random.default_rng(2)
    n_instants, n_checked = 200, 0
    for _ in range(120):
        prism = random_prism(rng)
        lowest = prism.lowest_mps()
        if not 0.0 < lowest < 1e5:
            assert lowest >= 0.0
            assert meet_at_an_instant(prism, 1e-6, n_instants, 1e-6) == (lowest == 0.0)
            continue
        between_s = (prism.closes - prism.opens) * prism.step_s / (n_instants - 1)
        for factor in (0.5, 0.98, 1.02, 1.5):
            speed = lowest * factor
            # whoever is there at an instant is within half the time between two of the nearest one looked at
            may = meet_at_an_instant(prism, speed, n_instants, speed * between_s / 2)
            surely = meet_at_an_instant(prism, speed, n_instants, 0.0)
            assert may == (factor > 1)
            assert not surely or factor > 1
            n_checked += 1
    assert n_checked > 200
