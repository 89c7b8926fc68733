"""Tracks and hours: nothing is lost in packing, a fix not in doubt is in no contradiction, and no hour's box is too small."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from crime_match.kernels import contradictions
from engine.hours import summarise
from engine.track_kernels import HOUR_US, LONG_GAP, NEVER_US, SHORT_US, SLOWEST_MPS
from engine.tracks import pack

WGS84 = Geod(ellps="WGS84")
START_US = 1_772_359_200_000_000


def columns(seed):
    """Fixes of a few wearers one after the other, some of whom have none."""
    rng = np.random.default_rng(seed)
    counts = rng.choice([0, 1, 2, 50, 120], int(rng.integers(1, 6)))
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    n = int(start[-1])
    step_us = int(rng.choice([1, 1000, 1_000_000, 60_000_000]))
    time_us = np.concatenate([[], *(np.cumsum(rng.choice([0, 1, 1, 2, 90], k)) for k in counts)]).astype(np.int64) * step_us
    time_us += START_US + int(rng.integers(0, HOUR_US))
    lat0, lon0 = rng.choice([0.0, 51.5, 89.9, -89.9]), rng.choice([0.0, 179.9999])
    spread = rng.choice([1e-5, 1e-3, 1.0, 30.0])
    lat_e7 = np.clip((lat0 + rng.normal(0, spread, n)) * 1e7, -9e8, 9e8).astype(np.int32)
    lon_e7 = ((((lon0 + rng.normal(0, spread, n)) * 1e7 + 1.8e9) % 3.6e9) - 1.8e9).astype(np.int64)
    radius_m = rng.integers(0, 100_000, n) / 100.0
    return start, time_us, lat_e7, lon_e7.astype(np.int32), radius_m, radius_m * rng.uniform(1, 5, n)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_packing_loses_nothing(seed):
    start, time_us, lat_e7, lon_e7, radius_m, exclusion_m = columns(seed)
    tracks = pack(start, time_us, lat_e7, lon_e7, radius_m, exclusion_m)
    assert np.array_equal(tracks.base_us + tracks.tick.astype(np.int64) * tracks.tick_us, time_us)
    assert np.array_equal(tracks.radii_cm[tracks.error, 0], np.rint(radius_m * 100))
    rounded = tracks.radii_cm[tracks.error, 1] - exclusion_m * 100
    assert np.all((rounded >= 0) & (rounded < 1))
    assert tracks.tick.dtype == np.uint32 or len(time_us) > 0
    assert tracks.n_wearers == len(start) - 1


def test_times_far_apart_in_short_steps_keep_64_bits():
    time_us = np.array([0, 1, 2**40], np.int64)
    zeros = np.zeros(3, np.int32)
    tracks = pack(np.array([0, 3]), time_us, zeros, zeros, np.zeros(3), np.zeros(3))
    assert tracks.tick.dtype == np.int64
    assert tracks.tick.tolist() == time_us.tolist()


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), speed_mps=st.floats(1.0, 254.0))
def test_a_fix_not_in_doubt_is_in_no_contradiction(seed, speed_mps):
    """And the speed told is no more than one and half a per cent above the lowest that would do."""
    start, time_us, lat_e7, lon_e7, radius_m, exclusion_m = columns(seed)
    tracks = pack(start, time_us, lat_e7, lon_e7, radius_m, exclusion_m)
    exclusion_m = tracks.radii_cm[tracks.error, 1] / 100.0
    for first, stop in pairwise(start.tolist()):
        part, n = slice(first, stop), stop - first
        joining, pairs = tracks.joining[part], np.empty((n * n, 2), np.int64)
        found = contradictions(0, n, time_us[part], lat_e7[part], lon_e7[part], exclusion_m[part], speed_mps, pairs)
        assert np.all(joining[pairs[:found].ravel()] > speed_mps)
        needed = np.zeros(n)
        for i in range(n):
            for j in range(i + 1, n):
                a, b = first + i, first + j
                apart_m = WGS84.inv(lon_e7[a] / 1e7, lat_e7[a] / 1e7, lon_e7[b] / 1e7, lat_e7[b] / 1e7)[2]
                longest_m = apart_m * 1.01 if apart_m < 20_000 and abs(lat_e7[a]) < 6e8 else np.inf
                free_m = max(0.0, longest_m - exclusion_m[a] - exclusion_m[b])
                dt_s = (time_us[b] - time_us[a]) / 1e6
                speed = free_m / dt_s if dt_s > 0 else (np.inf if free_m > 0 else 0.0)
                needed[i], needed[j] = max(needed[i], speed), max(needed[j], speed)
        assert np.all(joining >= SLOWEST_MPS)
        assert np.all((joining <= np.maximum(needed + 1.0, SLOWEST_MPS)) | (needed > 254.0))


def ends_of(tracks, first, stop, g):
    """Of the gap between the rows g and g + 1, of which either may be lacking: times, places, radii."""
    times, places, radii = [-NEVER_US, NEVER_US], [0, 0, 0, 0], [0, 0]
    for k, row in enumerate((g, g + 1)):
        if first <= row < stop:
            times[k] = tracks.base_us + int(tracks.tick[row]) * tracks.tick_us
            places[2 * k : 2 * k + 2] = int(tracks.lat_e7[row]), int(tracks.lon_e7[row])
            radii[k] = int(tracks.radii_cm[tracks.error[row], 1])
    return [*times, *places, *radii]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_hours_hold_what_bounds_the_wearer(seed):
    """Against plain Python: the fixes at the ends of every gap that meets the hour."""
    start, time_us, lat_e7, lon_e7, radius_m, exclusion_m = columns(seed)
    tracks = pack(start, time_us, lat_e7, lon_e7, radius_m, exclusion_m)
    hours = summarise(tracks)
    n_hours, n_wearers = hours.reach_cm.shape
    assert n_wearers == tracks.n_wearers
    for w in range(n_wearers):
        rows = range(start[w], start[w + 1])
        for h in range(n_hours):
            opens, closes = (hours.first_hour + h) * HOUR_US, (hours.first_hour + h + 1) * HOUR_US
            assert int(hours.row[h, w]) == start[w] + sum(time_us[i] < opens for i in rows)
            bounding, gaps, long_gaps = {i for i in rows if opens <= time_us[i] < closes}, [0], []
            for before in range(start[w] - 1, start[w + 1]):
                left = -np.inf if before < start[w] else time_us[before]
                due = np.inf if before + 1 == start[w + 1] else time_us[before + 1]
                if left < closes and due >= opens:
                    if due - left > SHORT_US:
                        long_gaps.append(before)
                    else:
                        bounding |= {before, before + 1}
                        gaps.append(int(-(-(due - left) // 1_000_000)))
            listed = slice(int(hours.long_start[h]), int(hours.long_start[h + 1]))
            mine = hours.gap_wearer[listed] == w
            assert hours.gaps[hours.gap[listed][mine]].tolist() == [
                ends_of(tracks, start[w], start[w + 1], g) for g in long_gaps
            ]
            assert hours.gap_fastest[listed][mine].tolist() == [
                max(int(tracks.joining[k]) if start[w] <= k < start[w + 1] else 0 for k in (g, g + 1)) for g in long_gaps
            ]
            assert hours.gap_s[h, w] == (LONG_GAP if long_gaps else max(gaps))
            if not bounding:
                assert hours.box[h, w, 0] > hours.box[h, w, 2]
                continue
            chosen = sorted(bounding)
            assert hours.box[h, w].tolist() == [
                lat_e7[chosen].min(), lon_e7[chosen].min(), lat_e7[chosen].max(), lon_e7[chosen].max()
            ]  # fmt: skip
            assert hours.reach_cm[h, w] == tracks.radii_cm[tracks.error[chosen], 1].max()
            assert hours.fastest[h, w] == tracks.joining[chosen].max()
    assert int(hours.row[-1].sum()) == int(start[1:].sum())


def test_a_circle_wider_than_the_earth_stays_one():
    zeros = np.zeros(2, np.int32)
    tracks = pack(np.array([0, 2]), np.array([0, 1]), zeros, zeros, np.array([2e7, 1.0]), np.array([3e8, 5.0]))
    assert tracks.radii_cm[tracks.error[0]].tolist() == [2_000_000_000, 2**31 - 1]


def test_masts_and_the_others_are_counted_apart():
    zeros, radii = np.zeros(3, np.int32), np.array([50.0, 50.0, 70.0])
    tracks = pack(np.array([0, 3]), np.array([0, 1, 2]), zeros, zeros, radii, radii * 5, np.array([False, True, False]))
    widest = 2**31 - 1
    assert tracks.counting(masts=False).radii_cm[tracks.error, 0].tolist() == [5000, widest, 7000]
    assert tracks.counting(masts=True).radii_cm[tracks.error, 0].tolist() == [widest, 5000, widest]
    assert tracks.counting(masts=True).radii_cm[tracks.error, 1].tolist() == [25000, 25000, 35000]


def test_no_fixes_at_all():
    empty = np.empty(0)
    tracks = pack(np.array([0, 0]), empty.astype(np.int64), *(empty.astype(np.int32),) * 2, empty, empty)
    assert (tracks.n_fixes, tracks.n_wearers) == (0, 1)
    assert summarise(tracks).box.shape == (0, 1, 4)
    with pytest.raises(IndexError):
        summarise(tracks).reach_cm[0]
