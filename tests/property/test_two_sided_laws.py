"""Two-sided flags: the kernel against the rule in plain Python, and what must hold whatever the trail."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.flags import CLOCK_WRONG, IMPLAUSIBLE, OVERCONFIDENT, SAME_TIME, SET_ASIDE, WEIGHTLESS
from engine.kernels import distance_m
from engine.trail import FAST_MPS, MOST_MPS
from engine.two_sided import VAGUE_M, VOTERS, flag_two_sided

HOME = Path(__file__).resolve().parents[2]
LAT_E7, LON_E7 = 530_000_000, -1_000_000
E7_PER_M = 90


class Row(NamedTuple):
    second: float
    lat_e7: int
    lon_e7: int
    radius_m: float


def row(second: float, north_m: float, radius_m: float = 10.0) -> Row:
    return Row(second, LAT_E7 + round(north_m * E7_PER_M), LON_E7, radius_m)


# --- the rule in plain Python


def speed_mps(one: Row, two: Row) -> float:
    apart_m = distance_m(one.lat_e7, one.lon_e7, two.lat_e7, two.lon_e7) - one.radius_m - two.radius_m
    dt_s = abs(round(two.second * 1e6) - round(one.second * 1e6)) * 1e-6
    return 0.0 if apart_m <= 0 else apart_m / dt_s if dt_s else math.inf


def contradictions(chain: list[Row]) -> list[int]:
    """The numbers of the links over 70 m/s, and of those over 55 m/s that stand in a run of three or more."""
    fast = [speed_mps(one, two) for one, two in pairwise(chain)]
    found, k = [], 0
    while k < len(fast):
        stop = k
        while stop < len(fast) and fast[stop] > FAST_MPS:
            stop += 1
        found += [i for i in range(k, stop) if stop - k >= 3 or fast[i] > MOST_MPS]
        k = stop + 1
    return found


def one_round(rows: list[Row], alive: list[int]) -> set[int]:
    """Which of the rows alive are flagged now: all is decided from what stands before."""
    settled, ties = set(), []
    for k in contradictions([rows[i] for i in alive]):
        one, two = alive[k : k + 2]
        voters = alive[max(0, k - VOTERS) : k] + alive[k + 2 : k + 2 + VOTERS]
        balance = sum(
            (speed_mps(rows[one], rows[v]) <= FAST_MPS) - (speed_mps(rows[two], rows[v]) <= FAST_MPS) for v in voters
        )
        if balance:
            settled.add(two if balance > 0 else one)
        else:
            ties.append((one, two, voters))
    return settled | {i for one, two, voters in ties if settled.isdisjoint([one, two, *voters]) for i in (one, two)}


def plain_two_sided(rows: list[Row], skipped: list[bool]) -> list[bool]:
    flagged: set[int] = set()
    while True:
        before = set(flagged)
        for limit_m in (math.inf, VAGUE_M):
            while True:
                alive = [
                    i for i, r in enumerate(rows) if not skipped[i] and i not in flagged and r.radius_m <= limit_m
                ]  # fmt: skip
                gone = one_round(rows, alive)
                if not gone:
                    break
                flagged |= gone
        if flagged == before:
            return [i in flagged for i in range(len(rows))]


# --- the kernel


def bits_of(trails: list[list[Row]], bits: list[int]) -> list[int]:
    """The flags after the kernel, all trails in one call."""
    rows = [r for trail in trails for r in trail]
    start = np.cumsum([0, *map(len, trails)])
    second, lat, lon, radius = (np.array([r[k] for r in rows]) for k in range(4))
    flags = np.array(bits, np.uint8)
    flag_two_sided(
        start, np.round(second * 1e6).astype(np.int64), lat.astype(np.int32), lon.astype(np.int32),
        radius.astype(np.float64), flags, MOST_MPS, FAST_MPS, WEIGHTLESS & ~IMPLAUSIBLE, IMPLAUSIBLE,
    )  # fmt: skip
    return [int(b) for b in flags]


def flagged(rows: list[Row], skipped: list[bool] | None = None) -> list[bool]:
    bits = [CLOCK_WRONG if s else 0 for s in skipped or [False] * len(rows)]
    return [bool(b & IMPLAUSIBLE) for b in bits_of([rows], bits)]


def numbers(rows: list[Row]) -> list[int]:
    return [k for k, bad in enumerate(flagged(rows)) if bad]


STEP = st.tuples(
    st.sampled_from([0.0, 0.4, 5.0, 20.0, 60.0, 60.0, 900.0]),  # seconds after the one before
    st.sampled_from([0, 0, 30, 1500, 3300, -3300, 3900, 40_000, -40_000]),  # metres north of the one before
    st.sampled_from([0, 1, 1, 1, 2]),  # of three places far apart, the one where it all stands
    st.sampled_from([0.0, 5.0, 5.0, 30.0, 100.0, 400.0, 6000.0, 200_000.0]),
    st.booleans(),
)


def rows_of(steps: list) -> tuple[list[Row], list[bool]]:
    second, north_m = np.cumsum([s[0] for s in steps]), np.cumsum([s[1] for s in steps])
    rows = [row(t, y + 300_000 * (place - 1), r) for t, y, (_, _, place, r, _) in zip(second, north_m, steps, strict=True)]
    return rows, [skip and k % 5 == 0 for k, (*_, skip) in enumerate(steps)]


TRAIL = st.lists(STEP, max_size=24).map(rows_of)


@settings(max_examples=250)
@given(TRAIL)
def test_the_kernel_equals_the_rule_in_plain_python(trail: tuple[list[Row], list[bool]]) -> None:
    assert flagged(*trail) == plain_two_sided(*trail)


@pytest.mark.parametrize("seed", range(12))
def test_on_long_trails_too(seed: int) -> None:
    """A car with one wrong fix in four to forty; wrong places come back, as those of moved networks do."""
    rng = np.random.default_rng(seed)
    n = 300
    second = np.cumsum(rng.choice([1.0, 10.0, 60.0], n))
    north = np.cumsum(rng.choice([0.0, 15.0, 30.0, 58.0], n) * np.diff(second, prepend=0.0))
    wrong = rng.random(n) < rng.choice([0.03, 0.1, 0.25])
    north = np.where(wrong, north + rng.choice(rng.uniform(-300_000, 300_000, 4), n), north)
    radius = rng.choice([5.0, 20.0, 50.0, 700.0, 9000.0], n, p=[0.3, 0.3, 0.2, 0.15, 0.05])
    rows = [row(*r) for r in zip(second.tolist(), north.tolist(), radius.tolist(), strict=True)]
    skipped = (rng.random(n) < 0.05).tolist()
    found = flagged(rows, skipped)
    assert found == plain_two_sided(rows, skipped)
    assert sum(found) >= sum(wrong) / 2


# --- laws


@settings(max_examples=120)
@given(TRAIL)
def test_time_reversed_gives_the_same_flags(trail: tuple[list[Row], list[bool]]) -> None:
    rows, skipped = trail
    back = [r._replace(second=10_000_000.0 - r.second) for r in rows[::-1]]
    assert flagged(back, skipped[::-1]) == flagged(rows, skipped)[::-1]


@settings(max_examples=120)
@given(TRAIL)
def test_no_two_neighbours_left_contradict_each_other(trail: tuple[list[Row], list[bool]]) -> None:
    rows, skipped = trail
    left = [r for r, bad, skip in zip(rows, flagged(rows, skipped), skipped, strict=True) if not (bad or skip)]
    assert contradictions(left) == []
    assert contradictions([r for r in left if r.radius_m <= VAGUE_M]) == []


@given(TRAIL, st.lists(st.sampled_from([0, IMPLAUSIBLE, SAME_TIME, OVERCONFIDENT | IMPLAUSIBLE, SET_ASIDE]), min_size=24))
def test_old_flags_go_others_stay_and_twice_is_once(trail: tuple[list[Row], list[bool]], old: list[int]) -> None:
    rows, _ = trail
    once = bits_of([rows], old[: len(rows)])
    assert [b & ~IMPLAUSIBLE for b in once] == [b & ~IMPLAUSIBLE for b in old[: len(rows)]]
    assert bits_of([rows], [b & ~IMPLAUSIBLE for b in old[: len(rows)]]) == once
    assert bits_of([rows], once) == once
    left = [k for k, b in enumerate(once) if not b & WEIGHTLESS]
    assert not any(flagged([rows[k] for k in left]))
    assert not any(b & IMPLAUSIBLE and b & SET_ASIDE for b in once)


@given(TRAIL)
def test_what_carries_no_weight_takes_no_part(trail: tuple[list[Row], list[bool]]) -> None:
    rows, skipped = trail
    without = flagged([r for r, skip in zip(rows, skipped, strict=True) if not skip])
    assert [bad for bad, skip in zip(flagged(rows, skipped), skipped, strict=True) if not skip] == without


@given(st.lists(TRAIL, max_size=5))
def test_wearers_do_not_matter_to_each_other(trails: list[tuple[list[Row], list[bool]]]) -> None:
    together = bits_of([rows for rows, _ in trails], [0] * sum(len(rows) for rows, _ in trails))
    assert together == [b for rows, _ in trails for b in bits_of([rows], [0] * len(rows))]


WALK = st.lists(st.tuples(st.integers(1, 120), st.floats(-1.5, 1.5), st.floats(0, 50)), min_size=3, max_size=16)


def walk_of(steps: list) -> list[Row]:
    second, north = np.cumsum([s[0] for s in steps]), np.cumsum([s[0] * s[1] for s in steps])
    return [row(t, y, s[2]) for t, y, s in zip(second.tolist(), north.tolist(), steps, strict=True)]


@given(WALK, st.data())
def test_of_good_fixes_none_is_flagged_and_one_wild_one_alone(steps: list, data: st.DataObject) -> None:
    rows = walk_of(steps)
    assert numbers(rows) == []
    wild = data.draw(st.integers(0, len(rows) - 1))
    rows[wild] = rows[wild]._replace(lat_e7=rows[wild].lat_e7 + 200_000 * E7_PER_M)
    assert numbers(rows) == [wild]


@given(WALK.filter(lambda steps: len(steps) >= 12), st.integers(2, 3), st.data())
def test_two_or_three_wrong_ones_that_agree_are_flagged_alone(steps: list, n: int, data: st.DataObject) -> None:
    rows = walk_of(steps)
    first = data.draw(st.integers(3, len(rows) - 3 - n))
    for k in range(first, first + n):
        rows[k] = rows[k]._replace(lat_e7=rows[k].lat_e7 + 200_000 * E7_PER_M)
    assert numbers(rows) == list(range(first, first + n))


# --- scenes


def minutes(*north_km: float) -> list[Row]:
    return [row(60.0 * k, 1000.0 * y) for k, y in enumerate(north_km)]


def test_a_jump_between_two_runs_flags_what_is_near_it_and_no_more() -> None:
    """20 km take 286 s at 70 m/s: two fixes on each side go, then 300 s lie between those that are left."""
    assert numbers(minutes(*[0.0] * 50, *[20.0] * 50)) == [48, 49, 50, 51]


def test_a_long_stay_elsewhere_is_not_eaten_up() -> None:
    far = flagged(minutes(*[0.0] * 50, *[200.0] * 200, *[0.0] * 50))
    assert sum(far) == 2 * 48
    assert not any(far[100:200])


def test_four_wrong_ones_that_agree_take_as_many_as_doubt_allows() -> None:
    """Three for either side of each end: a tie. The two that are left then stand against three on both sides."""
    assert numbers(minutes(*[0.0] * 8, *[200.0] * 4, *[0.0] * 8)) == [7, 8, 9, 10, 11, 12]


def test_to_and_fro() -> None:
    assert numbers(minutes(0, 0, 0, 0, 200, 0, 200, 0, 0, 200, 0, 0, 0)) == [4, 6, 9]


def test_the_first_fix_and_the_last_are_wrong() -> None:
    assert numbers(minutes(200, 0, 0, 0, 0, -100)) == [0, 5]


def test_two_fixes_alone_have_nobody_to_settle_it() -> None:
    assert numbers(minutes(0, 200)) == [0, 1]


def test_a_fast_train_is_flagged_where_it_is_fast_three_times_in_a_row() -> None:
    """57 m/s with circles of 10 m: two minutes of it are believed, and of three the whole."""
    assert numbers(minutes(0, 0, 0, 3.44, 6.88, 6.88, 6.88)) == []
    assert numbers(minutes(0, 0, 0, 3.44, 6.88, 10.32, 10.32, 10.32)) == [2, 3, 4, 5]


@example(apart_m=20.0)
@given(st.floats(0, 1000))
def test_two_devices_at_one_instant_contradict_where_their_circles_do_not_meet(apart_m: float) -> None:
    here, there = row(120.0, 0.0), row(120.0, apart_m)
    meet = distance_m(*here[1:3], *there[1:3]) <= 20.0
    assert numbers([row(0, 0), row(60, 0), here, there, row(180, 0), row(240, 0)]) == ([] if meet else [2, 3])


def test_a_vague_circle_does_not_hide_a_contradiction() -> None:
    rows = minutes(0, 0, 0, 5, 10, 5, 0, 0, 0)
    wide = [r._replace(radius_m=9000.0) if k in (3, 5) else r for k, r in enumerate(rows)]
    assert numbers(wide) == [4]


def test_what_is_settled_among_the_sharp_ones_is_asked_of_all_again() -> None:
    """The fourth and fifth are found in the second look at all, after the sharp ones between had been flagged."""
    steps = [(1, 400, 50), (3, 200, 200), (5, -100, 140), (6, -600, 140), (7, -500, 200), (8, -300, 200), (10, -100, 50)]
    rows = [row(*step) for step in steps]
    assert numbers(rows) == [0, 1, 2, 3, 4]
    assert contradictions(rows[5:]) == []


def test_a_circle_over_half_the_world_contradicts_nothing() -> None:
    assert numbers([row(k, 5_000_000.0 * (k == 2), 2e7 if k == 2 else 10.0) for k in range(5)]) == []


def test_over_the_antimeridian() -> None:
    rows = [
        Row(60.0 * k, 100_000_000, lon % 3_600_000_000 - 1_800_000_000, 10.0)
        for k, lon in enumerate(range(-3000, 4000, 1000))
    ]
    assert numbers(rows) == []
    rows[3] = rows[3]._replace(lon_e7=-1_700_000_000)
    assert numbers(rows) == [3]


# --- the compiler

SCENE = """
import json, numpy as np
from engine.two_sided import flag_two_sided
rng = np.random.default_rng(7)
n = 900
time_us = np.cumsum(rng.choice([0, 400_000, 10_000_000, 60_000_000], n))
lat = (530_000_000 + np.cumsum(rng.integers(-90_000, 90_001, n)) + (rng.random(n) < 0.1) * 20_000_000).astype(np.int32)
lon = rng.integers(-40_000, 40_001, n).astype(np.int32)
radius = rng.choice([0.0, 10.0, 300.0, 5000.0], n)
flags = rng.choice([0, 4, 1, 17], n).astype(np.uint8)
flag_two_sided(np.array([0, 0, 300, 301, 900]), time_us, lat, lon, radius, flags, 70.0, 55.0, 14, 1)
print(json.dumps(flags.tolist()))
"""


def test_without_the_compiler_the_flags_are_the_same() -> None:
    found = []
    for off in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCENE], cwd=HOME, env=os.environ | {"NUMBA_DISABLE_JIT": off},
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert 50 < sum(b & 1 for b in found[0]) < 800
