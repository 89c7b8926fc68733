"""Kernels over Tracks: which fixes contradict their neighbours at which speed, and the summary of each hour."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel

AHEAD = 32
"""Each fix is compared with so many before and after it."""
_MOST_M_PER_E7 = 0.0111695  # by the largest radius of curvature, 6399594 m at the poles
_RAD_PER_E7 = math.pi / 180.0 * 1e-7
HOUR_US = 3_600_000_000
FOREVER_S = 2**31 - 1
"""A gap that has no end."""


@kernel
def fill_joining(
    tick_us: int, start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any, radii_cm: Any, ahead: int, out: Any
) -> None:
    """Write to out (n,) uint8 the lowest whole speed [m/s] at which a fix surely contradicts none of its neighbours.

    Two fixes contradict each other at a speed where their distance, both exclusion radii used up, is more than that speed
    times the time between them. A fix not in doubt at a speed v (out <= v) is in no contradiction at v: distances are taken
    along a straight line of latitude and longitude, by the largest radius of curvature that WGS84 has, so that none is too
    short, and by half a per cent at most too long.
    """
    for w in range(len(start) - 1):
        stop = start[w + 1]
        for i in range(start[w], stop):
            lat, lon, at = np.int64(lat_e7[i]), np.int64(lon_e7[i]), np.int64(tick[i])
            radius, mine = np.int64(radii_cm[error[i], 1]), np.int64(out[i])
            across = math.cos(lat * _RAD_PER_E7)
            for j in range(i + 1, min(i + 1 + ahead, stop)):
                radii_m = 0.01 * (radius + np.int64(radii_cm[error[j], 1]))
                dlat, dlon = abs(np.int64(lat_e7[j]) - lat), abs(np.int64(lon_e7[j]) - lon)
                dlon = min(dlon, 3_600_000_000 - dlon)
                north_m = dlat * _MOST_M_PER_E7
                east_m = dlon * _MOST_M_PER_E7 * min(1.0, across + dlat * _RAD_PER_E7)
                apart2 = north_m * north_m + east_m * east_m
                if apart2 <= radii_m * radii_m:
                    continue
                dt_s = float((np.int64(tick[j]) - at) * tick_us) * 1e-6
                near_m = radii_m + min(mine, np.int64(out[j])) * dt_s
                if apart2 <= near_m * near_m:
                    continue
                apart_m = math.sqrt(apart2) - radii_m
                code = np.int64(math.ceil(apart_m / dt_s + 1e-6)) if apart_m < 254.0 * dt_s else np.int64(255)
                mine = max(mine, code)
                out[j] = max(np.int64(out[j]), code)
            out[i] = mine


@kernel
def fill_hours(
    first_hour: int, base_us: int, tick_us: int, start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any, radii_cm: Any,
    joining: Any, box: Any, reach_cm: Any, gap_s: Any, fastest: Any, row: Any,
) -> None:  # fmt: skip
    """Fill the columns of `engine.hours.Hours` (n_hours, n_wearers): what bounds each wearer in each hour.

    A gap between two fixes that follow each other, and those before the first and after the last, which have no end, counts
    in every hour that it meets; the fixes at its ends bound the wearer there.
    """
    n_hours = len(reach_cm)
    for w in range(len(start) - 1):
        a, b = start[w], start[w + 1]
        row[:, w] = a
        if a == b:
            gap_s[:, w] = FOREVER_S
        for g in range(a - 1, b if b > a else a - 1):
            before, after = max(g, a), min(g + 1, b - 1)
            at_us = base_us + np.int64(tick[before]) * tick_us
            to_us = base_us + np.int64(tick[after]) * tick_us
            opens = at_us // HOUR_US - first_hour if g >= a else 0
            closes = to_us // HOUR_US - first_hour if g + 1 < b else n_hours - 1
            long_s = FOREVER_S if g < a or g + 1 == b else min(-((at_us - to_us) // 1_000_000), FOREVER_S - 1)
            south, north = min(lat_e7[before], lat_e7[after]), max(lat_e7[before], lat_e7[after])
            west, east = min(lon_e7[before], lon_e7[after]), max(lon_e7[before], lon_e7[after])
            reach = max(radii_cm[error[before], 1], radii_cm[error[after], 1])
            fast = max(joining[before], joining[after])
            for h in range(opens, closes + 1):
                box[h, w, 0] = min(box[h, w, 0], south)
                box[h, w, 1] = min(box[h, w, 1], west)
                box[h, w, 2] = max(box[h, w, 2], north)
                box[h, w, 3] = max(box[h, w, 3], east)
                reach_cm[h, w] = max(reach_cm[h, w], reach)
                gap_s[h, w] = max(gap_s[h, w], long_s)
                fastest[h, w] = max(fastest[h, w], fast)
            if g >= a:
                row[opens + 1, w] = g + 1
        for h in range(n_hours):
            row[h + 1, w] = max(row[h + 1, w], row[h, w])
