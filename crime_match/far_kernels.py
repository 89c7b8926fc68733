"""Kernels of what the hours' summaries tell of a device: that it surely was outside a vicinity at every instant of a window, or
surely can have been there, or where to look."""

from __future__ import annotations

import math
from typing import Any

from crime_match.batch.candidate_kernels import box_apart_m
from crime_match.batch.pair_kernels import PLACING_M
from crime_match.reach_kernels import apart_at_most_m, around_e7
from engine.jit import kernel

HOUR_S = 3600
DOUBTFUL, CLEAR, FAR, MEETS = 0, 1, 2, 3
"""Nothing is told; the fixes about the window all carry weight, and none contradicts another; and it was outside the vicinity
as well; or it can have been there, and it is known whether a fix lies in the window."""
NONE, PERHAPS, SURE = 0, 1, 2
"""Whether a fix lies in the window: surely none, not known, surely one."""
MAY_MEET, MAY_PLACE, STEP_MAY_MEET = 1, 2, 4
"""Bits of an hour: its fixes may lead to the vicinity, one of them may lie there, the step to the next hour may lead there."""
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
def box_at_most_m(lat_e7: int, lon_e7: int, across: float, box: Any) -> float:
    """A bound above on the distance of the place from any in a box [m]."""
    north: Any = max(abs(box[0] - lat_e7), abs(box[2] - lat_e7))
    east: Any = min(max(abs(box[1] - lon_e7), abs(box[3] - lon_e7)), 1_800_000_000)  # straight, not the short way round
    return apart_at_most_m(float(north), float(east), across)


@kernel
def look_at_hour(
    k: Any, place: Any, shape: Any, max_speed_mps: float, window_s: Any, first_s: Any, last_s: Any, hour_s: Any, box: Any,
    exclusion_m: Any, gap_s: Any,
) -> tuple[Any, Any]:  # fmt: skip
    """The bits of an hour of the window by its own fixes, and whether they surely lead to the place."""
    lat_e7, lon_e7 = place
    radius_m, limit_m, parallel, across = shape
    near_m = box_apart_m(lat_e7, lon_e7, parallel, box[k, 0], box[k, 1], box[k, 2], box[k, 3])
    look, meets = 0, False
    if near_m <= radius_m + PLACING_M:
        look |= MAY_PLACE
    spare_m = min(near_m, _CLEAR_FAR_M) - exclusion_m[k] - limit_m
    if spare_m <= 0.0 or 2.0 * spare_m <= max_speed_mps * gap_s[k]:
        look |= MAY_MEET
        if window_s[0] <= hour_s[k] and hour_s[k] + HOUR_S <= window_s[1]:
            meets = 2.0 * box_at_most_m(lat_e7, lon_e7, across, box[k]) <= max_speed_mps * (gap_s[k] - 1)
    return look, meets


@kernel
def look_at_step(
    k: Any,
    place: Any,
    shape: Any,
    max_speed_mps: float,
    window_s: Any,
    first_s: Any,
    last_s: Any,
    ends: Any,
    exclusion_m: Any,
) -> tuple[Any, Any]:
    """Whether the step from the last fix of an hour to the first of the next may lead to the vicinity, as a bit; and whether it
    surely leads to the place in the window."""
    lat_e7, lon_e7 = place
    _, limit_m, parallel, across = shape
    one_m = box_apart_m(lat_e7, lon_e7, parallel, ends[k, 2], ends[k, 3], ends[k, 2], ends[k, 3])
    two_m = box_apart_m(lat_e7, lon_e7, parallel, ends[k + 1, 0], ends[k + 1, 1], ends[k + 1, 0], ends[k + 1, 1])
    left_m = min(one_m, _CLEAR_FAR_M) - exclusion_m[k] - limit_m
    due_m = min(two_m, _CLEAR_FAR_M) - exclusion_m[k + 1] - limit_m
    most_s = first_s[k + 1] - last_s[k] + 1
    if max(left_m, 0.0) + max(due_m, 0.0) > max_speed_mps * most_s:
        return 0, False
    # the times at which they were taken at the latest, and at the earliest
    dlat, dlon = float(abs(ends[k, 2] - lat_e7)), around_e7(ends[k, 3], lon_e7)
    left_m = apart_at_most_m(dlat, dlon, across)
    dlat, dlon = float(abs(ends[k + 1, 0] - lat_e7)), around_e7(ends[k + 1, 1], lon_e7)
    due_m = apart_at_most_m(dlat, dlon, across)
    left_s, due_s = last_s[k] + 1, first_s[k + 1]
    meets = (
        left_m <= max_speed_mps * (min(due_s, window_s[1]) - left_s)
        and due_m <= max_speed_mps * (due_s - max(left_s, window_s[0]))
        and left_m + due_m <= max_speed_mps * (due_s - left_s)
    )
    return STEP_MAY_MEET, meets


