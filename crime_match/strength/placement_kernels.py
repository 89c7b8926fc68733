"""Kernels of placements: in which of many windows do the fixes of which wearers lie at one place? Arrays only.

A fix whose circle lies half in the vicinity has its centre in it: about a centre outside, the half plane that the vicinity lies
in holds less than half of the circle. So a box about the vicinity comes first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crime_match.kernels import lens_share
from engine.jit import kernel
from engine.kernels import distance_m
from engine.track_kernels import LONG_GAP

_LEAST_M_PER_E7 = 0.01105  # no 1e-7 degree of latitude is shorter, nor of longitude times the cosine of its latitude
_RAD_PER_E7 = math.pi / 180.0 * 1e-7
_POLE, _HALF_TURN = 900_000_000, 1_800_000_000
_HOUR_US = 3_600_000_000
_NEAR = 128
"""So many rows after the beginning of an hour are searched first."""
NOTHING, LOOK = 0, 1
"""What is to be done with a wearer in a window: nothing, or his fixes are read."""


@kernel
def box_about(lat_e7: int, lon_e7: int, radius_m: float) -> tuple[int, int, int, int]:
    """South, west, north, east of a box that holds every point within the radius; all longitudes near a pole or 180 degrees."""
    up = math.ceil(radius_m / _LEAST_M_PER_E7) + 1
    south, north = lat_e7 - up, lat_e7 + up
    if south <= -_POLE or north >= _POLE:
        return south, -_HALF_TURN, north, _HALF_TURN
    least = _LEAST_M_PER_E7 * math.cos(max(-south, north) * _RAD_PER_E7)
    if radius_m >= least * _HALF_TURN:
        return south, -_HALF_TURN, north, _HALF_TURN
    across = math.ceil(radius_m / least) + 1
    west, east = lon_e7 - across, lon_e7 + across
    if west < -_HALF_TURN or east > _HALF_TURN:
        return south, -_HALF_TURN, north, _HALF_TURN
    return south, west, north, east


@kernel
def first_from(tick: Any, start: Any, stop: Any, least: int) -> Any:
    """The first of the rows start:stop, in order of `tick`, whose tick is at least this; `stop` where none is."""
    while start < stop:
        middle = (start + stop) // 2
        if np.int64(tick[middle]) < least:
            start = middle + 1
        else:
            stop = middle
    return start


@kernel
def count_fixes(
    base_us: int, tick_us: int, start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any, radii_cm: Any,
    at_lat_e7: int, at_lon_e7: int, radius_m: float, overlap: float,
    wearer: Any, from_us: Any, to_us: Any, n_fixes: Any, n_placing: Any,
) -> None:  # fmt: skip
    """For rows (n,) of a wearer and a window [from_us, to_us], both ends included: how many fixes lie in the window, and
    how many of them place the wearer, their circle at least `overlap` in the vicinity."""
    south, west, north, east = box_about(at_lat_e7, at_lon_e7, radius_m)
    for k in range(len(wearer)):
        w = wearer[k]
        least, most = -((base_us - from_us[k]) // tick_us), (to_us[k] - base_us) // tick_us
        i = first_from(tick, start[w], start[w + 1], least)
        fixes = placing = 0
        while i < start[w + 1] and np.int64(tick[i]) <= most:
            fixes += 1
            if south <= lat_e7[i] <= north and west <= lon_e7[i] <= east:
                apart_m = distance_m(at_lat_e7, at_lon_e7, lat_e7[i], lon_e7[i])
                if lens_share(apart_m, radii_cm[error[i], 0] / 100.0, radius_m) >= overlap:
                    placing += 1
            i += 1
        n_fixes[k], n_placing[k] = fixes, placing


@kernel
def mark_read(
    base_us: int, tick_us: int, start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any, radii_cm: Any,
    first_hour: int, row: Any, at_lat_e7: int, at_lon_e7: int, radius_m: float, overlap: float, min_fixes: int,
    from_us: Any, to_us: Any, look: Any, monitored: Any, placed: Any,
) -> None:  # fmt: skip
    """Read the fixes of each wearer in the windows (n_windows, at most 63) where look (n_windows, n_wearers) says LOOK.

    monitored, placed (n_wearers,) int64: bit k is set where window k holds a fix, or at least `min_fixes` that place. `row` is
    that of `engine.hours.Hours`, which tells where to begin; with none (0, 0) a wearer's fixes are searched.
    """
    south, west, north, east = box_about(at_lat_e7, at_lon_e7, radius_m)
    for k in range(len(from_us)):
        bit = np.int64(1) << k
        least, most = -((base_us - from_us[k]) // tick_us), (to_us[k] - base_us) // tick_us
        hour = min(max(from_us[k] // _HOUR_US - first_hour, 0), len(row) - 2)
        for w in range(len(start) - 1):
            if look[k, w] == NOTHING:
                continue
            low, high = np.int64(start[w]), np.int64(start[w + 1])
            if hour >= 0:
                low = np.int64(row[hour, w])
            i = first_from(tick, low, min(high, low + _NEAR) if hour >= 0 else high, least)
            if i == low + _NEAR:
                i = first_from(tick, i, high, least)
            if i < high and np.int64(tick[i]) <= most:
                monitored[w] |= bit
            placing = 0
            while i < high and np.int64(tick[i]) <= most and placing < min_fixes:
                if south <= lat_e7[i] <= north and west <= lon_e7[i] <= east:
                    apart_m = distance_m(at_lat_e7, at_lon_e7, lat_e7[i], lon_e7[i])
                    if lens_share(apart_m, radii_cm[error[i], 0] / 100.0, radius_m) >= overlap:
                        placing += 1
                i += 1
            if placing >= min_fixes:
                placed[w] |= bit


@kernel
def mark_hours(
    first_hour: int, boxes: Any, gap_s: Any, row: Any, at_lat_e7: int, at_lon_e7: int, radius_m: float,
    from_us: Any, to_us: Any, look: Any, monitored: Any,
) -> None:  # fmt: skip
    """From the summaries of `engine.hours.Hours` alone: set the bits of `monitored` that are sure, and write to look
    (n_windows, n_wearers) where fixes must be read.

    A window without a fix lies in one gap that is longer than it, and that gap counts in every hour the window meets. So where
    one of them has no gap longer than the window, or an hour with fixes lies all within it, the wearer was monitored; where
    none has a fix, he was not. Only an hour with fixes whose box meets the vicinity can hold one that places.
    """
    south, west, north, east = box_about(at_lat_e7, at_lon_e7, radius_m)
    n_hours, n_wearers = gap_s.shape
    for k in range(len(from_us)):
        bit, length_us = np.int64(1) << k, to_us[k] - from_us[k]
        opens, closes = max(from_us[k] // _HOUR_US - first_hour, 0), min(to_us[k] // _HOUR_US - first_hour, n_hours - 1)
        for w in range(n_wearers):
            look[k, w] = NOTHING
        for h in range(opens, closes + 1):
            within = from_us[k] <= (first_hour + h) * _HOUR_US and (first_hour + h + 1) * _HOUR_US - 1 <= to_us[k]
            for w in range(n_wearers):
                if row[h, w] != row[h + 1, w]:
                    if (
                        boxes[h, w, 0] <= north
                        and boxes[h, w, 2] >= south
                        and boxes[h, w, 1] <= east
                        and boxes[h, w, 3] >= west
                    ):
                        look[k, w] = LOOK
                    if within or (gap_s[h, w] != LONG_GAP and np.int64(gap_s[h, w]) * 1_000_000 <= length_us):
                        monitored[w] |= bit
        for h in range(opens, closes + 1):
            for w in range(n_wearers):
                if not monitored[w] & bit and row[h, w] != row[h + 1, w]:
                    look[k, w] = LOOK
