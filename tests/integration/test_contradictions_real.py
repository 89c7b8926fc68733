"""Contradictions on real trails: two-sided flags find the wrong places, and where fixes contradict each other none of them
excludes by itself: the verdict is that of all explanations, got by leaving either of two out, in plain Python."""

from __future__ import annotations

import csv
import gzip
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyproj import Geod

from crime_match.kernels import lowest_speed_mps
from crime_match.near import match_of
from crime_match.question import Question
from crime_match.trails import Trails, WearerTrail
from engine.activations import Activation
from engine.fixes import Fixes
from engine.flags import IMPLAUSIBLE, WEIGHTLESS
from engine.kernels import distance_m, joining_speed_mps
from engine.trail import FAST_MPS, MOST_MPS
from engine.two_sided import VAGUE_M
from tagwatch.matching import trails_of

PHONES = Activation("", "", -(2**62), percentile=0.68)
COLUMNS = {"lat_e7": ("lat", 1e7), "lon_e7": ("lon", 1e7), "accuracy_cm": ("accuracy_m", 100), "time_us": ("ts", 1e6)}
WGS84 = Geod(ellps="WGS84")
MOST_SPEED_MPS = 55.0
BESIDE = 10
"""So many fixes on each side of a contradiction are looked at."""


@pytest.fixture(scope="module")
def trails(shared_data: Path) -> Trails:
    """The twelve phones, flagged on both sides."""
    data = gzip.decompress((shared_data / "phones_saopaulo" / "fixes.csv.gz").read_bytes()).decode()
    rows = list(csv.DictReader(data.splitlines()))
    names = sorted({row["user"] for row in rows})
    number = {name: k for k, name in enumerate(names)}
    columns: dict[str, Any] = {
        name: np.round(np.array([float(row[key]) for row in rows]) * scale) for name, (key, scale) in COLUMNS.items()
    }
    received_s = np.floor([float(row["write_ts"]) for row in rows])
    fixes = Fixes.of(names, device=[number[row["user"]] for row in rows], received_s=received_s, **columns)
    return trails_of(fixes, plan=PHONES)


# --- the flags


def weighty(trail: WearerTrail) -> list[int]:
    return [int(k) for k in np.flatnonzero(trail.carries_weight())]


def speeds_mps(trail: WearerTrail, chain: list[int]) -> list[float]:
    fixes, r = trail.fixes, trail.radius_m
    at = [(int(fixes.time_us[k]), int(fixes.lat_e7[k]), int(fixes.lon_e7[k]), float(r[k])) for k in chain]
    return [joining_speed_mps(*one, *two) for one, two in pairwise(at)]


def test_no_two_neighbours_that_carry_weight_contradict_each_other(trails: Trails) -> None:
    for trail in trails:
        chain = weighty(trail)
        for limit_m in (math.inf, VAGUE_M):
            speeds = speeds_mps(trail, [k for k in chain if trail.radius_m[k] <= limit_m])
            assert all(speed <= MOST_MPS for speed in speeds)
            assert not any(min(three) > FAST_MPS for three in zip(speeds, speeds[1:], speeds[2:], strict=False))


def test_networks_that_moved_are_flagged_and_few_others(trails: Trails) -> None:
    """All fifteen fixes at networks that had moved 272 and 363 km carry no weight; in all 0.6 % of the fixes are flagged."""
    flagged = [int(np.count_nonzero(trail.flags & IMPLAUSIBLE)) for trail in trails]
    assert sum(flagged) == 297
    assert sorted(flagged)[-3:] == [22, 32, 195]
    far = 0
    for trail in trails:
        fixes = trail.fixes
        middle = int(np.median(fixes.lat_e7)), int(np.median(fixes.lon_e7))
        apart_km = np.array([distance_m(*middle, *at) for at in zip(fixes.lat_e7, fixes.lon_e7, strict=True)]) / 1000
        if apart_km.max() > 250:
            far += int(np.count_nonzero(apart_km > 250))
            assert np.all(trail.flags[apart_km > 250] & WEIGHTLESS)
    assert far == 15


# --- the verdict