@kernel
def sift(
    place: Any, shape: Any, max_speed_mps: float, calm_mps: float, window_s: Any, first_hour_s: int, last_hour_s: int,
    start: Any, hour_s: Any, first_s: Any, last_s: Any, box: Any, ends: Any, exclusion_m: Any, gap_s: Any, fastest: Any,
    ahead_s: Any, extent: Any, is_known: Any, state: Any, longest_s: Any, inside: Any, look: Any,
) -> None:  # fmt: skip
    """Write to state (n_devices,) uint8 what is told of each device, to longest_s the longest time between two neighbouring
    fixes, to inside (n_devices,) uint8 whether there is one in the window, and to look (n,) uint8 the bits of its hours: those
    of the window and the last before it. See `far.sifted` for what it rests on.

    place: latitude and longitude; shape: the radius of the vicinity, that of the widened one with all that is added to it,
    `parallel_m`, the cosine of the latitude; window_s: whole seconds that surely are in the window, from and to. Device d has
    the hours start[d]:start[d + 1], in order; columns (n,), box (n, 4) south, west, north, east, ends (n, 4) latitude and
    longitude of the first and of the last fix; extent (n_devices, 4) the box of all fixes farther off, where is_known.
    """
    for d in range(len(start) - 1):
        a, b = start[d], start[d + 1]
        state[d], longest_s[d], inside[d] = DOUBTFUL, 0, NONE
        for k in range(a, b):
            look[k] = 0
        p, n = a, b - 1
        while p + 1 < b and hour_s[p + 1] < first_hour_s:
            p += 1
        while n - 1 >= a and hour_s[n - 1] > last_hour_s:
            n -= 1
        if not is_known[d] or b - a < 2 or hour_s[p] >= first_hour_s or hour_s[n] <= last_hour_s:
            continue
        if not is_calm(a, b, calm_mps, first_s, last_s, ends, fastest, ahead_s):
            continue
        apart_m = widest_m(a, b, box, extent[d])
        if apart_m > calm_mps * (min(last_s[p] - first_s[a], last_s[b - 1] - first_s[n]) - 1) or apart_m > _ANTIPODE_M:
            continue
        seen, surely = 0, False
        for k in range(p, n):
            longest_s[d] = max(longest_s[d], gap_s[k], first_s[k + 1] - last_s[k] + 1)
            if k > p:
                bits, meets = look_at_hour(
                    k, place, shape, max_speed_mps, window_s, first_s, last_s, hour_s, box, exclusion_m, gap_s
                )
                look[k] |= bits
                surely = surely or meets
                if window_s[0] <= first_s[k] < window_s[1] or window_s[0] <= last_s[k] < window_s[1]:
                    inside[d] = SURE
                elif inside[d] == NONE and first_s[k] <= window_s[1] and last_s[k] >= window_s[0] - 1:
                    inside[d] = PERHAPS
            bits, meets = look_at_step(k, place, shape, max_speed_mps, window_s, first_s, last_s, ends, exclusion_m)
            look[k] |= bits
            surely = surely or meets
            seen |= look[k]
        state[d] = FAR if seen == 0 else MEETS if surely and inside[d] != PERHAPS else CLEAR
