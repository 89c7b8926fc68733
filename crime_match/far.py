"""Whom the hourly summaries of the database rule out: the law by which a device that was far away need not be read.

What the exact answer would be made of is never left to guess: a device about which the summaries leave any doubt is read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.far_kernels import CLEAR, DOUBTFUL, FAR, HOUR_S, sift
from crime_match.question import Question
from crime_match.reach_kernels import TOLERANCE_M, distortion_m, parallel_m
from engine.error_model import errors
from engine.fixes import ABSENT
from engine.store.hours import Hours
from engine.times import SECOND_US
from engine.tracks import up_to_cm
from engine.trail import FAST_MPS

EARTH_M = 20_020_000.0
"""No two places on WGS84 are farther from each other, by any formula that is used here."""
_CALM = 0.999
_N_SOURCES = 8


class Sifted(NamedTuple):
    """What is told of each device, (n,) each: DOUBTFUL, CLEAR or FAR, and the longest time between two fixes next to each other
    about the window [s]; 0 where it is in doubt."""

    state: NDArray[np.uint8]
    longest_s: NDArray[np.int64]


def hours_about(question: Question) -> tuple[int, int]:
    """The first and the last hour that the padded window meets, by their begin [s UTC]."""
    return question.start_us // SECOND_US // HOUR_S * HOUR_S, question.end_us // SECOND_US // HOUR_S * HOUR_S


def calm_mps(question: Question) -> float:
    """The speed up to which fixes neither are implausible nor contradict each other, a thousandth less [m/s]."""
    return _CALM * min(FAST_MPS, question.max_speed_mps)


def apart_us(question: Question) -> int:
    """Fixes so far from each other in time contradict each other nowhere on earth [us]."""
    return int(EARTH_M / calm_mps(question) * SECOND_US) + 1


def exclusion_m(hours: Hours, percentile: NDArray[np.float64], model: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A bound on the exclusion radii of the fixes of each hour (n,) [m], by percentile and device model of the activation.

    For one source the radius grows with the accuracy (`error_model.derive_errors`: a scale times a width that grows with it, a
    floor, a multiple of the circle), so the widest accuracy of the hour, with every source that the hour has, bounds all fixes
    that have one; the default of each source bounds the others. Rounded up to centimetres as in `Trails`.
    """
    found = np.zeros(len(hours))
    for source in range(_N_SOURCES):
        for of_fixes, accuracy_cm in ((hours.widest_cm != ABSENT, hours.widest_cm), (hours.n_unsaid > 0, None)):
            rows = np.flatnonzero((hours.sources >> source & 1 == 1) & of_fixes)
            if len(rows):
                given = np.full(len(rows), ABSENT) if accuracy_cm is None else accuracy_cm[rows]
                radii = errors(given.astype(np.int32), np.full(len(rows), source, np.int32), percentile[rows], model[rows])
                found[rows] = np.maximum(found[rows], radii.exclusion_m)
    return np.asarray(up_to_cm(found) / 100.0, np.float64)


def sifted(
    question: Question, hours: Hours, exclusion: NDArray[np.float64], extent: NDArray[np.int64], is_known: NDArray[np.bool_]
) -> Sifted:
    """What the hours from the one before the window to the one after it tell of each of their devices.

    exclusion (n_hours,) as from `exclusion_m`; extent (n_devices, 4): the box of all fixes that the exact answer would read,
    where is_known; hours are those of one activation that covers them all.

    C are the fixes of these hours, F those that bound the window: from the last at or before its start to the first at or after
    its end. F lies between the last fix of the hour before and the first of the hour after, both of which have to exist.

    1. In C no two neighbours are joined at more than v = min(55 m/s, the maximum speed), so by the triangle inequality no two
       fixes of C at all: they do not contradict each other, whatever their circles are, and none of them is implausible by
       another of them, all of them asked or only those that are not vague.
    2. A fix f of F and a fix o outside of C: between them lie all fixes of C on that side, which last T. A contradiction, or a
       flag that goes from fix to fix until it reaches f, needs their distance to be more than v T; where all fixes that are
       read lie in a box no wider than v T there is none. So the fixes of F keep their weight and are in no doubt, and the gaps
       of the window are the gaps between neighbours of C.
    3. Two fixes of one device and instant are at one place (else their speed is infinite): one of them keeps its weight there.
       No clock is wrong where none is ahead.
    4. A gap of g seconds between fixes at distances d1, d2 from the place, with exclusion radii e1, e2, reaches the vicinity
       only at a speed of (d1 - e1 - reach + d2 - e2 - reach) / g or more (`kernels.speed_needed_mps`); the bounds on distance
       and what is added to them are those of `reach_kernels.gap_speed_mps`, with which the exact answer is bounded too. Where
       that is more than the maximum for every gap, no fix of the window lies in the vicinity either, so nobody is placed.
    """
    start = np.searchsorted(hours.device, np.arange(len(hours.devices) + 1))
    first_s, last_s = hours_about(question)
    limit_m = question.reach_m + TOLERANCE_M + distortion_m(1e6, question.reach_m) + 1.0
    state, longest_s = np.empty(len(hours.devices), np.uint8), np.empty(len(hours.devices), np.int64)
    sift(
        question.lat_e7, question.lon_e7, parallel_m(float(question.lat_e7)), limit_m, question.max_speed_mps,
        calm_mps(question), first_s, last_s, start, hours.hour_s, hours.first_s, hours.last_s,
        np.column_stack([hours.south, hours.west, hours.north, hours.east]),
        np.column_stack([hours.first_lat_e7, hours.first_lon_e7, hours.last_lat_e7, hours.last_lon_e7]),
        exclusion, hours.gap_s, hours.fastest, hours.ahead_s, extent, is_known, state, longest_s,
    )  # fmt: skip
    return Sifted(state, longest_s)


__all__ = ["CLEAR", "DOUBTFUL", "FAR", "HOUR_S", "Sifted", "apart_us", "calm_mps", "exclusion_m", "hours_about", "sifted"]
