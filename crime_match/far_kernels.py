"""Kernel of whom the hours' summaries rule out: devices that surely were outside a vicinity at every instant of a window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crime_match.batch.candidate_kernels import box_apart_m
from engine.jit import kernel

HOUR_S = 3600
DOUBTFUL, CLEAR, FAR = 0, 1, 2
"""What the summaries tell of a device: nothing; that its fixes about the window all carry weight and none contradicts another;
and that it was outside the vicinity as well."""
MOST_M_PER_E7 = 0.01118  # no 1e-7 degree is longer, of latitude or of longitude
_RAD_PER_E7 = math.pi / 180.0 * 1e-7
_AHEAD_S = 300
_CLEAR_FAR_M = 1e6
_ANTIPODE_M = 1.5e7


@kernel
def is_calm(a: Any, b: Any, calm_mps: float, first_s: Any, last_s: Any, ends: Any, fastest: Any, ahead_s: Any) -> bool:
    """Whether no two fixes that follow each other in the hours a:b are joined at more than calm_mps, their circles not used up,
    and none came before its own time."""
    for k in range(a, b):
        if not fastest[k] * MOST_M_PER_E7 <= calm_mps or ahead_s[k] >= _AHEAD_S:
            return False
        if k + 1 < b:
            north, east = float(ends[k + 1, 0] - ends[k, 2]), float(ends[k + 1, 1] - ends[k, 3])
            least_s = max(first_s[k + 1] - last_s[k] - 1, 0)
            if math.hypot(north, east) * MOST_M_PER_E7 > calm_mps * least_s:
                return False
    return True


@kernel
def widest_m(a: Any, b: Any, box: Any, extent: Any) -> float:
    """A bound above on the distance of any two fixes of the hours a:b and of a box [m]."""
    south, west, north, east = extent[0], extent[1], extent[2], extent[3]
    for k in range(a, b):
        south, west = min(south, box[k, 0]), min(west, box[k, 1])
        north, east = max(north, box[k, 2]), max(east, box[k, 3])
    nearest: Any = 0 if south <= 0 <= north else min(abs(south), abs(north))
    return MOST_M_PER_E7 * math.hypot(float(north - south), float(east - west) * math.cos(nearest * _RAD_PER_E7))


@kernel
def stays_away(
    a: Any, b: Any, first_hour_s: int, last_hour_s: int, lat_e7: int, lon_e7: int, parallel: float, limit_m: float,
    max_speed_mps: float, first_s: Any, last_s: Any, hour_s: Any, box: Any, ends: Any, exclusion_m: Any, gap_s: Any,
) -> bool:  # fmt: skip
    """Whether a wearer surely is outside the vicinity from the last fix of the hour a to the first of the hour b - 1."""
    for k in range(a, b):
        if first_hour_s <= hour_s[k] <= last_hour_s:
            near_m = box_apart_m(lat_e7, lon_e7, parallel, box[k, 0], box[k, 1], box[k, 2], box[k, 3])
            spare_m = min(near_m, _CLEAR_FAR_M) - exclusion_m[k] - limit_m
            if spare_m <= 0.0 or 2.0 * spare_m <= max_speed_mps * gap_s[k]:
                return False
        if k + 1 < b:
            one_m = box_apart_m(lat_e7, lon_e7, parallel, ends[k, 2], ends[k, 3], ends[k, 2], ends[k, 3])
            two_m = box_apart_m(lat_e7, lon_e7, parallel, ends[k + 1, 0], ends[k + 1, 1], ends[k + 1, 0], ends[k + 1, 1])
            left_m = min(one_m, _CLEAR_FAR_M) - exclusion_m[k] - limit_m
            due_m = min(two_m, _CLEAR_FAR_M) - exclusion_m[k + 1] - limit_m
            most_s = first_s[k + 1] - last_s[k] + 1
            if max(left_m, 0.0) + max(due_m, 0.0) <= max_speed_mps * most_s:
                return False
    return True


@kernel
def sift(
    lat_e7: int, lon_e7: int, parallel: float, limit_m: float, max_speed_mps: float, calm_mps: float,
    first_hour_s: int, last_hour_s: int, start: Any, hour_s: Any, first_s: Any, last_s: Any, box: Any, ends: Any,
    exclusion_m: Any, gap_s: Any, fastest: Any, ahead_s: Any, extent: Any, is_known: Any, state: Any, longest_s: Any,
) -> None:  # fmt: skip
    """Write to state (n_devices,) uint8 what is told of each device, and to longest_s the longest time between two neighbouring
    fixes of those that are not in doubt. See `far.sifted` for what it rests on.

    Device d has the hours start[d]:start[d + 1], in order, from the one before first_hour_s to the one after last_hour_s, those
    that there are; columns (n,), box (n, 4) south, west, north, east, ends (n, 4) latitude and longitude of the first and of
    the last fix; extent (n_devices, 4) the box of all fixes farther off, where is_known.
    """
    for d in range(len(start) - 1):
        a, b = start[d], start[d + 1]
        state[d], longest_s[d] = DOUBTFUL, 0
        if not is_known[d] or b - a < 2 or hour_s[a] != first_hour_s - HOUR_S or hour_s[b - 1] != last_hour_s + HOUR_S:
            continue
        if not is_calm(a, b, calm_mps, first_s, last_s, ends, fastest, ahead_s):
            continue
        apart_m = widest_m(a, b, box, extent[d])
        least_s = min(last_s[a] - first_s[a], last_s[b - 1] - first_s[b - 1]) - 1
        if apart_m > calm_mps * least_s or apart_m > _ANTIPODE_M:
            continue
        longest = np.int64(0)
        for k in range(a, b):
            longest = max(longest, gap_s[k], first_s[min(k + 1, b - 1)] - last_s[k] + 1)
        longest_s[d] = longest
        is_far = stays_away(
            a, b, first_hour_s, last_hour_s, lat_e7, lon_e7, parallel, limit_m, max_speed_mps,
            first_s, last_s, hour_s, box, ends, exclusion_m, gap_s,
        )  # fmt: skip
        state[d] = FAR if is_far else CLEAR
