"""The reachable set of a wearer in the window, and the lowest speed at which it meets the vicinity.

At an instant it is the disc that grows from the fix before, cut with the disc that shrinks to the fix after, each starting
from that fix's exclusion radius. Whether it meets the vicinity at some instant is one convex problem a gap
(`kernels.lowest_speed_mps`), solved exactly; all doubt of arithmetic goes to the cautious side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match import kernels
from crime_match.explanations import MARGIN, bounding_pairs
from crime_match.question import Question
from crime_match.reach_kernels import lowest_of_pairs
from crime_match.trails import WearerTrail

_LEAST_S = 1e-6
_IMPOSSIBLE_MPS = 299_792_458.0


class Reach(NamedTuple):
    """exists: at every instant of the window; needed_mps: lowest speed at which the set meets the vicinity (where it does
    not exist: as if no fix contradicted another; nan without fixes); rests_on: indices of the trail's fixes from the first
    to the last used; contradictions: index pairs."""

    exists: bool
    needed_mps: float
    rests_on: NDArray[np.int64]
    contradictions: list[tuple[int, int]]

    @property
    def required_mps(self) -> float | None:
        """The lowest speed in steps of 0.01 m/s at which presence is possible: rounded up; None where none would do."""
        if not self.needed_mps < _IMPOSSIBLE_MPS:
            return None
        return float(np.ceil(self.needed_mps * 100.0) / 100.0)


class _Pairs(NamedTuple):
    """Pairs of fixes that bound a gap, n rows: indices (-1: none), and the times that the prism has [s]."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    elapsed_s: NDArray[np.float64]
    left_s: NDArray[np.float64]
    gap_s: NDArray[np.float64]


def reach_of(question: Question, trail: WearerTrail) -> Reach:
    """The reachable set of the fixes that carry weight; they stand in time order, others never narrow it."""
    weighty = np.flatnonzero(trail.carries_weight())
    if not len(weighty):
        return Reach(False, float("nan"), weighty, [])
    time_us = trail.fixes.time_us[weighty]
    first = int(np.searchsorted(time_us, question.start_us, side="right")) - 1
    last = int(np.searchsorted(time_us, question.end_us, side="left"))
    start, stop = max(0, first - MARGIN), min(len(weighty), last + MARGIN + 1)
    used = weighty[start:stop]
    conflicts = _contradictions(trail, weighty, start, stop, question.max_speed_mps)
    gaps = range(first - start, max(last - 1, first) - start + 1)
    pairs = _timed(question, trail.fixes.time_us[used], bounding_pairs(conflicts - start, gaps, len(used)))
    exists = not bool(np.any((pairs.before < 0) & (pairs.after < 0)))
    if not exists:  # at this speed everything contradicts; what can be told is the speed of one who made all the fixes
        pairs = _timed(question, trail.fixes.time_us[used], bounding_pairs(conflicts[:0], gaps, len(used)))
    needed_mps = _lowest_speed(question, trail, used, pairs)
    rests_on = _span(pairs, used)
    return Reach(exists, needed_mps, rests_on, _met(weighty[conflicts], rests_on))


def _contradictions(
    trail: WearerTrail, weighty: NDArray[np.int64], start: int, stop: int, speed_mps: float
) -> NDArray[np.int64]:
    """Pairs (m, 2) of the fixes that carry weight that contradict each other, one of them from start to stop."""
    fixes, pairs = trail.fixes, np.empty((256, 2), np.int64)
    columns = fixes.time_us[weighty], fixes.lat_e7[weighty], fixes.lon_e7[weighty], trail.exclusion_m[weighty]
    n = kernels.contradictions(start, stop, *columns, speed_mps, pairs)
    if n > len(pairs):
        pairs = np.empty((n, 2), np.int64)
        kernels.contradictions(start, stop, *columns, speed_mps, pairs)
    return pairs[:n]


def _timed(question: Question, time_us: NDArray[np.int64], rows: NDArray[np.int64]) -> _Pairs:
    """The rows (gap, before, after) with the part of the window that lies in the gap; no time is shorter than 1 us."""
    gap, before, after = rows[:, 0], rows[:, 1], rows[:, 2]
    n = len(time_us)
    opens = np.where(gap >= 0, np.maximum(time_us[np.maximum(gap, 0)], question.start_us), question.start_us)
    closes = np.where(gap + 1 < n, np.minimum(time_us[np.minimum(gap + 1, n - 1)], question.end_us), question.end_us)
    has_before, has_after = before >= 0, after < n
    left_at, due_at = time_us[np.maximum(before, 0)], time_us[np.minimum(after, n - 1)]
    return _Pairs(
        np.where(has_before, before, -1),
        np.where(has_after, after, -1),
        _seconds(closes - left_at, has_before),
        _seconds(due_at - opens, has_after),
        _seconds(due_at - left_at, has_before & has_after),
    )


def _seconds(length_us: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(known, np.maximum(length_us / 1e6, _LEAST_S), np.inf)


def _lowest_speed(question: Question, trail: WearerTrail, used: NDArray[np.int64], pairs: _Pairs) -> float:
    """The least of all pairs: bounds by distance alone leave few, and those are solved exactly."""
    return float(lowest_of_pairs(
        question.lat_e7, question.lon_e7, question.reach_m, trail.fixes.lat_e7[used], trail.fixes.lon_e7[used],
        trail.exclusion_m[used], *pairs,
    ))  # fmt: skip


def _span(pairs: _Pairs, used: NDArray[np.int64]) -> NDArray[np.int64]:
    named = np.concatenate([pairs.before, pairs.after])
    named = named[named >= 0]
    return used[named.min() : named.max() + 1] if len(named) else used[:0]


def _met(conflicts: NDArray[np.int64], rests_on: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Contradictions among the fixes that the answer rests on, as indices of the trail, in their order."""
    named = set(rests_on.tolist())
    return sorted((one, two) for one, two in conflicts.tolist() if one in named and two in named)
