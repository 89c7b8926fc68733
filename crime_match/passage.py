"""The fixes of one wearer in the window, measured against the vicinity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.kernels import OVERLAP, lens_shares
from crime_match.question import COVERED_US, Question
from crime_match.trails import WearerTrail
from engine.flags import STRAY
from engine.kernels import distances_m


class Passage(NamedTuple):
    """The n fixes in the window, flagged ones too, in time order.

    fix_indices: into the trail; distance_m: centre to centre; share: of the fix's circle in the vicinity; has_weight;
    qualifies: carries weight and places; strays: left out as implausible or contradictory, with a circle that meets the
    widened vicinity. before, after: indices of the nearest fixes outside the window that carry weight,
    -1 where there is none.
    """

    fix_indices: NDArray[np.int64]
    distance_m: NDArray[np.float64]
    share: NDArray[np.float64]
    has_weight: NDArray[np.bool_]
    qualifies: NDArray[np.bool_]
    before: int
    after: int
    strays: NDArray[np.bool_]

    @property
    def n_strays(self) -> int:
        """How many fixes reported the wearer there, and were left out as implausible or contradictory."""
        return int(np.count_nonzero(self.strays))

    @property
    def closest(self) -> int | None:
        """Row of the nearest fix that carries weight (the earliest of equals); None where there is none."""
        if not self.has_weight.any():
            return None
        return int(np.argmin(np.where(self.has_weight, self.distance_m, np.inf)))


def passage_of(question: Question, trail: WearerTrail) -> Passage:
    """Measure the fixes of the window: reported circle against vicinity, exact lens area, a radius of 0 is a point."""
    time_us = trail.fixes.time_us
    start = int(np.searchsorted(time_us, question.start_us, side="left"))
    stop = int(np.searchsorted(time_us, question.end_us, side="right"))
    inside = slice(start, stop)
    n = stop - start
    distance_m = distances_m(
        np.full(n, question.lat_e7, np.int32), np.full(n, question.lon_e7, np.int32),
        trail.fixes.lat_e7[inside], trail.fixes.lon_e7[inside],
    )  # fmt: skip
    share = lens_shares(distance_m, trail.radius_m[inside], question.radius_m)
    has_weight = trail.carries_weight()
    weighty = has_weight[inside]
    before, after = np.flatnonzero(has_weight[:start]), np.flatnonzero(has_weight[stop:])
    strays = (trail.flags[inside] & STRAY != 0) & (distance_m <= trail.radius_m[inside] + question.reach_m)
    return Passage(
        np.arange(start, stop, dtype=np.int64), distance_m, share, weighty, weighty & (share >= OVERLAP),
        int(before[-1]) if len(before) else -1, stop + int(after[0]) if len(after) else -1, strays,
    )  # fmt: skip


def coverage(question: Question, trail: WearerTrail) -> float:
    """Share of the window within 2.5 minutes of a fix that carries weight, 0 to 1 in steps of 1e-6."""
    time_us = trail.fixes.time_us[trail.carries_weight()]
    near = time_us[(time_us >= question.start_us - COVERED_US) & (time_us <= question.end_us + COVERED_US)]
    length_us = question.end_us - question.start_us
    if not len(near):
        return 0.0
    if not length_us:
        return 1.0
    edges = np.concatenate([[question.start_us - COVERED_US], near, [question.end_us + COVERED_US]])
    bare_us = int(np.maximum(np.diff(edges) - 2 * COVERED_US, 0).sum())
    return round((length_us - bare_us) / length_us, 6)


def worst_gap_s(question: Question, trail: WearerTrail) -> float:
    """The longest stretch of the window without a fix that carries weight, the window's edges included [s]."""
    time_us = trail.fixes.time_us[trail.carries_weight()]
    inside = time_us[(time_us >= question.start_us) & (time_us <= question.end_us)]
    edges = np.concatenate([[question.start_us], inside, [question.end_us]])
    return int(np.diff(edges).max()) / 1e6
