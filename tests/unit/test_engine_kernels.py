"""Oracles of the engine's kernels: distances by pyproj, hash and flags by plain Python."""

from __future__ import annotations

import itertools
import math
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from engine import flags
from engine.fixes import CONTENT, Fixes
from engine.kernels import (
    FLAG_STATE,
    content_hash,
    count_owners,
    distance_m,
    distances_m,
    fill_seconds,
    fill_units,
    find_interval,
    flag_implausible,
    flag_same_time,
    place_rows,
    surely_slow,
    survey_rows,
)

WGS84 = Geod(ellps="WGS84")
MASK = 2**64 - 1
INT32 = st.integers(-(2**31), 2**31 - 1)


def geodesic_m(columns: list[np.ndarray]) -> np.ndarray:
    lat1, lon1, lat2, lon2 = (c / 1e7 for c in columns)
    return WGS84.inv(lon1, lat1, lon2, lat2)[2]


def pairs(rng: np.random.Generator, n: int, most_lat: float, span_deg: float) -> list[np.ndarray]:
    lat1, lon1 = rng.uniform(-most_lat, most_lat, n), rng.uniform(-180, 180, n)
    lat2 = np.clip(lat1 + rng.uniform(-span_deg, span_deg, n), -90, 90)
    lon2 = (lon1 + rng.uniform(-span_deg, span_deg, n) + 540) % 360 - 180
    return [np.round(v * 1e7).astype(np.int32) for v in (lat1, lon1, lat2, lon2)]


@pytest.mark.parametrize("span_deg", [1e-6, 1e-4, 0.0199])
def test_short_distances_are_within_a_millimetre_of_the_geodesic(span_deg: float) -> None:
    columns = pairs(np.random.default_rng(1), 5000, 70, span_deg)
    assert np.abs(distances_m(*columns) - geodesic_m(columns)).max() < 1e-3


def test_short_distances_near_the_poles_stay_within_two_centimetres_to_85_degrees() -> None:
    """Where no tag is: the plane of the middle latitude gets worse as parallels bend."""
    columns = pairs(np.random.default_rng(2), 5000, 85, 0.0199)
    assert np.abs(distances_m(*columns) - geodesic_m(columns)).max() < 0.02


@pytest.mark.parametrize("span_deg", [0.1, 5.0, 60.0])
def test_long_distances_are_within_a_tenth_of_a_millimetre(span_deg: float) -> None:
    columns = pairs(np.random.default_rng(3), 5000, 89, span_deg)
    true = geodesic_m(columns)
    beyond = (np.abs(columns[2].astype(np.int64) - columns[0]) >= 200_000) & (true < 1.5e7)
    assert beyond.sum() > 1000
    assert np.abs(distances_m(*columns) - true)[beyond].max() < 1e-4


def test_the_two_formulas_meet_at_their_boundary() -> None:
    inner, outer = distance_m(520_000_000, 0, 520_199_999, 0), distance_m(520_000_000, 0, 520_200_000, 0)
    assert outer - inner == pytest.approx(0.0111, abs=1e-3)


def test_distance_over_the_antimeridian_and_near_the_antipode() -> None:
    assert distance_m(0, 1_799_999_000, 0, -1_799_999_000) == pytest.approx(22.264, abs=1e-3)
    antipode = distance_m(100_000_000, 0, -99_000_000, 1_799_000_000)
    assert antipode == pytest.approx(WGS84.inv(0, 10, 179.9, -9.9)[2], rel=0.006)


@given(st.tuples(*[INT32] * 4))
def test_distance_is_symmetric_and_never_negative_or_nan(corners: tuple[int, int, int, int]) -> None:
    lat1, lon1, lat2, lon2 = corners
    lat1, lat2 = (lat % 1_800_000_001 - 900_000_000 for lat in (lat1, lat2))
    lon1, lon2 = (lon % 3_600_000_001 - 1_800_000_000 for lon in (lon1, lon2))
    there, back = distance_m(lat1, lon1, lat2, lon2), distance_m(lat2, lon2, lat1, lon1)
    assert there >= 0.0
    assert there == pytest.approx(back, abs=1e-4)


