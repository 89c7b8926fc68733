"""Kernels of the verdict of many (crime, wearer) pairs over Tracks. Arrays only.

Crimes are rows of two arrays: (n_crimes, 5) int64, of lat_e7, lon_e7, start_us and end_us of the padded window, min_fixes;
and (n_crimes, 2) float64, the radii of the vicinity, and of it widened by the place's uncertainty [m].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crime_match.kernels import OVERLAP, lens_share
from crime_match.reach_kernels import apart_at_least_m, around_e7, gap_speed_mps, parallel_m, seconds
from engine.jit import kernel
from engine.kernels import distance_m

PLACED, MET, UNSEEN, OUTSIDE, OUTSIDE_UNSEEN, IN_DOUBT = 0, 1, 2, 3, 4, 5
"""Placed; the reachable set meets the vicinity, with a fix in the window or (UNSEEN) without; it stays outside, with a fix in
the window or without; fixes contradict each other, and what that means must be looked at closely."""


@kernel
def first_at_or_after(tick: Any, low: int, high: int, base_us: int, tick_us: int, time_us: int) -> int:
    """The first of the rows low:high whose time is no earlier than time_us; high where there is none."""
    while low < high:
        middle = (low + high) // 2
        if base_us + np.int64(tick[middle]) * tick_us < time_us:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def places(
    low: int, high: int, lat_e7: int, lon_e7: int, vicinity_m: float, parallel: float, least: int,
    lats_e7: Any, lons_e7: Any, error: Any, radii_cm: Any,
) -> bool:  # fmt: skip
    """Whether at least so many of the rows low:high lie at least half inside the vicinity, by their reported circles."""
    n = 0
    for i in range(low, high):
        radius_m = radii_cm[error[i], 0] / 100.0
        most_m = vicinity_m + radius_m
        if apart_at_least_m(float(lats_e7[i]) - lat_e7, around_e7(lons_e7[i], lon_e7), parallel) > most_m:
            continue
        if lens_share(distance_m(lat_e7, lon_e7, lats_e7[i], lons_e7[i]), radius_m, vicinity_m) >= OVERLAP:
            n += 1
            if n >= least:
                return True
    return False


@kernel
def pair_code(
    crime: Any, radii_m: Any, max_speed_mps: float, a: int, b: int, low: int, high: int,
    base_us: int, tick_us: int, tick: Any, lats_e7: Any, lons_e7: Any, error: Any, radii_cm: Any, joining: Any,
) -> int:  # fmt: skip
    """The code of one crime and the wearer of the rows a:b, of which low:high hold those of the window, if not more."""
    lat_e7, lon_e7, start_us, end_us = crime[0], crime[1], crime[2], crime[3]
    parallel = parallel_m(float(lat_e7))
    first = first_at_or_after(tick, low, high, base_us, tick_us, start_us)
    stop = first_at_or_after(tick, first, high, base_us, tick_us, end_us + 1)
    if places(first, stop, lat_e7, lon_e7, radii_m[0], parallel, crime[4], lats_e7, lons_e7, error, radii_cm):
        return PLACED
    if a == b:
        return UNSEEN
    # gap g lies between the rows g and g + 1; the last before the window's end, the first after its start
    begins = first_at_or_after(tick, first, stop, base_us, tick_us, start_us + 1) - 1
    ends = max(first_at_or_after(tick, first, stop, base_us, tick_us, end_us) - 1, begins)
    for i in range(max(begins, a), min(ends + 1, b - 1) + 1):
        if joining[i] > max_speed_mps or joining[i] == 255:
            return IN_DOUBT
    for g in range(begins, ends + 1):
        has_one, has_two = g >= a, g + 1 < b
        one, two = max(g, a), min(g + 1, b - 1)
        left_at = base_us + np.int64(tick[one]) * tick_us
        due_at = base_us + np.int64(tick[two]) * tick_us
        elapsed_s, left_s, gap_s = np.inf, np.inf, np.inf
        if has_one:
            elapsed_s = seconds((min(due_at, end_us) if has_two else end_us) - left_at)
        if has_two:
            left_s = seconds(due_at - (max(left_at, start_us) if has_one else start_us))
        if has_one and has_two:
            gap_s = seconds(due_at - left_at)
        speed = gap_speed_mps(
            lat_e7, lon_e7, parallel, radii_m[1], has_one, lats_e7[one], lons_e7[one], radii_cm[error[one], 1] / 100.0,
            has_two, lats_e7[two], lons_e7[two], radii_cm[error[two], 1] / 100.0, elapsed_s, left_s, gap_s,
            max_speed_mps, max_speed_mps,
        )  # fmt: skip
        if speed <= max_speed_mps:
            return MET if stop > first else UNSEEN
    return OUTSIDE if stop > first else OUTSIDE_UNSEEN


@kernel
def pair_codes(
    crimes: Any, radii_m: Any, max_speed_mps: float, crime: Any, wearer: Any,
    base_us: int, tick_us: int, start: Any, tick: Any, lats_e7: Any, lons_e7: Any, error: Any, radii_cm: Any, joining: Any,
    out: Any,
) -> None:  # fmt: skip
    """`pair_code` of the pairs (crime, wearer), two columns (n,), written to out (n,) uint8."""
    for k in range(len(crime)):
        a, b = start[wearer[k]], start[wearer[k] + 1]
        out[k] = pair_code(
            crimes[crime[k]], radii_m[crime[k]], max_speed_mps, a, b, a, b,
            base_us, tick_us, tick, lats_e7, lons_e7, error, radii_cm, joining,
        )  # fmt: skip
