"""The reachable set against brute force: lowest speed, meeting of three discs at an instant, and the verdict it gives."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Geod

from crime_match.kernels import contradictions, lowest_speed_mps
from crime_match.question import Question
from crime_match.reach import reach_of
from crime_match.reach_kernels import TOLERANCE_M, gap_speed_mps, parallel_m
from crime_match.trails import WearerTrail
from engine.fixes import Fixes
from engine.kernels import distance_m

WGS84 = Geod(ellps="WGS84")
LAT, LON = 51.5, -0.1
START_US = 1_772_359_200_000_000

metres = st.floats(-6000, 6000)
radii = st.floats(0, 800)
prisms = st.tuples(metres, metres, radii, metres, metres, radii)


def speed_by_zooming(prism, vicinity_m, elapsed_s, left_s, gap_s):
    """The least of the needed speeds over the vicinity: along x, for each x along y, ever finer grids.

    The speed is convex, and so is its least along y as a function of x. On a line the least of a convex function lies
    between the neighbours of the best grid point, so zooming cannot lose it; in a plane, where a narrow valley runs askew
    to the grid, it can.
    """
    x1, y1, r1, x2, y2, r2 = prism
    grid = np.linspace(0, 1, 33)

    def needed(x, y):
        g1 = np.maximum(np.hypot(x - x1, y - y1) - r1, 0)
        g2 = np.maximum(np.hypot(x - x2, y - y2) - r2, 0)
        return np.maximum(np.maximum(g1 / elapsed_s, g2 / left_s), (g1 + g2) / gap_s)

    def least_along_y(x):
        half = np.sqrt(np.maximum(vicinity_m**2 - x**2, 0))[:, None]
        low, high, rows = -half, half, np.arange(len(x))
        for _ in range(10):  # to 1e-12 of the vicinity
            y = low + (high - low) * grid
            speeds = needed(x[:, None], y)
            k = np.argmin(speeds, axis=1)
            low, high = y[rows, np.maximum(k - 1, 0)][:, None], y[rows, np.minimum(k + 1, 32)][:, None]
        return speeds[rows, k]

    low, high, best = -vicinity_m, vicinity_m, math.inf
    for _ in range(10):
        x = low + (high - low) * grid
        speeds = least_along_y(x)
        k = int(np.argmin(speeds))
        best = min(best, float(speeds[k]))
        low, high = x[max(k - 1, 0)], x[min(k + 1, 32)]
    return best


def test_the_zoom_finds_the_bottom_of_a_narrow_valley():
    """Halfway between the fixes: no point is better, and every other one but those close to it is worse."""
    prism, times = (0.0, 0.0, 0.0, 2.0, 43.0, 0.0), (0.5, 0.5, 1.0)
    assert speed_by_zooming(prism, 25.0, *times) == pytest.approx(math.hypot(2, 43), rel=1e-9)
    assert lowest_speed_mps(*prism, 25.0, *times) == pytest.approx(math.hypot(2, 43), rel=1e-9)


@settings(max_examples=300, deadline=None)
@given(
    prism=prisms, vicinity_m=st.floats(1, 2000), gap_s=st.floats(1, 4000), cut=st.tuples(st.floats(0, 1), st.floats(0, 1))
)
def test_lowest_speed_against_zooming_grids(prism, vicinity_m, gap_s, cut):
    opens, closes = min(cut) * gap_s, max(cut) * gap_s
    elapsed_s, left_s = max(closes, 1e-6), max(gap_s - opens, 1e-6)
    got = lowest_speed_mps(*prism, vicinity_m, elapsed_s, left_s, gap_s)
    oracle = speed_by_zooming(prism, vicinity_m, elapsed_s, left_s, gap_s)
    least_s = min(elapsed_s, left_s)
    assert got <= oracle + 1e-6 / least_s + 1e-9 * oracle
    assert got >= oracle * (1 - 1e-6) - 1e-6 / least_s


@settings(max_examples=300, deadline=None)
@given(
    prism=prisms, vicinity_m=st.floats(1, 2000), gap_s=st.floats(1, 4000),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)), lat=st.floats(-89, 89), far=st.sampled_from([1, 1, 30, 1000]),
    has=st.sampled_from([(True, True), (True, False), (False, True)]), limit_mps=st.floats(0, 300),
)  # fmt: skip
def test_bounds_never_tell_other_than_the_exact_speed(prism, vicinity_m, gap_s, cut, lat, far, has, limit_mps):
    """Below, above and solved: the same side of a limit, and where neither is asked for, the same speed to a millimetre."""
    x1, y1, r1, x2, y2, r2 = prism
    lat_e7, lon_e7 = round(lat * 1e7), 1_799_990_000
    ends = [
        WGS84.fwd(lon_e7 / 1e7, lat_e7 / 1e7, math.degrees(math.atan2(x, y)), far * math.hypot(x, y))
        for x, y in ((x1, y1), (x2, y2))
    ]
    fixes = [(round(b * 1e7), round(a * 1e7)) for a, b, _ in ends]
    opens, closes = min(cut) * gap_s, max(cut) * gap_s
    both = has == (True, True)
    times = (
        max(closes, 1e-6) if has[0] else math.inf, max(gap_s - opens, 1e-6) if has[1] else math.inf,
        gap_s if both else math.inf,
    )  # fmt: skip
    args = (
        lat_e7,
        lon_e7,
        parallel_m(float(lat_e7)),
        math.cos(math.radians(lat_e7 / 1e7)),
        vicinity_m,
        has[0],
        *fixes[0],
        r1,
        has[1],
        *fixes[1],
        r2,
        *times,
    )
    exact = gap_speed_mps(*args, -1.0, math.inf)
    drawn = []
    for lat2, lon2 in fixes:
        azimuth, _, apart = WGS84.inv(lon_e7 / 1e7, lat_e7 / 1e7, lon2 / 1e7, lat2 / 1e7)
        drawn += [apart * math.sin(math.radians(azimuth)), apart * math.cos(math.radians(azimuth))]
    if not has[0]:
        drawn[:2] = drawn[2:]
    if not has[1]:
        drawn[2:] = drawn[:2]
    plain = lowest_speed_mps(
        drawn[0], drawn[1], r1 if has[0] else math.inf, drawn[2], drawn[3], r2 if has[1] else math.inf, vicinity_m, *times
    )
    least_s = min(times)
    assert exact <= plain + 1e-9
    widened_m = 0.01 if far < 1000 else 3.0 * vicinity_m + 1.0  # the tolerance and the plane's distortion, at both fixes
    assert exact >= plain - 2 * widened_m / least_s - 1e-9
    assert (gap_speed_mps(*args, limit_mps, limit_mps) <= limit_mps) == (exact <= limit_mps)


@settings(max_examples=300, deadline=None)
@given(prism=prisms, vicinity_m=st.floats(1, 2000), gap_s=st.floats(1, 4000), seed=st.integers(0, 2**32 - 1))
def test_no_instant_with_a_common_point_of_three_discs_is_missed(prism, vicinity_m, gap_s, seed):
    """Random instants and points: whatever speed puts a point of the vicinity into both discs at once is enough."""
    x1, y1, r1, x2, y2, r2 = prism
    rng = np.random.default_rng(seed)
    opens, closes = np.sort(rng.uniform(0, gap_s, 2))
    angle, out = rng.uniform(0, 2 * np.pi, 4000), vicinity_m * np.sqrt(rng.uniform(0, 1, 4000))
    x, y, at = out * np.cos(angle), out * np.sin(angle), rng.uniform(opens, closes, 4000)
    grow = np.maximum(np.hypot(x - x1, y - y1) - r1, 0) / np.maximum(at, 1e-9)
    shrink = np.maximum(np.hypot(x - x2, y - y2) - r2, 0) / np.maximum(gap_s - at, 1e-9)
    enough = float(np.maximum(grow, shrink).min())
    got = lowest_speed_mps(*prism, vicinity_m, max(closes, 1e-6), max(gap_s - opens, 1e-6), gap_s)
    assert got <= enough * (1 + 1e-9) + 1e-9


def test_the_lowest_speed_has_an_instant_and_a_point():
    """At the speed found, brute force over instants finds three discs with a common point; a little below, none."""
    rng = np.random.default_rng(5)
    for _ in range(60):
        x1, y1, x2, y2 = rng.uniform(-5000, 5000, 4)
        r1, r2, vicinity_m, gap_s = rng.uniform(0, 500), rng.uniform(0, 500), rng.uniform(20, 500), rng.uniform(60, 3000)
        opens, closes = np.sort(rng.uniform(0, gap_s, 2))
        speed = lowest_speed_mps(x1, y1, r1, x2, y2, r2, vicinity_m, closes, gap_s - opens, gap_s)
        at = np.linspace(opens, closes, 4001)[:, None]
        angle = np.linspace(0, 2 * np.pi, 721)[:-1]
        for factor, expected in ((1.002, True), (0.99, False)):
            grown, shrunk = r1 + factor * speed * at, r2 + factor * speed * (gap_s - at)
            points = [(vicinity_m * np.cos(angle), vicinity_m * np.sin(angle)), (np.zeros(1), np.zeros(1))]
            towards = np.linspace(0, 1, 401)
            points.append((x1 + towards * (x2 - x1), y1 + towards * (y2 - y1)))
            met = any(
                bool(np.any(
                    (np.hypot(x, y) <= vicinity_m + 1e-9) & (np.hypot(x - x1, y - y1) <= grown + 0.5 * expected)
                    & (np.hypot(x - x2, y - y2) <= shrunk + 0.5 * expected)
                ))
                for x, y in points
            )  # fmt: skip
            assert met == expected or speed == 0.0


def test_pairwise_overlap_is_not_a_meeting():
    """Two discs that overlap each other and the vicinity, but have no point in common with both."""
    gap_s, vicinity_m = 100.0, 10.0
    # Fixes 1000 m to the left and right, 0 m off: at 10.1 m/s the lens of the discs is thin and runs through the middle,
    # while the vicinity lies 150 m above it. Each disc alone reaches the vicinity within its time.
    speed = lowest_speed_mps(-500.0, -150.0, 0.0, 500.0, -150.0, 0.0, vicinity_m, gap_s, gap_s, gap_s)
    alone = lowest_speed_mps(-500.0, -150.0, 0.0, -500.0, -150.0, math.inf, vicinity_m, gap_s, math.inf, math.inf)
    assert alone < 5.3
    assert speed == pytest.approx(2 * math.hypot(500, 140) / gap_s, abs=1e-6)
    assert speed > 10.0 + 0.3  # what joins the fixes is not enough


def trail_of(places, times_us, radius_m, flags=None):
    lons, lats = [], []
    for x, y in places:
        lon, lat, _ = WGS84.fwd(LON, LAT, math.degrees(math.atan2(x, y)), math.hypot(x, y))
        lons.append(round(lon * 1e7))
        lats.append(round(lat * 1e7))
    n = len(lats)
    fixes = Fixes.of(("tag",), device=np.zeros(n), time_us=times_us, lat_e7=lats, lon_e7=lons)
    radius = np.asarray(radius_m, np.float64)
    return WearerTrail(
        "w",
        ("tag",),
        fixes,
        np.zeros(n, np.uint8) if flags is None else flags,
        radius / 4,
        radius / 8,
        radius,
        np.zeros(n, np.uint8),
        np.full(n, 960_000_000),
    )


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.tuples(metres, metres, st.floats(1, 500), st.integers(0, 3600)), min_size=1, max_size=5),
    window=st.tuples(st.integers(-600, 4200), st.integers(-600, 4200)),
    uncertainty_m=st.sampled_from([0.0, 250.0]),
)
def test_required_speed_of_a_trail_against_the_law_gap_by_gap(rows, window, uncertainty_m):
    rows = sorted(rows, key=lambda row: row[3])
    times_us = [START_US + row[3] * 1_000_000 for row in rows]
    assume(len(set(times_us)) == len(times_us))
    # Half a second off the fixes: at the very instant of a fix either side of it may be taken as the gap.
    start_us, end_us = (START_US + s * 1_000_000 + 500_000 for s in sorted(window))
    trail = trail_of([row[:2] for row in rows], times_us, [row[2] for row in rows])
    question = Question(LAT, LON, start_us, end_us, uncertainty_m=uncertainty_m, pad_us=0, max_speed_mps=10_000.0)
    fixes = trail.fixes
    n = len(fixes)
    azimuth, _, apart_m = WGS84.inv(np.full(n, LON), np.full(n, LAT), fixes.lon_e7 / 1e7, fixes.lat_e7 / 1e7)
    x, y = apart_m * np.sin(np.radians(azimuth)), apart_m * np.cos(np.radians(azimuth))
    oracle = math.inf
    for gap in range(-1, len(rows)):
        opens = start_us if gap < 0 else max(start_us, times_us[gap])
        closes = end_us if gap + 1 == len(rows) else min(end_us, times_us[gap + 1])
        if opens > closes:
            continue
        left_s = math.inf if gap + 1 == len(rows) else max((times_us[gap + 1] - opens) / 1e6, 1e-6)
        elapsed_s = math.inf if gap < 0 else max((closes - times_us[gap]) / 1e6, 1e-6)
        gap_s = math.inf if math.inf in (left_s, elapsed_s) else (times_us[gap + 1] - times_us[gap]) / 1e6
        one = (x[gap], y[gap], rows[gap][2]) if gap >= 0 else (0.0, 0.0, math.inf)
        two = (x[gap + 1], y[gap + 1], rows[gap + 1][2]) if gap + 1 < len(rows) else (0.0, 0.0, math.inf)
        oracle = min(oracle, speed_by_zooming((*one, *two), question.reach_m, elapsed_s, left_s, gap_s))
    reach = reach_of(question, trail)
    assume(not reach.contradictions)
    assert reach.exists
    # Discs are widened by 1 mm, which matters where a time is short: gaps are whole seconds, edges may touch.
    assert reach.needed_mps <= oracle + 1e-6
    assert reach.needed_mps >= oracle * (1 - 1e-3) - 0.02 or oracle > 9_000.0


@given(rows=st.lists(st.tuples(metres, metres, st.floats(1, 500), st.integers(0, 900)), min_size=2, max_size=12))
def test_contradictions_against_plain_python(rows):
    rows = sorted(rows, key=lambda row: row[3])
    trail = trail_of([row[:2] for row in rows], [START_US + row[3] * 1_000_000 for row in rows], [row[2] for row in rows])
    fixes = trail.fixes
    n = len(rows)
    expected = set()
    for i in range(n):
        for j in range(i + 1, n):
            apart_m = distance_m(fixes.lat_e7[i], fixes.lon_e7[i], fixes.lat_e7[j], fixes.lon_e7[j])
            if apart_m > rows[i][2] + rows[j][2] + 10.0 * (rows[j][3] - rows[i][3]):
                expected.add((i, j))
    for first in range(n + 1):
        for stop in range(first, n + 1):
            pairs = np.empty((n * n, 2), np.int64)
            columns = fixes.time_us, fixes.lat_e7, fixes.lon_e7, trail.exclusion_m
            found = contradictions(first, stop, *columns, 10.0, pairs)
            told = [tuple(pair) for pair in pairs[:found].tolist()]
            assert len(set(told)) == len(told)
            assert set(told) == {pair for pair in expected if any(first <= k < stop for k in pair)}


def test_two_contradictory_fixes_are_left_out_in_turn():
    """Home at -20 km, a leap of 21 km within a minute: neither home nor the far place alone bounds the time between."""
    home, far = (-20_000.0, 0.0), (1_000.0, 0.0)
    times_us = [START_US + s * 1_000_000 for s in (0, 600, 660, 1260)]
    trail = trail_of([home, home, far, far], times_us, [50.0] * 4)
    window = START_US + 620 * 1_000_000, START_US + 640 * 1_000_000
    question = Question(LAT, LON, *window, pad_us=0)
    reach = reach_of(question, trail)
    assert reach.contradictions == [(1, 2)]
    # Without the home fix of 600 s the far one is reached from home of 0 s, through the crime; so presence is possible.
    left_out = reach_of(question, trail_of([home, far, far], [times_us[k] for k in (0, 2, 3)], [50.0] * 3))
    assert reach.needed_mps == left_out.needed_mps <= 55.0
    alone = trail_of([home, home, far, far], times_us, [50.0] * 4, np.array([0, 0, 1, 0], np.uint8))
    assert reach_of(question, alone).needed_mps > reach.needed_mps


def test_never_are_both_of_two_contradictory_fixes_left_out():
    """Either of them is right, and each is 20 km away: far from both is outside, though hours without them would reach."""
    one, two = (-20_000.0, 0.0), (20_000.0, 0.0)
    times_us = [START_US + s * 1_000_000 for s in (0, 3600, 3660, 7260)]
    question = Question(LAT, LON, START_US + 3_610_000_000, START_US + 3_650_000_000, pad_us=0)
    reach = reach_of(question, trail_of([one, one, two, two], times_us, [50.0] * 4))
    assert reach.contradictions == [(1, 2)]
    assert reach.needed_mps > 55.0
    assert reach_of(question, trail_of([one, two], [times_us[0], times_us[3]], [50.0] * 2)).needed_mps < 55.0


def test_a_fix_in_doubt_excludes_nothing_just_after_it_either():
    """A wild fix, then silence: the minute after it is not bounded by the wild fix alone."""
    near, wild, late = (300.0, 0.0), (30_000.0, 0.0), (1_000.0, 0.0)
    times_us = [START_US + s * 1_000_000 for s in (0, 60, 3660)]
    trail = trail_of([near, wild, late], times_us, [50.0] * 3)
    reach = reach_of(Question(LAT, LON, START_US + 61_000_000, START_US + 120_000_000, pad_us=0), trail)
    assert reach.contradictions == [(0, 1)]
    assert reach.needed_mps <= 55.0


def test_a_window_of_one_instant_at_a_fix():
    inside, outside = ((0.0, 140.0),), ((0.0, 160.0),)
    question = Question(LAT, LON, START_US, START_US, pad_us=0)
    assert reach_of(question, trail_of(inside, [START_US], [50.0])).needed_mps == 0.0
    needed = reach_of(question, trail_of(outside, [START_US], [50.0])).needed_mps
    assert needed == pytest.approx((10.0 - 2 * TOLERANCE_M) / 1e-6, rel=1e-2)