def plain_hash(row: tuple[int, ...]) -> int:
    h = 0x243F6A8885A308D3
    for value in row:
        h = ((h ^ (value & MASK)) + 0x9E3779B97F4A7C15) & MASK
        h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK
        h ^= h >> 31
    return h - 2**64 if h >= 2**63 else h


@given(st.lists(st.tuples(*[INT32] * 10), min_size=1, max_size=8))
def test_content_hash_is_splitmix_folded_over_the_columns(rows: list[tuple[int, ...]]) -> None:
    columns = [np.array(c, np.int32) for c in zip(*rows, strict=True)]
    with np.errstate(over="ignore"):  # wraps on purpose; numpy says so only where the kernel is not compiled
        assert content_hash(*columns).tolist() == [plain_hash(row) for row in rows]


@pytest.mark.parametrize("name", CONTENT)
def test_every_content_column_counts_and_no_other(name: str) -> None:
    one = Fixes.of(("a",), device=[0], time_us=[5], lat_e7=[1], lon_e7=[2])
    other = Fixes.of(("a",), device=[0], time_us=[9], lat_e7=[1], lon_e7=[2], received_s=[77])
    changed = {"lat_e7": [1], "lon_e7": [2]} | {name: [3]}
    with np.errstate(over="ignore"):
        assert one.content() == other.content()
        assert one.content() != Fixes.of(("a",), device=[0], time_us=[5], **changed).content()


