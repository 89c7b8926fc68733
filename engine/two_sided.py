"""Two-sided flags for matching and evidence: of two fixes that contradict each other both are flagged, unless their
neighbours settle it. Unlike the causal flags of the live state they look at what comes after too."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import kernel
from engine.kernels import joining_speed_mps, surely_slow

VOTERS = 3
"""So many fixes on each side of a contradiction are asked."""
VAGUE_M = 150.0
"""A wider circle must not hide that the fixes on either side of it contradict each other. None so wide places anybody in the
usual vicinity of 100 m: half of it does not fit."""

_FIRST, _SECOND, _BOTH, _TIE = 1, 2, 3, 4


@kernel
def flag_two_sided(
    start: Any, time_us: Any, lat_e7: Any, lon_e7: Any, radius_m: Any, flags: Any,
    most_mps: float, fast_mps: float, weightless: int, implausible: int,
) -> None:  # fmt: skip
    """Set the implausible bit of the fixes that contradict others and clear it elsewhere, wearer by wearer.

    Wearer w has the rows start[w]:start[w + 1] of the columns (n,) in event-time order; start (n_wearers + 1,) int64, flags
    uint8. Fixes with a bit of `weightless`, which leaves implausible out, take no part. Two neighbours contradict each other
    where the lowest speed that joins them is over most_mps, or it is one of three in a row over fast_mps. Up to `VOTERS`
    fixes on each side of them are asked: the one that fewer of these join (at up to fast_mps) is flagged, both in a tie. The
    same is asked of those that are left until none contradict each other, and then of those among them that are not vague.
    Each round decides from what stood before it, and a tie waits while anything around it is settled, so the answer is the
    same when time runs backwards. Work: a few steps a fix, and as many again for each that is flagged.
    """
    for i in range(len(flags)):
        flags[i] &= 255 ^ implausible
    fixes = (time_us, lat_e7, lon_e7, radius_m)
    longest = 0
    for w in range(len(start) - 1):
        longest = max(longest, start[w + 1] - start[w])
    scratch = np.empty((6, longest + 1), np.int64)
    for w in range(len(start) - 1):
        unsettled = not _is_smooth(fixes, flags, start[w], start[w + 1], fast_mps, weightless)
        while unsettled:
            _settle(fixes, flags, start[w], start[w + 1], np.inf, scratch, most_mps, fast_mps, weightless, implausible)
            unsettled = _settle(
                fixes, flags, start[w], start[w + 1], VAGUE_M, scratch, most_mps, fast_mps, weightless, implausible
            )


@kernel
def _speed_mps(fixes: Any, i: int, j: int, fast_mps: float) -> float:
    """The lowest speed that joins two fixes, the earlier first; 0 where it is surely not over fast_mps."""
    time_us, lat_e7, lon_e7, radius_m = fixes
    dlat: Any = np.int64(lat_e7[j]) - np.int64(lat_e7[i])
    dlon: Any = np.int64(lon_e7[j]) - np.int64(lon_e7[i])
    if surely_slow(time_us[j] - time_us[i], dlat, dlon, radius_m[i] + radius_m[j], fast_mps):
        return 0.0
    return joining_speed_mps(
        time_us[i], lat_e7[i], lon_e7[i], radius_m[i], time_us[j], lat_e7[j], lon_e7[j], radius_m[j]
    )  # fmt: skip


@kernel
def _is_smooth(fixes: Any, flags: Any, first: int, stop: int, fast_mps: float, weightless: int) -> bool:
    """Whether fast_mps joins all neighbours, among all fixes and among those that are not vague: most trails end here."""
    before, sharp = -1, -1
    for i in range(first, stop):
        if flags[i] & weightless:
            continue
        if before >= 0 and _speed_mps(fixes, before, i, fast_mps) > fast_mps:
            return False
        if fixes[3][i] <= VAGUE_M:
            if 0 <= sharp < before and _speed_mps(fixes, sharp, i, fast_mps) > fast_mps:
                return False
            sharp = i
        before = i
    return True


@kernel
def _settle(
    fixes: Any, flags: Any, first: int, stop: int, limit_m: float, scratch: Any,
    most_mps: float, fast_mps: float, weightless: int, implausible: int,
) -> bool:  # fmt: skip
    """Flag until no two neighbours among the fixes of radius up to limit_m contradict each other; whether any had to be.

    Place p stands for the row base + p; place 0 for both ends. left, right: each place's neighbours that are not flagged, a
    ring through 0. now, mate: the pairs in question, in order; fate: which of the two is flagged; gone: the places flagged in
    a round, in order.
    """
    left, right, now, mate, fate, gone = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4], scratch[5]
    base, n_now, last = first - 1, 0, 0
    for p in range(1, stop - base):
        if flags[base + p] & (weightless | implausible) or fixes[3][base + p] > limit_m:
            continue
        left[p], right[last] = last, p
        if last and _speed_mps(fixes, base + last, base + p, fast_mps) > fast_mps:
            now[n_now] = last
            n_now += 1
        last = p
    left[0], right[last] = last, 0
    any_gone = False
    while n_now:
        for k in range(n_now):
            mate[k], fate[k] = right[now[k]], 0
            if _contradict(fixes, base, now[k], mate[k], left, right, most_mps, fast_mps):
                fate[k] = _vote(fixes, base, now[k], mate[k], left, right, fast_mps)
        _flag(flags, base, n_now, now, mate, fate, implausible)
        for k in range(n_now):
            if fate[k] == _TIE and not _is_near_flagged(flags, base, now[k], mate[k], left, right, implausible):
                fate[k] = _BOTH
        _flag(flags, base, n_now, now, mate, fate, implausible)
        n_gone = _unlink(flags, base, n_now, now, mate, left, right, gone, implausible)
        n_now = _gather(n_gone, gone, left, right, now)
        any_gone = any_gone or n_gone > 0
    return any_gone


@kernel
def _contradict(
    fixes: Any, base: int, p: int, q: int, left: Any, right: Any, most_mps: float, fast_mps: float
) -> bool:  # fmt: skip
    """Whether two neighbours are joined at over most_mps only, or at over fast_mps only as one of three pairs in a row."""
    speed_mps = _speed_mps(fixes, base + p, base + q, fast_mps)
    if speed_mps > most_mps or speed_mps <= fast_mps:
        return speed_mps > most_mps
    n_fast, here = 1, p
    while left[here] and n_fast < 3 and _speed_mps(fixes, base + left[here], base + here, fast_mps) > fast_mps:
        n_fast, here = n_fast + 1, left[here]
    here = q
    while right[here] and n_fast < 3 and _speed_mps(fixes, base + here, base + right[here], fast_mps) > fast_mps:
        n_fast, here = n_fast + 1, right[here]
    return n_fast >= 3


@kernel
def _vote(fixes: Any, base: int, p: int, q: int, left: Any, right: Any, fast_mps: float) -> int:
    """Which of two neighbours fewer of the fixes around them join."""
    balance, before, after = 0, left[p], right[q]
    for _ in range(VOTERS):
        if before:
            balance += _speed_mps(fixes, base + before, base + p, fast_mps) <= fast_mps
            balance -= _speed_mps(fixes, base + before, base + q, fast_mps) <= fast_mps
            before = left[before]
        if after:
            balance += _speed_mps(fixes, base + p, base + after, fast_mps) <= fast_mps
            balance -= _speed_mps(fixes, base + q, base + after, fast_mps) <= fast_mps
            after = right[after]
    if balance == 0:
        return _TIE
    return _SECOND if balance > 0 else _FIRST


@kernel
def _flag(flags: Any, base: int, n_now: int, now: Any, mate: Any, fate: Any, implausible: int) -> None:
    """Flag what the fates of the pairs say so far; a tie says nothing yet."""
    for k in range(n_now):
        if fate[k] & _FIRST:
            flags[base + now[k]] |= implausible
        if fate[k] & _SECOND:
            flags[base + mate[k]] |= implausible


@kernel
def _is_near_flagged(flags: Any, base: int, p: int, q: int, left: Any, right: Any, implausible: int) -> bool:
    """Whether one of two neighbours, or of those that were asked about them, is flagged."""
    before, after = p, q
    for _ in range(VOTERS + 1):
        if (before and flags[base + before] & implausible) or (after and flags[base + after] & implausible):
            return True
        before, after = left[before] if before else 0, right[after] if after else 0
    return False


@kernel
def _unlink(
    flags: Any, base: int, n_now: int, now: Any, mate: Any, left: Any, right: Any, gone: Any, implausible: int
) -> int:  # fmt: skip
    """Take the flagged ones out of the ring, from left to right: each goes on knowing the neighbour that stays on its left."""
    n_gone = 0
    for k in range(n_now):
        for p in (now[k], mate[k]):
            if flags[base + p] & implausible and (n_gone == 0 or gone[n_gone - 1] < p):
                right[left[p]], left[right[p]] = right[p], left[p]
                gone[n_gone] = p
                n_gone += 1
    return n_gone


@kernel
def _gather(n_gone: int, gone: Any, left: Any, right: Any, now: Any) -> int:
    """Write the pairs whose contradiction or vote can have changed, in order, each once; returns how many they are."""
    n_now = 0
    for k in range(n_gone):
        p, n_steps = left[gone[k]], 1
        while p and n_steps <= VOTERS:
            p, n_steps = left[p], n_steps + 1
        for _ in range(n_steps + VOTERS):
            if p and right[p] and (n_now == 0 or now[n_now - 1] < p):
                now[n_now] = p
                n_now += 1
            p = right[p]
            if p == 0:
                break
    return n_now