def opponents(trail: WearerTrail) -> list[tuple[int, int]]:
    """All pairs of fixes that no path at the maximum speed can join, their exclusion radii used up."""
    fixes, r, found = trail.fixes, trail.exclusion_m, []
    at = list(zip(fixes.time_us.tolist(), fixes.lat_e7.tolist(), fixes.lon_e7.tolist(), r.tolist(), strict=True))
    for j, (t2, lat2, lon2, r2) in enumerate(at):
        for i, (t1, lat1, lon1, r1) in enumerate(at[:j]):
            if distance_m(lat1, lon1, lat2, lon2) - r1 - r2 > MOST_SPEED_MPS * (t2 - t1) * 1e-6:
                found.append((i, j))
    return found


def explanations(n: int, pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Leave either of two contradictory fixes out, until none are left; of the sets that this gives the largest."""
    found: set[frozenset[int]] = set()
    seen: set[frozenset[int]] = set()
    todo = [frozenset(range(n))]
    while todo:
        kept = todo.pop()
        if kept in seen:
            continue
        seen.add(kept)
        pair = next((p for p in pairs if p[0] in kept and p[1] in kept), None)
        if pair is None:
            found.add(kept)
        else:
            todo += [kept - {pair[0]}, kept - {pair[1]}]
    return [sorted(kept) for kept in found if not any(kept < other for other in found)]


def discs_about(question: Question, trail: WearerTrail, kept: list[int]) -> list[tuple[float, float, float, float]]:
    """Place and exclusion radius [m] in the plane about the crime, and the time from the window's start [s], of each fix."""
    fixes, n = trail.fixes, len(kept)
    crime = np.full(n, question.lon_e7 / 1e7), np.full(n, question.lat_e7 / 1e7)
    azimuth, _, apart_m = WGS84.inv(*crime, fixes.lon_e7[kept] / 1e7, fixes.lat_e7[kept] / 1e7)
    x, y = apart_m * np.sin(np.radians(azimuth)), apart_m * np.cos(np.radians(azimuth))
    second = (fixes.time_us[kept] - question.start_us) * 1e-6
    return list(zip(x.tolist(), y.tolist(), trail.exclusion_m[kept].tolist(), second.tolist(), strict=True))


def needed_mps(question: Question, trail: WearerTrail, kept: list[int], reach_back: int = 1) -> float:
    """The lowest speed at which these fixes allow presence, gap by gap, each bounded by the last fix before and the first
    after; with a longer reach_back by any two of so many on both sides, the highest of which counts."""
    discs, n = discs_about(question, trail, kept), len(kept)
    window_s = (question.end_us - question.start_us) * 1e-6
    best = math.inf
    for g in range(-1, n):
        opens = max(0.0, discs[g][3]) if g >= 0 else 0.0
        closes = min(window_s, discs[g + 1][3]) if g + 1 < n else window_s
        if opens <= closes:
            before = discs[max(0, g + 1 - reach_back) : g + 1] or [None]
            after = discs[g + 1 : g + 1 + reach_back] or [None]
            best = min(best, max(prism_mps(one, two, question.reach_m, opens, closes) for one in before for two in after))
    return best


def prism_mps(one: Any, two: Any, reach_m: float, opens: float, closes: float) -> float:
    """The lowest speed of one prism, either of whose fixes may be lacking."""
    elapsed_s = max(closes - one[3], 1e-6) if one else math.inf
    left_s = max(two[3] - opens, 1e-6) if two else math.inf
    gap_s = max(two[3] - one[3], 1e-6) if one and two else math.inf
    if not one and not two:
        return 0.0
    here, there = (one or (*two[:2], math.inf))[:3], (two or (*one[:2], math.inf))[:3]
    return float(lowest_speed_mps(*here, *there, reach_m, elapsed_s, left_s, gap_s))


def part_of(trail: WearerTrail, rows: np.ndarray) -> WearerTrail:
    """Some fixes of a trail, as if nothing had been flagged as implausible, on a tag worn all the time."""
    fixes = trail.fixes.take(rows)
    return trail._replace(
        fixes=fixes, flags=trail.flags[rows] & ~np.uint8(IMPLAUSIBLE), sigma_m=trail.sigma_m[rows],
        radius_m=trail.radius_m[rows], exclusion_m=trail.exclusion_m[rows], model=trail.model[rows],
        silence_us=trail.silence_us[rows], activations=[Activation(fixes.devices[int(fixes.device[0])], trail.wearer, 0)],
    )  # fmt: skip


def stretches(trails: Trails) -> list[tuple[WearerTrail, list[tuple[int, int]]]]:
    """The fixes about contradictions that are close in the row, and all contradictions among them."""
    found = []
    for trail in trails:
        rows = np.flatnonzero((trail.flags & (WEIGHTLESS & ~IMPLAUSIBLE)) == 0)
        whole = part_of(trail, rows)
        fixes, r = whole.fixes, whole.exclusion_m
        last = -BESIDE
        for k in range(len(rows) - 2):
            apart = [
                distance_m(fixes.lat_e7[k], fixes.lon_e7[k], fixes.lat_e7[j], fixes.lon_e7[j]) - r[k] - r[j]
                > MOST_SPEED_MPS * (fixes.time_us[j] - fixes.time_us[k]) * 1e-6
                for j in (k + 1, k + 2)
            ]
            if any(apart) and k >= last + 4:
                some = part_of(whole, np.arange(max(0, k - BESIDE), min(len(rows), k + BESIDE)))
                found.append((some, opponents(some)))
                last = k
    return found


def questions(trail: WearerTrail, pairs: list[tuple[int, int]], rng: np.random.Generator) -> list[Question]:
    """Places at, between and beside fixes in doubt, and windows between, at and after them, from an instant to minutes."""
    fixes, asked = trail.fixes, []
    for k in rng.integers(0, len(pairs), 12).tolist():
        i, j = pairs[k]
        opens, closes = sorted(rng.choice(fixes.time_us[max(0, i - 2) : j + 3].astype(np.int64), 2).tolist())
        middle = (int(fixes.time_us[i]) + int(fixes.time_us[j])) // 2
        window = [(middle, middle), (opens, closes), (closes - 1_000_000, closes), (opens, opens + 60_000_000)][k % 4]
        share, aside = rng.choice([0.0, 0.0, 0.5, 1.0, 1.0, -0.2]), rng.normal(0, 1, 2) * rng.choice([0.0, 0.003, 0.05])
        lat = fixes.lat_e7[i] + share * (float(fixes.lat_e7[j]) - float(fixes.lat_e7[i]))
        lon = fixes.lon_e7[i] + share * (float(fixes.lon_e7[j]) - float(fixes.lon_e7[i]))
        asked.append(Question(lat / 1e7 + aside[0], lon / 1e7 + aside[1], *window, pad_us=0, min_fixes=1000))
    return asked


def test_no_fix_in_doubt_excludes_by_itself(trails: Trails) -> None:
    """Who is excluded is out of reach of every explanation, each taken with all its fixes; and it is no empty promise."""
    rng = np.random.default_rng(1)
    found = {"stretches": 0, "asked": 0, "excluded": 0, "saved": 0, "sharp": 0, "narrow": 0}
    for trail, pairs in stretches(trails):
        found["stretches"] += 1
        sets = explanations(len(trail.fixes), pairs)
        for question in questions(trail, pairs, rng):
            each = [needed_mps(question, trail, kept) for kept in sets]
            match = match_of(question, trail)
            assert match.verdict in ("possible", "excluded", "unmonitored")
            if match.verdict == "excluded" and min(each) <= MOST_SPEED_MPS:
                found["narrow"] += 1
                each = [max(e, needed_mps(question, trail, kept, 20)) for e, kept in zip(each, sets, strict=True)]
                assert min(each) > MOST_SPEED_MPS, (match.reasons, each)
            trusting = needed_mps(question, trail, list(range(len(trail.fixes))))
            found["asked"] += 1
            found["excluded"] += match.verdict == "excluded"
            found["saved"] += trusting > MOST_SPEED_MPS >= min(each)
            found["sharp"] += (match.verdict == "excluded") == (min(each) > MOST_SPEED_MPS)
    assert found["stretches"] >= 10
    assert found["saved"] >= 10  # the prism of the two fixes alone would have excluded, and leaving one out does not
    assert found["excluded"] >= 10
    assert found["sharp"] >= 0.7 * found["asked"], found
