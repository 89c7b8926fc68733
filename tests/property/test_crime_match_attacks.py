"""Attacks on exclusion: places where geometry is odd, and more wrong fixes than right ones. Who could have been there is never
excluded, by the single match or by either plan of many."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyproj import Geod

from crime_match.batch.matcher import NUMBERS, Matcher
from crime_match.near import match_of
from crime_match.question import Question
from crime_match.reach import reach_of
from crime_match.trails import Trails, WearerTrail
from engine.activations import Activation, Activations
from engine.fixes import Fixes
from engine.kernels import distance_m
from tagwatch.matching import trails_of
from tests.property.test_crime_match_soundness import DAY_S, LAT, LON, START_US, measured, trail_of, true_path

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
WGS84 = Geod(ellps="WGS84")
SECOND_US = 1_000_000
PLACES = [
    (51.5, -0.1),
    (51.5, 180.0),
    (-17.0, -180.0),
    (90.0, 0.0),
    (-90.0, 33.0),
    (89.99999, 179.9999),
    (0.0, 0.0),
    (0.0, 180.0),
]


# --- places all over the earth


def bounded_by(rng: np.random.Generator, lat: float, lon: float) -> tuple[WearerTrail, list[float]]:
    """One fix or two, from streets to half the world away, with their exclusion radii."""
    n = int(rng.choice([1, 2, 2]))
    away_m = np.minimum(10 ** rng.uniform(0, 7.4) * rng.uniform(0.1, 1, n), 2.0003e7)
    lons, lats, _ = WGS84.fwd(np.full(n, lon), np.full(n, lat), rng.uniform(-180, 180, n), away_m)
    exclusion_m = rng.choice([0.0, 50.0, 3000.0, 200_000.0], n)
    time_us = START_US + np.sort(rng.integers(0, 10 ** int(rng.integers(7, 13)), n))
    fixes = Fixes.of(
        ("tag",), device=np.zeros(n), time_us=time_us, lat_e7=np.round(np.asarray(lats) * 1e7),
        lon_e7=np.round((np.asarray(lons) + 180) % 360 * 1e7 - 1.8e9),
    )  # fmt: skip
    none = np.zeros(n)
    trail = WearerTrail(
        "w",
        ("tag",),
        fixes,
        none.astype(np.uint8),
        none + 1,
        none,
        exclusion_m,
        none.astype(np.uint8),
        none.astype(np.int64),
    )
    return trail, exclusion_m.tolist()


def geodesic_speed_mps(question: Question, trail: WearerTrail, rng: np.random.Generator) -> float:
    """The lowest speed by which one of many points of the vicinity can be visited in the window: geodesics only."""
    fixes, n = trail.fixes, 300
    lat, lon = np.full(n, question.lat_e7 / 1e7), np.full(n, question.lon_e7 / 1e7)
    out_m = question.reach_m * np.where(rng.random(n) < 0.5, 1.0, rng.random(n))
    azimuth = rng.uniform(-180, 180, n)
    for k in range(len(fixes)):  # straight towards the fixes too, as far as they are
        towards, _, apart_m = WGS84.inv(lon[0], lat[0], fixes.lon_e7[k] / 1e7, fixes.lat_e7[k] / 1e7)
        part = slice(60 * k, 60 * k + 60)
        azimuth[part], out_m[part] = towards, np.linspace(0, min(question.reach_m, apart_m), 60)
    lons, lats, _ = WGS84.fwd(lon, lat, azimuth, out_m)
    left_m = []
    for k in range(len(fixes)):
        to = np.full(n, fixes.lon_e7[k] / 1e7), np.full(n, fixes.lat_e7[k] / 1e7)
        left_m.append(np.maximum(WGS84.inv(lons, lats, *to)[2] - trail.exclusion_m[k], 0.0))
    second = ((fixes.time_us - question.start_us) * 1e-6).tolist()
    window_s, best = (question.end_us - question.start_us) * 1e-6, math.inf
    for g in range(-1, len(fixes)):
        opens = max(0.0, second[g]) if g >= 0 else 0.0
        closes = min(window_s, second[g + 1]) if g + 1 < len(fixes) else window_s
        if opens > closes:
            continue
        before = left_m[g] / max(closes - second[g], 1e-6) if g >= 0 else np.zeros(n)
        after = left_m[g + 1] / max(second[g + 1] - opens, 1e-6) if g + 1 < len(fixes) else np.zeros(n)
        both = np.zeros(n)
        if g >= 0 and g + 1 < len(fixes):
            both = (left_m[g] + left_m[g + 1]) / max(second[g + 1] - second[g], 1e-6)
        best = min(best, float(np.maximum(np.maximum(before, after), both).min()))
    return best


@pytest.mark.parametrize(("lat", "lon"), PLACES)
def test_nowhere_on_earth_is_the_lowest_speed_above_that_of_a_geodesic(lat: float, lon: float) -> None:
    """Poles, antimeridian, antipodes, tiny and huge vicinities, windows of no length: always at most what would do."""
    rng = np.random.default_rng(abs(round(lat * 7 + lon)))
    n_far = 0
    for _ in range(60):
        trail, _ = bounded_by(rng, lat, lon)
        spread_us = int(trail.fixes.time_us[-1]) - START_US + SECOND_US
        start_us = START_US + int(rng.integers(-spread_us, 2 * spread_us))
        end_us = start_us + int(rng.choice([0, 1, int(rng.integers(0, spread_us))]))
        question = Question(
            lat, lon, start_us, end_us, radius_m=float(10 ** rng.uniform(-3, 5)), uncertainty_m=float(rng.choice([0.0, 1e5])),
            pad_us=0, max_speed_mps=10_000.0,
        )  # fmt: skip
        reach = reach_of(question, trail)
        if reach.contradictions or not reach.exists:
            continue
        assert reach.needed_mps <= geodesic_speed_mps(question, trail, rng) * (1 + 1e-9)
        n_far += reach.needed_mps > 1.0
    assert n_far > 5


# --- wrong fixes that keep their weight


def beside_wrong_ones(rng: np.random.Generator, n_most: int) -> tuple[Question, WearerTrail]:
    """A wearer who was there, measured right, beside up to n_most wrong fixes that each contradict a right one: alone, in
    groups that agree, before the first, after the last, many at one instant."""
    speed = float(rng.choice([2.0, 20.0, 55.0]))
    opens_s = rng.uniform(0, DAY_S)
    closes_s = min(DAY_S, opens_s + rng.choice([0.0, 60.0, 1200.0, 7200.0]))
    question = Question(
        LAT, LON, START_US + round(opens_s * 1e6), START_US + round(closes_s * 1e6), pad_us=0, max_speed_mps=speed,
        min_fixes=10_000,
    )  # fmt: skip
    opens_us, closes_us = question.start_us - START_US, question.end_us - START_US
    knots = true_path(rng, speed * (1 - 1e-6), question.reach_m, opens_us / 1e6, closes_us / 1e6)
    n, every_s = int(rng.integers(1, n_most)), rng.choice([5.0, 60.0, 600.0, 3000.0])
    about = rng.uniform(opens_us, closes_us) + (np.arange(n) - n * rng.random()) * every_s * rng.uniform(0.3, 1, n) * 1e6
    time_us = np.unique(np.append(np.round(about).astype(np.int64), rng.choice([opens_us, closes_us], rng.integers(0, 2))))
    if rng.random() < 0.2:
        time_us = np.sort(rng.choice(time_us, len(time_us)))
    x, y, exclusion_m = measured(rng, knots, time_us / 1e6)
    n_wrong = int(rng.integers(1, n_most))
    when = rng.integers(time_us.min() - 60 * SECOND_US, time_us.max() + 60 * SECOND_US, n_wrong)
    if rng.random() < 0.3:
        when[: n_wrong // 2] = rng.choice(time_us, n_wrong // 2)
    spots = rng.uniform(-1, 1, (3, 2)) * 10 ** rng.uniform(2.5, 5.5)
    where = spots[rng.integers(0, 3, n_wrong)] + rng.normal(0, 5, (n_wrong, 2))
    wide_m = rng.choice([0.5, 20.0, 300.0], n_wrong)
    apart_m = 0.98 * np.hypot(where[:, :1] - x, where[:, 1:] - y) - 1.0  # the plane draws some ways too long
    is_wrong = np.any(
        apart_m > wide_m[:, None] + exclusion_m + speed * np.abs(when[:, None] - time_us) * 1e-6, axis=1
    )  # fmt: skip
    columns = (x, where[is_wrong, 0]), (y, where[is_wrong, 1]), (time_us, when[is_wrong]), (exclusion_m, wide_m[is_wrong])
    joined = [np.concatenate(column) for column in columns]
    return question, trail_of(*joined, np.zeros(len(joined[0]), np.uint8))


@pytest.mark.parametrize("seed", range(4))
def test_whoever_was_there_is_not_excluded_by_wrong_fixes_that_contradict_right_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(300):
        question, trail = beside_wrong_ones(rng, 16)
        assert len(trail.fixes) <= 32
        assert match_of(question, trail).verdict != "excluded"


# --- trails as the commands make them


def trails_along(second: np.ndarray, north_m: np.ndarray, accuracy_m: np.ndarray) -> Trails:
    """One wearer's trail on a meridian, as the commands make it."""
    n, time_us = len(second), START_US + np.round(second * 1e6).astype(np.int64)
    fixes = Fixes.of(
        ("tag",), device=np.zeros(n), time_us=time_us, lat_e7=510_000_000 + np.round(north_m * 89.9), lon_e7=np.zeros(n),
        accuracy_cm=np.round(accuracy_m * 100), source=np.ones(n), received_s=time_us // SECOND_US,
    )  # fmt: skip
    return trails_of(fixes, Activations([Activation("tag", "w", 0)]))