def test_find_interval_equals_a_search_by_hand() -> None:
    rng = np.random.default_rng(4)
    start, count, from_us, to_us = [], [], [], []
    for _ in range(6):
        cuts = np.sort(rng.choice(1000, 2 * rng.integers(0, 5), replace=False))
        start.append(len(from_us))
        count.append(len(cuts) // 2)
        from_us += cuts[::2].tolist()
        to_us += cuts[1::2].tolist()
    device, time_us = rng.integers(0, 6, 3000).astype(np.int32), rng.integers(-5, 1005, 3000)
    found = find_interval(device, time_us, *(np.array(c, np.int64) for c in (start, count, from_us, to_us)))
    for d, t, k in zip(device.tolist(), time_us.tolist(), found.tolist(), strict=True):
        held = [i for i in range(start[d], start[d] + count[d]) if from_us[i] <= t < to_us[i]]
        assert [k] == (held or [-1])


# --- flags


def joining_speed_mps(one: tuple, two: tuple) -> float:
    apart_m = distance_m(one[1], one[2], two[1], two[2]) - one[3] - two[3]
    if apart_m <= 0:
        return 0.0
    return apart_m / ((two[0] - one[0]) * 1e-6) if two[0] > one[0] else math.inf


def plain_implausible(rows: list[tuple[int, int, int, float]], weightless: list[bool]) -> list[bool]:
    """Written from the docstring: a base that is believed, and a suspect that the next fix may confirm."""
    base = suspect = None
    n_fast, found = 0, []
    for row, skip in zip(rows, weightless, strict=True):
        if skip:
            found.append(False)
            continue
        contradicts = False
        if base is not None:
            speed = joining_speed_mps(base, row)
            n_fast = n_fast + 1 if speed > 55 else 0
            contradicts = speed > 70 or n_fast >= 3
        confirmed = contradicts and suspect is not None and joining_speed_mps(suspect, row) <= 55
        found.append(contradicts and not confirmed)
        if found[-1]:
            suspect = row
        else:
            base, suspect = row, None
            n_fast = 0 if n_fast >= 3 else n_fast
    return found


def random_walk(rng: np.random.Generator, n: int) -> tuple[list[tuple[int, int, int, float]], list[bool]]:
    seconds = np.cumsum(rng.choice([0, 1, 5, 30, 60], n))
    speed = rng.choice([1.0, 50.0, 58.0, 66.0, 75.0, 300.0], n, p=[0.3, 0.1, 0.2, 0.2, 0.1, 0.1])
    metres = np.cumsum(speed * np.diff(seconds, prepend=0) * rng.choice([1, 1, 1, -1], n))
    wild = rng.random(n) < 0.1
    lat = 530_000_000 + np.round((metres + wild * 20_000) * 90).astype(int)
    radius = rng.choice([0.0, 5.0, 30.0], n)
    rows = [(int(s) * 1_000_000, int(la), -1_000_000, float(r)) for s, la, r in zip(seconds, lat, radius, strict=True)]
    return rows, (rng.random(n) < 0.1).tolist()


@pytest.mark.parametrize("seed", range(40))
def test_implausible_flags_equal_plain_python_however_the_trail_is_cut(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, skipped = random_walk(rng, 120)
    time_us, lat, lon, radius = (np.array(c) for c in zip(*rows, strict=True))
    bits = np.where(skipped, flags.CLOCK_WRONG, 0).astype(np.uint8)
    every = int(rng.integers(1, 40))
    states = np.zeros(120 // every + 2, FLAG_STATE)
    for start, stop in itertools.pairwise([0, *sorted(rng.integers(0, 121, 4).tolist()), 120]):
        flag_implausible(
            start // every, every, states, time_us[:stop], lat[:stop], lon[:stop], radius[:stop], bits[:stop],
            70.0, 55.0, flags.WEIGHTLESS & ~flags.IMPLAUSIBLE, flags.IMPLAUSIBLE,
        )  # fmt: skip
    assert ((bits & flags.IMPLAUSIBLE) > 0).tolist() == plain_implausible(rows, skipped)
    assert ((bits & flags.CLOCK_WRONG) > 0).tolist() == skipped


@given(
    st.integers(-900_000_000, 900_000_000), st.integers(-200_001, 200_001), st.integers(-200_001, 200_001),
    st.sampled_from([0, 1, 1_000_000, 60_000_000, 10**12]), st.floats(0, 5000),
)  # fmt: skip
def test_what_is_surely_slow_is_slow_by_the_exact_speed(lat: int, dlat: int, dlon: int, dt_us: int, radii_m: float) -> None:
    if surely_slow(dt_us, dlat, dlon, radii_m, 55.0):
        assert joining_speed_mps((0, lat, 0, radii_m), (dt_us, lat + dlat, dlon, 0.0)) <= 55.0


def test_one_wild_fix_is_suspect_and_the_way_back_is_not() -> None:
    rows = [(k * 60_000_000, 530_000_000 + (10_000_000 if k == 3 else 0), 0, 10.0) for k in range(6)]
    assert plain_implausible(rows, [False] * 6) == [False, False, False, True, False, False]


def test_a_jump_that_the_next_fix_confirms_is_the_new_base() -> None:
    rows = [(k * 60_000_000, 530_000_000 + (10_000_000 if k >= 3 else 0), 0, 10.0) for k in range(6)]
    assert plain_implausible(rows, [False] * 6) == [False, False, False, True, False, False]


def plain_same_time(rows: list[tuple[int, int, int, float, float]]) -> list[int]:
    groups: dict[tuple[int, int], list[int]] = {}
    for k, row in enumerate(rows):
        groups.setdefault(row[:2], []).append(k)
    found = [0] * len(rows)
    for group in groups.values():
        if len(group) == 1:
            continue
        agree = all(distance_m(rows[i][2], 0, rows[k][2], 0) <= min(rows[i][4], rows[k][4]) for i in group for k in group)
        best = min(group, key=lambda k: (rows[k][3], k))
        for k in group:
            found[k] = flags.SAME_TIME
            if not agree:
                found[k] |= flags.CONTRADICTORY
            elif k != best:
                found[k] |= flags.SET_ASIDE
    return found


ROW = st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 6), st.sampled_from([5.0, 10.0, 20.0]))


@given(st.lists(ROW, max_size=14))
def test_same_time_flags_equal_plain_python(drawn: list[tuple[int, int, int, float]]) -> None:
    rows = sorted((t, d, 530_000_000 + lat * 1000, r, 3 * r) for t, d, lat, r in drawn)
    columns = [np.array(c) for c in zip(*rows, strict=True)] or [np.empty(0)] * 5
    time_us, device, lat, radius, exclusion = columns
    bits = np.full(len(rows), flags.CONTRADICTORY | flags.SET_ASIDE | flags.CLOCK_WRONG, np.uint8)  # old ones must go
    flag_same_time(
        device, time_us, lat, np.zeros(len(rows), np.int64), radius, exclusion, bits,
        flags.SAME_TIME, flags.CONTRADICTORY, flags.SET_ASIDE,
    )  # fmt: skip
    assert bits.tolist() == [bit | flags.CLOCK_WRONG for bit in plain_same_time(rows)]


def test_flags_have_names() -> None:
    assert flags.flag_names(flags.IMPLAUSIBLE | flags.SAME_TIME) == ["implausible", "same time"]
    assert len(flags.FLAG_NAMES) == 6


# --- files and shares

LIMITS = st.sampled_from([(10_000_000, -90.0, 90.0, False), (100, 0.0, 20_000_000.0, False), (1, 0.0, 1000.0, True)])


@given(st.lists(st.floats(-1e7, 1e7) | st.decimals(-90, 90, places=8).map(float) | st.just(math.nan), max_size=30), LIMITS)
def test_units_are_those_of_the_decimal_text(values: list[float], limits: tuple[int, float, float, bool]) -> None:
    scale, least, most, whole = limits
    out = np.zeros(len(values), np.int32)
    n_absent, n_odd = fill_units(np.array(values), scale, least, most, whole, -1_999, out)
    good = [least <= v <= most and (not whole or v == math.floor(v)) for v in values]
    assert (n_absent, n_odd) == (sum(map(math.isnan, values)), len(values) - sum(map(math.isnan, values)) - sum(good))
    for value, fine, units in zip(values, good, out.tolist(), strict=True):
        exact = (Decimal(repr(value)) * scale).to_integral_value(ROUND_HALF_EVEN) if fine else -1_999
        assert units == exact


@given(st.lists(st.integers(-(2**61), 2**61), min_size=1), st.sampled_from([1, 1000, 1_000_000]))
def test_seconds_are_rounded_down(times: list[int], per_second: int) -> None:
    out = np.empty(len(times), np.int64)
    expected = [t // per_second for t in times]
    assert fill_seconds(np.array(times), per_second, out) == (min(expected), max(expected))
    assert out.tolist() == expected


@given(st.lists(st.integers(0, 4), min_size=1))
def test_a_survey_counts_rows_and_runs(device: list[int]) -> None:
    found = np.zeros((5, 3), np.int64)
    cut = len(device) // 2
    n_runs = sum(survey_rows(np.array(device[a:b], np.int32), a, found) for a, b in ((0, cut), (cut, len(device))))
    whole = sum(len(list(itertools.groupby(device[a:b]))) for a, b in ((0, cut), (cut, len(device))))
    assert n_runs == whole
    for d in set(device):
        rows = [k for k, other in enumerate(device) if other == d]
        assert found[d].tolist() == [len(rows), rows[0], rows[-1]]


@given(st.lists(st.integers(-1, 4)))
def test_rows_are_placed_by_owner_in_their_order(owner: list[int]) -> None:
    counts = np.zeros(5, np.int64)
    in_order = count_owners(np.array(owner, np.int32), counts)
    expected = [k for d in range(5) for k, other in enumerate(owner) if other == d]
    assert in_order == (expected == list(range(len(owner))))
    assert counts.tolist() == [owner.count(d) for d in range(5)]
    rows = np.empty(len(expected), np.int64)
    place_rows(np.array(owner, np.int32), np.cumsum(counts) - counts, rows)
    assert rows.tolist() == expected
