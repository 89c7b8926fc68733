"""Kernels of the verdict of (crime, wearer) pairs over Tracks. Arrays only.

Crimes are rows of two arrays: (n_crimes, 5) int64, of lat_e7, lon_e7, start_us and end_us of the padded window, min_fixes;
and (n_crimes, 4) float64: the radii of the vicinity, and of it widened by the place's uncertainty [m], `parallel_m` and the
cosine of the latitude.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crime_match.explanations import MOST_IN_DOUBT
from crime_match.kernels import OVERLAP, lens_share
from crime_match.reach_kernels import apart_at_least_m, around_e7, distortion_m, gap_speed_mps, seconds
from engine.jit import kernel
from engine.kernels import distance_m

PLACED, MET, UNSEEN, OUTSIDE, OUTSIDE_UNSEEN, IN_DOUBT = 0, 1, 2, 3, 4, 5
"""Placed; the reachable set meets the vicinity, with a fix in the window or (UNSEEN) without; it stays outside, with a fix in
the window or without; fixes contradict each other, and what that means must be looked at closely."""
MEETS, DOUBTED = 1, 2
"""Bits of what was seen of a pair so far: the set meets the vicinity; it may meet it, for fixes are in doubt."""
PLACING_M = 1.0
"""A fix that places has its centre in the vicinity: about a centre outside, less than half of any circle is in it. With as
much for arithmetic."""


@kernel
def first_at_or_after(tick: Any, low: Any, high: Any, base_us: int, tick_us: int, time_us: Any) -> Any:
    """The first of the rows low:high whose time is no earlier than time_us; high where there is none."""
    while low < high:
        middle = (low + high) // 2
        if base_us + np.int64(tick[middle]) * tick_us < time_us:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def gap_meets(
    has_one: bool, left_at: Any, lat1_e7: Any, lon1_e7: Any, exclusion1_m: float,
    has_two: bool, due_at: Any, lat2_e7: Any, lon2_e7: Any, exclusion2_m: float, crime: Any, shape: Any, max_speed_mps: float,
) -> bool:  # fmt: skip
    """Whether the prism of two fixes, of which either may be lacking, meets the vicinity in the window at this speed."""
    elapsed_s, left_s, gap_s = np.inf, np.inf, np.inf
    if has_one:
        elapsed_s = seconds((min(due_at, crime[3]) if has_two else crime[3]) - left_at)
    if has_two:
        left_s = seconds(due_at - (max(left_at, crime[2]) if has_one else crime[2]))
    if has_one and has_two:
        gap_s = seconds(due_at - left_at)
    speed = gap_speed_mps(
        crime[0], crime[1], shape[2], shape[3], shape[1], has_one, lat1_e7, lon1_e7, exclusion1_m,
        has_two, lat2_e7, lon2_e7, exclusion2_m, elapsed_s, left_s, gap_s, max_speed_mps, max_speed_mps,
    )  # fmt: skip
    return bool(speed <= max_speed_mps)


@kernel
def is_far(
    has_one: bool, left_at: Any, near1_m: float, exclusion1_m: float, has_two: bool, due_at: Any, near2_m: float,
    exclusion2_m: float, start_us: Any, end_us: Any, slack_m: float, max_speed_mps: float,
) -> bool:  # fmt: skip
    """Whether the prism of two fixes surely stays outside, by bounds below on their distances alone."""
    if near1_m >= 1e6 or near2_m >= 1e6:  # the slack is for places nearer than that
        return False
    left_m, due_m = near1_m - exclusion1_m - slack_m, near2_m - exclusion2_m - slack_m
    if has_one and has_two:
        if max(left_m, 0.0) + max(due_m, 0.0) > max_speed_mps * ((due_at - left_at) * 1e-6 + 1e-6):
            return True
        out_m = max_speed_mps * ((min(due_at, end_us) - left_at) * 1e-6 + 1e-6)
        back_m = max_speed_mps * ((due_at - max(left_at, start_us)) * 1e-6 + 1e-6)
        return bool(left_m > out_m or due_m > back_m)
    if has_one:
        return bool(left_m > max_speed_mps * ((end_us - left_at) * 1e-6 + 1e-6))
    return bool(due_m > max_speed_mps * ((due_at - start_us) * 1e-6 + 1e-6))


@kernel
def in_doubt(joining: Any, max_speed_mps: float) -> bool:
    """Whether a fix may contradict another at this speed."""
    return bool(joining > max_speed_mps or joining == 255)


@kernel
def doubt_may_reach(
    g: Any, a: Any, b: Any, crime: Any, shape: Any, max_speed_mps: float, base_us: int, tick_us: int, tick: Any,
    lats_e7: Any, lons_e7: Any, error: Any, radii_cm: Any, joining: Any,
) -> bool:  # fmt: skip
    """Whether gap g, which has an end in doubt, may meet the vicinity, whichever of the run of fixes in doubt are left out;
    also where the run is too long to tell, see `explanations.bounding_pairs`."""
    before, after = g, g + 1
    while before >= a and in_doubt(joining[before], max_speed_mps):
        before -= 1
    while after < b and in_doubt(joining[after], max_speed_mps):
        after += 1
    if max(g - before, after - g - 1) > MOST_IN_DOUBT:
        return True
    for i in range(before, g + 1):
        one = max(i, a)
        for j in range(g + 1, after + 1):
            two = min(j, b - 1)
            if gap_meets(
                i >= a, base_us + np.int64(tick[one]) * tick_us, lats_e7[one], lons_e7[one], radii_cm[error[one], 1] / 100.0,
                j < b, base_us + np.int64(tick[two]) * tick_us, lats_e7[two], lons_e7[two], radii_cm[error[two], 1] / 100.0,
                crime, shape, max_speed_mps,
            ):  # fmt: skip
                return True
    return False


@kernel
def look_at(
    first_gap: Any, last_gap: Any, low: Any, stop: Any, n: Any, seen: Any, may_place: bool, a: Any, b: Any, crime: Any,
    shape: Any, max_speed_mps: float, base_us: int, tick_us: int, tick: Any, lats_e7: Any, lons_e7: Any, error: Any,
    radii_cm: Any, joining: Any,
) -> tuple[Any, Any]:  # fmt: skip
    """How many fixes place, n before, up to min_fixes, and what was seen, after a look at the rows low:stop and at the gaps
    first_gap to last_gap, all of which are in the window or meet it. Gap g lies between the rows g and g + 1.

    A gap that meets tells, whatever is in doubt elsewhere: its two fixes bound it in every explanation. Where no fix may
    place, the look ends with it.
    """
    slack_m = shape[1] + distortion_m(1e6, shape[1]) + 1.0
    has_one, left_at, near1_m, exclusion1_m = False, np.int64(0), 0.0, 0.0
    for i in range(min(first_gap, low), max(last_gap + 1, stop - 1) + 1):
        has_two = a <= i < b
        due_at, near2_m, exclusion2_m = np.int64(0), 0.0, 0.0
        if has_two:
            due_at = base_us + np.int64(tick[i]) * tick_us
            dlat, dlon = float(np.int64(lats_e7[i]) - crime[0]), around_e7(lons_e7[i], crime[1])
            near2_m = apart_at_least_m(dlat, dlon, shape[2])
            circle_m, exclusion2_m = radii_cm[error[i], 0] / 100.0, radii_cm[error[i], 1] / 100.0
            if near2_m <= shape[0] + PLACING_M and low <= i < stop and n < crime[4]:
                apart_m = distance_m(crime[0], crime[1], lats_e7[i], lons_e7[i])
                if lens_share(apart_m, circle_m, shape[0]) >= OVERLAP:
                    n += 1
        if first_gap < i <= last_gap + 1 and not seen & MEETS:
            one, two = max(i - 1, a), min(i, b - 1)
            if in_doubt(joining[one], max_speed_mps) or in_doubt(joining[two], max_speed_mps):
                if not seen and doubt_may_reach(
                    i - 1, a, b, crime, shape, max_speed_mps,
                    base_us, tick_us, tick, lats_e7, lons_e7, error, radii_cm, joining,
                ):  # fmt: skip
                    seen |= DOUBTED
            elif not is_far(
                has_one, left_at, near1_m, exclusion1_m, has_two, due_at, near2_m, exclusion2_m, crime[2], crime[3],
                slack_m, max_speed_mps,
            ) and gap_meets(
                has_one, left_at, lats_e7[one], lons_e7[one], exclusion1_m, has_two, due_at, lats_e7[two], lons_e7[two],
                exclusion2_m, crime, shape, max_speed_mps,
            ):  # fmt: skip
                seen |= MEETS
        if seen & MEETS and not may_place:
            break
        has_one, left_at, near1_m, exclusion1_m = has_two, due_at, near2_m, exclusion2_m
    return n, seen


@kernel
def code_of(n_placing: int, seen: int, has_fix: bool, crime: Any) -> int:
    """The code of a pair from what was seen of it."""
    if n_placing >= crime[4]:
        return PLACED
    if seen & MEETS:
        return MET if has_fix else UNSEEN
    if seen & DOUBTED:
        return IN_DOUBT
    return OUTSIDE if has_fix else OUTSIDE_UNSEEN


@kernel
def pair_code(
    one: Any, shape: Any, max_speed_mps: float, a: Any, b: Any,
    base_us: int, tick_us: int, tick: Any, lats_e7: Any, lons_e7: Any, error: Any, radii_cm: Any, joining: Any,
) -> int:  # fmt: skip
    """The code of one crime and the wearer of the rows a:b: all of the window is looked at."""
    first = first_at_or_after(tick, a, b, base_us, tick_us, one[2])
    stop = first_at_or_after(tick, first, b, base_us, tick_us, one[3] + 1)
    if a == b:
        return UNSEEN
    begins = first_at_or_after(tick, first, stop, base_us, tick_us, one[2] + 1) - 1
    ends = max(first_at_or_after(tick, first, stop, base_us, tick_us, one[3]) - 1, begins)
    n, seen = look_at(
        begins, ends, first, stop, 0, 0, True, a, b, one, shape, max_speed_mps,
        base_us, tick_us, tick, lats_e7, lons_e7, error, radii_cm, joining,
    )  # fmt: skip
    return code_of(n, seen, stop > first, one)


@kernel
def pair_codes(
    crimes: Any, shapes: Any, max_speed_mps: float, crime: Any, wearer: Any,
    base_us: int, tick_us: int, start: Any, tick: Any, lats_e7: Any, lons_e7: Any, error: Any, radii_cm: Any, joining: Any,
    out: Any,
) -> None:  # fmt: skip
    """The codes of the pairs (crime, wearer), two columns (n,), written to out (n,) uint8."""
    for k in range(len(crime)):
        c, w = crime[k], wearer[k]
        out[k] = pair_code(
            crimes[c], shapes[c], max_speed_mps, start[w], start[w + 1],
            base_us, tick_us, tick, lats_e7, lons_e7, error, radii_cm, joining,
        )  # fmt: skip