def verdicts(trails: Trails, question: Question) -> list[str]:
    """By the single match, by the index and by the scan."""
    found = [match_of(question, trails[0]).verdict]
    for plan in ("index", "scan"):
        answers = Matcher(trails).answer([question], plan)
        number = int(answers.verdict[0]) if len(answers.verdict) else NUMBERS["excluded"]
        found.append(next(name for name, k in NUMBERS.items() if k == number))
    return found


@pytest.mark.parametrize(
    ("every_s", "n_before", "n_wrong", "off_m", "speed_mps"),
    [(60.0, 100, 70, 10_000.0, 2.0), (1.0, 1000, 660, 30_000.0, 55.0)],
)
def test_a_long_run_of_wrong_fixes_excludes_nobody(
    every_s: float, n_before: int, n_wrong: int, off_m: float, speed_mps: float
) -> None:
    """Every wrong fix contradicts a right one, but those in the middle of the run none of the 32 nearest."""
    second = every_s * np.arange(2 * n_before + n_wrong)
    north_m = np.where((second >= every_s * n_before) & (second < every_s * (n_before + n_wrong)), off_m, 0.0)
    trails = trails_along(second, north_m, np.full(len(second), 5.0))
    trail = trails[0]
    kept, fixes = np.flatnonzero(trail.carries_weight()), trail.fixes
    wrong = [int(k) for k in kept if fixes.lat_e7[k] > 510_000_000]
    right = [int(k) for k in kept if fixes.lat_e7[k] == 510_000_000]
    for k in wrong:
        near = min(right, key=lambda i: abs(int(fixes.time_us[i]) - int(fixes.time_us[k])))
        apart_m = distance_m(fixes.lat_e7[k], 0, fixes.lat_e7[near], 0) - trail.exclusion_m[k] - trail.exclusion_m[near]
        assert apart_m > speed_mps * abs(int(fixes.time_us[k]) - int(fixes.time_us[near])) * 1e-6
    middle_us = int(fixes.time_us[wrong[len(wrong) // 2]]) + round(every_s * 3e5)
    question = Question(51.0, 0.0, middle_us, middle_us + round(every_s * 3e5), pad_us=0, max_speed_mps=speed_mps)
    assert "excluded" not in verdicts(trails, question)


def test_circles_as_wide_as_the_earth_exclude_nobody() -> None:
    at_us = START_US + 150 * 60 * SECOND_US
    for accuracy_km in (3_000, 4_600, 9_140, 9_150, 13_000, 19_999):
        accuracy_m = np.where(np.arange(200) < 100, 5.0, 1000.0 * accuracy_km)
        trails = trails_along(60.0 * np.arange(200), np.full(200, 50_000.0), accuracy_m)
        found = verdicts(trails, Question(51.0, 0.0, at_us, at_us + 30 * SECOND_US, pad_us=0))
        assert found == ["possible"] * 3, (accuracy_km, found)
