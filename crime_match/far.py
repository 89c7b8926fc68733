"""Whom the hourly summaries of the database rule out: the law by which a device that was far away need not be read.

What the exact answer would be made of is never left to guess: a device about which the summaries leave any doubt is read.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.far_kernels import (
    CLEAR,
    DOUBTFUL,
    FAR,
    HOUR_S,
    MAY_MEET,
    MAY_PLACE,
    MEETS,
    NONE,
    PERHAPS,
    STEP_MAY_MEET,
    SURE,
    sift,
)
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
    """What is told of each device, (n,) each: DOUBTFUL, CLEAR, FAR or MEETS; the longest time between two neighbouring fixes
    about the window [s]; inside, whether a fix lies in the window: NONE, PERHAPS or SURE. look (n_hours,): where to look, bits
    of `far_kernels`."""

    state: NDArray[np.uint8]
    longest_s: NDArray[np.int64]
    inside: NDArray[np.uint8]
    look: NDArray[np.uint8]


class Pieces(NamedTuple):
    """Stretches of time of devices (m,) each, in order: whole seconds [UTC], from the one of the first fix to the one of the
    last."""

    device: NDArray[np.int64]
    from_s: NDArray[np.int64]
    to_s: NDArray[np.int64]


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
    """What the hours about the window, with some before it and after it, tell of each of their devices.

    exclusion (n_hours,) as from `exclusion_m`; extent (n_devices, 4): the box of all other fixes that the exact answer would
    read, where is_known; hours are those of one activation that covers them all.

    C are the fixes of these hours, F those that bound the window: from the last at or before its start to the first at or after
    its end. F lies between the last fix of the hours before the window and the first of those after, which have to exist.

    1. In C no two neighbours are joined at more than v = min(55 m/s, the maximum speed), so by the triangle inequality no two
       fixes of C at all: they do not contradict each other, whatever their circles are, and none of them is implausible by
       another of them, all of them asked or only those that are not vague.
    2. A fix f of F and a fix o outside of C: between them lie fixes of C that last T. A contradiction, or a flag that goes from
       fix to fix until it reaches f, needs their distance to be more than v T; where all fixes that are read lie in a box no
       wider than v T there is none. So the fixes of F keep their weight and are in no doubt, and the gaps of the window are the
       gaps between neighbours of C.
    3. Two fixes of one device and instant are at one place (else their speed is infinite): one of them keeps its weight there.
       No clock is wrong where none is ahead.
    4. A gap of g seconds between fixes at distances d1, d2 from the place, with exclusion radii e1, e2, reaches the vicinity
       only at a speed of (d1 - e1 - reach + d2 - e2 - reach) / g or more (`kernels.speed_needed_mps`); the bounds on distance
       and what is added to them are those of `reach_kernels.gap_speed_mps`, with which the exact answer is bounded too. Where
       that is more than the maximum for every gap, no fix of the window lies in the vicinity either, so nobody is placed: FAR.
    5. A gap in the window whose ends are at most d1, d2 away leads to the place itself where d1 and d2 are within reach of the
       window's part of it, and d1 + d2 of all of it: then nobody is excluded, and it is MEETS where it is known whether a fix
       lies in the window: without one nobody is placed or possible.
    """
    start = np.searchsorted(hours.device, np.arange(len(hours.devices) + 1))
    first_s, last_s = hours_about(question)
    limit_m = question.reach_m + TOLERANCE_M + distortion_m(1e6, question.reach_m) + 1.0
    shape = (
        question.radius_m + 0.0,
        limit_m,
        parallel_m(float(question.lat_e7)),
        math.cos(math.radians(question.lat_e7 / 1e7)),
    )
    n, n_devices = len(hours), len(hours.devices)
    found = Sifted(
        np.empty(n_devices, np.uint8), np.empty(n_devices, np.int64), np.empty(n_devices, np.uint8), np.empty(n, np.uint8)
    )
    sift(
        (question.lat_e7, question.lon_e7), shape, float(question.max_speed_mps), calm_mps(question), window_s(question),
        first_s, last_s, start, hours.hour_s, hours.first_s, hours.last_s,
        np.column_stack([hours.south, hours.west, hours.north, hours.east]),
        np.column_stack([hours.first_lat_e7, hours.first_lon_e7, hours.last_lat_e7, hours.last_lon_e7]),
        exclusion, hours.gap_s, hours.fastest, hours.ahead_s, extent, is_known, *found,
    )  # fmt: skip
    return found


def window_s(question: Question) -> tuple[int, int]:
    """The whole seconds from which and up to which time surely is in the padded window [s UTC]."""
    return -(-question.start_us // SECOND_US), question.end_us // SECOND_US


def pieces_of(question: Question, hours: Hours, found: Sifted) -> Pieces:
    """Where to look at the devices that are CLEAR: at the hours and steps that may lead to the vicinity; of those that MEET, at
    the hours in which a fix may lie there. What lies outside the window is left out, but for the fixes next to it."""
    state = found.state[hours.device]
    in_hour = ((state == CLEAR) & (found.look & MAY_MEET > 0)) | ((state >= CLEAR) & (found.look & MAY_PLACE > 0))
    in_step = np.flatnonzero((state == CLEAR) & (found.look & STEP_MAY_MEET > 0))
    in_hour = np.flatnonzero(in_hour & (state != FAR))
    device = np.concatenate([hours.device[in_hour], hours.device[in_step]])
    from_s = np.concatenate([hours.first_s[in_hour], hours.last_s[in_step]])
    to_s = np.concatenate([hours.last_s[in_hour], hours.first_s[in_step + 1]])
    aside_s = found.longest_s[device] + 1
    from_s = np.maximum(from_s, question.start_us // SECOND_US - aside_s)
    to_s = np.minimum(to_s, question.end_us // SECOND_US + 1 + aside_s)
    kept = from_s <= to_s
    order = np.lexsort((from_s[kept], device[kept]))
    return _joined(Pieces(device[kept][order], from_s[kept][order], to_s[kept][order]))


def _joined(pieces: Pieces) -> Pieces:
    """Those that touch as one."""
    new = np.ones(len(pieces.device), np.bool_)
    new[1:] = (np.diff(pieces.device) != 0) | (pieces.from_s[1:] > pieces.to_s[:-1])
    first = np.flatnonzero(new)
    return Pieces(
        pieces.device[first], pieces.from_s[first], np.maximum.reduceat(pieces.to_s, first) if len(first) else pieces.to_s
    )


__all__ = [
    "CLEAR", "DOUBTFUL", "FAR", "HOUR_S", "MEETS", "NONE", "PERHAPS", "SURE", "Pieces", "Sifted", "apart_us", "calm_mps",
    "exclusion_m", "hours_about", "pieces_of", "sifted",
]  # fmt: skip
