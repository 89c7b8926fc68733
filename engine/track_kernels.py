"""Kernels over Tracks: which fixes contradict their neighbours at which speed, and the summary of each hour."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel

_MOST_M_PER_E7 = 0.0111695  # by the largest radius of curvature, 6399594 m at the poles
_RAD_PER_E7 = math.pi / 180.0 * 1e-7
HOUR_US = 3_600_000_000
SHORT_US = 120_000_000
"""A longer gap does not go into the hours' summaries, which it would make wide, but into their lists."""
LONG_GAP = 255
"""In the place of the longest short gap of an hour: a longer one meets it too."""
NEVER_US = 2**61
"""An end that a gap does not have: before the first fix, after the last."""
SLOWEST_MPS = 10
"""No fix is said to be sure at a lower speed than this."""
_BLOCK = 64


@kernel
def fill_joining(
    tick_us: int, start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any, radii_cm: Any, out: Any
) -> None:
    """Write to out (n,) uint8 the lowest whole speed [m/s] at which a fix surely contradicts none of its wearer's, nor less
    than SLOWEST_MPS.

    Two fixes contradict each other at a speed where their distance, both exclusion radii used up, is more than that speed
    times the time between them. A fix not in doubt at a speed v (out <= v) is in no contradiction at v. Distances are bounds
    above: along a straight line of latitude and longitude, by the largest radius of curvature that WGS84 has, so that none
    is too short, and by half a per cent at most too long. Rows so far apart in time that nothing in the trail can
    contradict across are not compared, and of the others blocks whose box is near enough are passed over.
    """
    longest = 0
    for w in range(len(start) - 1):
        longest = max(longest, start[w + 1] - start[w])
    boxes = np.empty((longest // _BLOCK + 2, 4), np.int64)
    for w in range(len(start) - 1):
        a, b = start[w], start[w + 1]
        n_blocks = (b - a + _BLOCK - 1) // _BLOCK
        _fill_boxes(a, b, lat_e7, lon_e7, boxes[: n_blocks + 1])
        for i in range(a, b):
            lat, lon, at = np.int64(lat_e7[i]), np.int64(lon_e7[i]), np.int64(tick[i])
            across = math.cos(lat * _RAD_PER_E7)
            radius_m = 0.01 * np.int64(radii_cm[error[i], 1])
            farthest_m = _longest_m(lat, lon, across, boxes[n_blocks]) - radius_m
            out[i] = max(np.int64(out[i]), SLOWEST_MPS)
            j = i + 1
            while j < b:
                since_s = (np.int64(tick[j]) - at) * tick_us * 1e-6
                if since_s * SLOWEST_MPS >= farthest_m:
                    break
                stop = min(a + ((j - a) // _BLOCK + 1) * _BLOCK, b)
                if j - i < _BLOCK:
                    stop = min(stop, j + _BLOCK // 4)
                else:
                    box = boxes[(j - a) // _BLOCK]
                    if _longest_m(lat, lon, across, box) <= radius_m + since_s * SLOWEST_MPS:
                        j = stop
                        continue
                _join_rows(i, j, stop, lat, lon, at, across, tick_us, tick, lat_e7, lon_e7, error, radii_cm, out)
                j = stop


@kernel
def _join_rows(
    i: Any, first: Any, stop: Any, lat: Any, lon: Any, at: Any, across: float, tick_us: int, tick: Any, lat_e7: Any,
    lon_e7: Any, error: Any, radii_cm: Any, out: Any,
) -> None:  # fmt: skip
    """Compare the row i, which lies there, with the rows first:stop, and raise what is written of both."""
    radius, mine = np.int64(radii_cm[error[i], 1]), np.int64(out[i])
    for j in range(first, stop):
        radii_m = 0.01 * (radius + np.int64(radii_cm[error[j], 1]))
        dlat, dlon = abs(np.int64(lat_e7[j]) - lat), abs(np.int64(lon_e7[j]) - lon)
        dlon = min(dlon, 3_600_000_000 - dlon)
        north_m = dlat * _MOST_M_PER_E7
        east_m = dlon * _MOST_M_PER_E7 * min(1.0, across + dlat * _RAD_PER_E7)
        apart2 = north_m * north_m + east_m * east_m
        if apart2 <= radii_m * radii_m:
            continue
        dt_s = float((np.int64(tick[j]) - at) * tick_us) * 1e-6
        known: Any = max(min(mine, np.int64(out[j])), SLOWEST_MPS)
        near_m = radii_m + known * dt_s
        if apart2 <= near_m * near_m:
            continue
        apart_m = math.sqrt(apart2) - radii_m
        code = np.int64(math.ceil(apart_m / dt_s + 1e-6)) if apart_m < 254.0 * dt_s else np.int64(255)
        mine = max(mine, code)
        out[j] = max(np.int64(out[j]), code)
    out[i] = mine


@kernel
def _fill_boxes(a: Any, b: Any, lat_e7: Any, lon_e7: Any, boxes: Any) -> None:
    """South, west, north, east of each block of the rows a:b, and in the last row of boxes of all of them."""
    boxes[:, :2], boxes[:, 2:] = 2**31, -(2**31)
    last = len(boxes) - 1
    for i in range(a, b):
        for box in (boxes[(i - a) // _BLOCK], boxes[last]):
            box[0], box[1] = min(box[0], np.int64(lat_e7[i])), min(box[1], np.int64(lon_e7[i]))
            box[2], box[3] = max(box[2], np.int64(lat_e7[i])), max(box[3], np.int64(lon_e7[i]))


@kernel
def _longest_m(lat: Any, lon: Any, across: float, box: Any) -> float:
    """A bound above on the distance of a place from any in a box [m]."""
    dlat: Any = max(lat - box[0], box[2] - lat)
    dlon: Any = min(max(lon - box[1], box[3] - lon), 1_800_000_000)
    east_m = dlon * _MOST_M_PER_E7 * min(1.0, across + dlat * _RAD_PER_E7)
    return math.hypot(dlat * _MOST_M_PER_E7, east_m)


@kernel
def fill_hours(
    first_hour: int, base_us: int, tick_us: int, start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any, radii_cm: Any,
    joining: Any, box: Any, reach_cm: Any, gap_s: Any, fastest: Any, row: Any,
) -> None:  # fmt: skip
    """Fill the columns of `engine.hours.Hours` (n_hours, n_wearers): the fixes of each hour, and the short gaps that meet it
    with the fixes at both ends."""
    n_hours = len(reach_cm)
    for w in range(len(start) - 1):
        a, b = start[w], start[w + 1]
        row[:, w] = a
        opens = np.int64(0)
        for i in range(a, b):
            before, at_us = max(i - 1, a), base_us + np.int64(tick[i]) * tick_us
            closes, gap_us = at_us // HOUR_US - first_hour, (np.int64(tick[i]) - np.int64(tick[before])) * tick_us
            row[closes + 1, w] = i + 1
            if gap_us > SHORT_US:
                opens, before = closes, i
            elif i == a:
                opens = closes
            for h in range(opens, closes + 1):
                box[h, w, 0] = min(box[h, w, 0], lat_e7[before], lat_e7[i])
                box[h, w, 1] = min(box[h, w, 1], lon_e7[before], lon_e7[i])
                box[h, w, 2] = max(box[h, w, 2], lat_e7[before], lat_e7[i])
                box[h, w, 3] = max(box[h, w, 3], lon_e7[before], lon_e7[i])
                reach_cm[h, w] = max(reach_cm[h, w], radii_cm[error[before], 1], radii_cm[error[i], 1])
                fastest[h, w] = max(fastest[h, w], joining[before], joining[i])
                if before != i:
                    gap_s[h, w] = max(gap_s[h, w], -(-gap_us // 1_000_000))
            opens = closes
        for h in range(n_hours):
            row[h + 1, w] = max(row[h + 1, w], row[h, w])


@kernel
def list_long_gaps(
    first_hour: int, n_hours: int, base_us: int, tick_us: int, start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any,
    radii_cm: Any, joining: Any, gap_s: Any, place: Any, wearer: Any, gap: Any, fastest: Any, gaps: Any,
) -> int:  # fmt: skip
    """Fill the lists of `engine.hours.Hours`: add up in place (n_hours + 1,), one on, how many long gaps meet each hour, and
    return how many there are; or, where the columns have room, write them from place[hour] on, which is used up. gap_s
    (n_hours, n_wearers) is set to LONG_GAP where there is one."""
    n = 0
    for w in range(len(start) - 1):
        a, b = start[w], start[w + 1]
        for g in range(a - 1, b):
            left_us: Any = -NEVER_US
            due_us: Any = NEVER_US
            opens, closes = np.int64(0), np.int64(n_hours - 1)
            if g >= a:
                left_us = base_us + np.int64(tick[g]) * tick_us
                opens = left_us // HOUR_US - first_hour
            if g + 1 < b:
                due_us = base_us + np.int64(tick[g + 1]) * tick_us
                closes = due_us // HOUR_US - first_hour
            if due_us - left_us <= SHORT_US:
                continue
            if len(gaps):
                gaps[n, 0], gaps[n, 1], gaps[n, 2:] = left_us, due_us, 0
                if g >= a:
                    gaps[n, 2], gaps[n, 3], gaps[n, 6] = lat_e7[g], lon_e7[g], radii_cm[error[g], 1]
                if g + 1 < b:
                    gaps[n, 4], gaps[n, 5], gaps[n, 7] = lat_e7[g + 1], lon_e7[g + 1], radii_cm[error[g + 1], 1]
            for h in range(opens, closes + 1):
                if len(gaps):
                    wearer[place[h]], gap[place[h]] = w, n
                    fastest[place[h]] = max(joining[g] if g >= a else 0, joining[g + 1] if g + 1 < b else 0)
                    place[h] += 1
                else:
                    gap_s[h, w] = LONG_GAP
                    place[h + 1] += 1
            n += 1
    return n
